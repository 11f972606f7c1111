"""
plivostatusd as it is installed in a booted machine, and how an admin deals with it.

Owns nothing of its own: it types. `ready` brings the machine from whatever a test left to the state
that most tests begin in: the package as built, configured for the simulator, which runs beside it,
Nginx before it with the site as shipped, the service up.
"""

from __future__ import annotations

import json
from typing import Any

from plivostatusd.simulator import signed_request
from plivostatusd.simulator.options import AUTH_ID, AUTH_TOKEN
from tests.acceptance.certificate import Certificate
from tests.acceptance.nginx import SERVER_NAME
from tests.boot.machine import Machine, until
from tests.boot.versions import Version

UNIT = "plivostatusd.service"
CONF = "/etc/plivostatusd/plivostatusd.conf"
CREDENTIALS = "/etc/plivostatusd/credentials"
SITE = "/etc/nginx/sites-available/plivostatusd"
STORE = "/var/lib/plivostatusd"
API_SOCKET = "/run/plivostatusd/api.sock"
DROP_INS = f"/etc/systemd/system/{UNIT}.d"
PUBLIC_URL = f"https://{SERVER_NAME}"
SIMULATOR = "http://127.0.0.1:8799"
SENDER = "+14155551212"
NO_ONE_ASKS = "apt-get install -y -q -o Dpkg::Use-Pty=0"

# What an admin sets in the file as shipped: the beginning of a line, and what stands there then.
SETTINGS = {
    "auth_id =": f"auth_id = {AUTH_ID}",
    "public_url =": f"public_url = {PUBLIC_URL}",
    "#from =": f"from = {SENDER}",
    "#api_url =": f"api_url = {SIMULATOR}",
    "#per_second =": "per_second = 50",
}


def edited(settings: dict[str, str]) -> str:
    """Return the sed script that sets *settings*."""
    return "\n".join(f"s|^{old}.*|{new}|" for old, new in settings.items())


# Each tells by its exit status whether there was anything to do (1) or not (0).
CONFIGURE = f"""
example=/usr/share/doc/plivostatusd/examples/plivostatusd.conf.example
settings=$(cat <<'END'
{edited(SETTINGS)}
s|^#listen = 127.0.0.1:8788|listen = unix:{API_SOCKET}, 127.0.0.1:8788|
END
)
token={CREDENTIALS}/auth_token
sed "$settings" $example | cmp -s - {CONF} && grep -qsx {AUTH_TOKEN} $token && exit
sed "$settings" $example >{CONF}
echo {AUTH_TOKEN} | install -m 0600 /dev/stdin $token
exit 1
"""
RESET = f"""
[ ! -e {DROP_INS} ] && exit
rm -r {DROP_INS} && systemctl daemon-reload
exit 1
"""
ENABLE = """
link=/etc/nginx/sites-enabled/plivostatusd
[ -e $link ] && systemctl is-active --quiet nginx && exit
ln -sf ../sites-available/plivostatusd $link && nginx -t && systemctl reload-or-restart nginx
"""
READY = f"""
({CONFIGURE}); changed=$?
({RESET}); changed=$((changed + $?))
({ENABLE})
[ $changed = 0 ] && systemctl is-active --quiet {UNIT} ||
    {{ systemctl reset-failed; systemctl restart {UNIT}; }}
"""
SIMULATE = """
systemctl is-active --quiet simulator && exit
systemctl reset-failed simulator 2>/dev/null
systemd-run --quiet --unit=simulator plivostatusctl simulate --speed 20 \\
    --ca-file /srv/authority.pem --connect-to 127.0.0.1:443
"""


class Service:
    """The package and its service, in one machine."""

    def __init__(self, machine: Machine, package: Version, certificate: Certificate) -> None:
        self.machine = machine
        self.package = package
        self.certificate = certificate

    # Installing

    def install(self, version: Version | None = None, *options: str) -> str:
        """Install *version*, the package as built by default, and give what apt says."""
        deb = self.carry(version or self.package)
        return self.machine.sh(f"{NO_ONE_ASKS} {' '.join(options)} {deb}")

    def carry(self, version: Version) -> str:
        """Copy the file of *version* into the machine, and say where it is."""
        path = f"/srv/plivostatusd_{version.version}.deb"
        if self.machine.run("test", "-e", path, status=None).status:
            self.machine.copy(version.deb, path)
        return path

    @property
    def installed(self) -> str:
        """Which version is installed, or an empty string."""
        asked = "${db:Status-Abbrev}${Version}"
        done = self.machine.run("dpkg-query", "-W", "-f", asked, "plivostatusd", status=None)
        return done.out.removeprefix("ii ") if done.out.startswith("ii ") else ""

    # Setting up

    def configure(self) -> None:
        """Set the file as shipped up for the simulator, and store its token."""
        self.machine.sh(CONFIGURE, status=None)

    def set_line(self, begins: str, line: str) -> None:
        """Put *line* in the place of the one in the configuration that begins so."""
        self.machine.run("sed", "-i", f"s|^#\\?{begins}.*|{line}|", CONF)

    def drop_in(self, text: str) -> None:
        """Change the unit as an admin does."""
        self.machine.write(f"{DROP_INS}/test.conf", text)
        self.machine.run("systemctl", "daemon-reload")

    def simulate(self) -> None:
        """Run the simulator beside the service, as a unit of its own, unless it runs."""
        self.machine.sh(SIMULATE)
        until(lambda: self.is_listening(8799), "the simulator listens")

    def ready(self) -> None:
        """Have the service up, as built and as shipped, configured and never failed."""
        installed = self.installed
        if installed not in {"", self.package.version}:
            # What a later version has left cannot be read by this one.
            self.machine.sh(f"systemctl stop {UNIT}; rm -rf {STORE}", status=None)
        if installed != self.package.version:
            self.install(None, "--allow-downgrades")
            lay_certificate(self.machine, self.certificate)
        self.machine.sh(READY)
        self.simulate()

    # Looking

    def shown(self, name: str) -> str:
        """Give a property of the unit."""
        return self.machine.run("systemctl", "show", "-P", name, UNIT).out.strip()

    @property
    def pid(self) -> int:
        """The daemon's process, as it is numbered in the machine; 0 for none."""
        return int(self.shown("MainPID"))

    @property
    def restarts(self) -> int:
        """How often systemd has started it by itself."""
        return int(self.shown("NRestarts"))

    @property
    def starts(self) -> int:
        """How often it has been started since the machine is up, by its own account."""
        log = ["journalctl", "-b", "-q", "-o", "cat", "-u", UNIT, "--grep", '"event":"started"']
        return len(self.machine.run(*log, status=None).out.splitlines())

    def status(self) -> str:
        """Give what `systemctl status` shows."""
        return self.machine.run("systemctl", "status", "--full", UNIT, status=None).text

    def journal(self) -> str:
        """Give the service's log since the machine was booted."""
        return self.machine.run("journalctl", "-b", "-o", "cat", "-u", UNIT).out

    def last_words(self) -> str:
        """Give what one wants to see when something went wrong."""
        failed = self.machine.run("systemctl", "--failed", "--no-legend", status=None).text
        log = self.machine.sh(
            f"journalctl -u {UNIT} -u nginx -u simulator | grep -v '\"info\"' | tail -n 25"
        )
        return f"{failed}\n{log}"

    def is_listening(self, port: int) -> bool:
        """Say whether anybody listens at a port of 127.0.0.1."""
        return f"127.0.0.1:{port} " in self.machine.run("ss", "-Hltn").out

    def answers(self) -> bool:
        """Say whether the local API answers."""
        return '"ok"' in self.curl("/health", status=None)

    def curl(self, path: str, *options: str, status: int | None = 0) -> str:
        """Ask the local API over its Unix socket."""
        url = f"http://localhost{path}"
        socket = ["--unix-socket", API_SOCKET]
        return self.machine.run("curl", "-sS", *socket, *options, url, status=status).out

    # Using

    def restart(self) -> None:
        """Restart it as an admin does; back once it is ready."""
        self.machine.run("systemctl", "restart", UNIT)

    def deliver(self, uuid: str, *, status: str = "delivered") -> int:
        """Carry a genuine callback to the public listener, and give the answer's status."""
        fields = {"MessageUUID": uuid, "Status": status, "To": "14155552323", "ErrorCode": ""}
        request = signed_request("POST", f"{PUBLIC_URL}/plivo/status", fields, AUTH_TOKEN)
        headers = [part for name in request.headers.items() for part in ("-H", ": ".join(name))]
        curl = ["curl", "-s", "-m", "8", "-o", "/dev/null", "-w", "%{http_code}", *headers]
        target = f"http://127.0.0.1:8787{request.target}"
        done = self.machine.run(*curl, "-d", request.body.decode(), target, status=None)
        return int(done.out)

    def send(self, to: str = "+14155552323") -> str:
        """Send a message over the Unix socket; its id comes back."""
        reply = json.loads(self.curl("/send", "-d", f"to={to}", "-d", "text=hello"))
        assert "id" in reply, reply
        return str(reply["id"])

    def message(self, name: str) -> dict[str, Any]:
        """Ask about a message."""
        shown = self.machine.run("plivostatusctl", "show", "--json", name).out
        return dict(json.loads(shown))

    def final_status(self, name: str) -> str:
        """Wait until a message's status is final, and give it."""
        until(lambda: self.message(name)["final"], f"{name} is final")
        return str(self.message(name)["status"])

    def rows(self, sql: str, *arguments: str) -> list[list[Any]]:
        """Look into the store, as its owner."""
        script = (
            "import json, sqlite3, sys\n"
            "rows = sqlite3.connect(sys.argv[1]).execute(sys.argv[2], sys.argv[3:]).fetchall()\n"
            "print(json.dumps(rows))"
        )
        as_owner = ["runuser", "-u", "plivostatusd", "--", "python3", "-I", "-c", script]
        return list(
            json.loads(self.machine.run(*as_owner, f"{STORE}/status.db", sql, *arguments).out)
        )


def lay_certificate(machine: Machine, certificate: Certificate) -> None:
    """Lay a certificate as certbot does: what is in live/ are links into archive/."""
    live, archive = (f"/etc/letsencrypt/{name}/{SERVER_NAME}" for name in ("live", "archive"))
    machine.sh(
        f"install -d -m 0700 /etc/letsencrypt/live /etc/letsencrypt/archive {archive} {live}"
    )
    for name, source in (("fullchain", certificate.chain), ("privkey", certificate.key)):
        machine.copy(source, f"{archive}/{name}1.pem")
        machine.sh(f"ln -sf ../../archive/{SERVER_NAME}/{name}1.pem {live}/{name}.pem")
    machine.sh(f"chmod 0600 {archive}/privkey1.pem")
    machine.copy(certificate.authority, "/srv/authority.pem")
