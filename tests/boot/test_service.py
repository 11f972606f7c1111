"""What start, stop, restart and reload mean, and figures of the service at rest."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.boot.service import API_SOCKET, SENDER, UNIT, Service

Figure = Callable[[str], None]

OTHER = "+14155551299"
DEB_MB_MAX = 10.0
INSTALLED_MB_MAX = 45.0
# The figures to reach are a third of these: two cores may be shared with others.
READY_S_MAX = 3 * 0.6
MEMORY_MIB_MAX = 60.0
WAKE_UPS_MAX = 2.0
WATCHED_S = 10
EXPOSURE_MAX = 1.5


def sockets(service: Service) -> str:
    """Return which sockets are listened on: the kernel's numbers of them, and the file's."""
    listening = service.machine.sh("ss -Hltne sport = :8787 or sport = :8788")
    file = service.machine.sh(f"stat -c 'file %i %A %U:%G' {API_SOCKET}")
    return " ".join(sorted(re.findall(r"ino:\d+", listening))) + " " + file.strip()


def test_stop_and_start(service: Service) -> None:
    """Stop closes every port and takes api.sock away; start brings all of it back."""
    service.machine.run("systemctl", "stop", UNIT)
    assert not any(service.is_listening(port) for port in (8787, 8788))
    assert 0 != service.machine.run("test", "-e", API_SOCKET, status=None).status
    assert "inactive" == service.shown("ActiveState")
    service.machine.run("systemctl", "start", UNIT)
    assert all(service.is_listening(port) for port in (8787, 8788))
    assert service.answers()


def test_what_runs(service: Service) -> None:
    """HTTP is read in C, on uvloop's loop: what is vendored runs here, in this sandbox."""
    assert '"loop":"uvloop ' in service.journal()
    assert '"parser":"httptools ' in service.journal()


def test_restart_keeps_the_sockets(service: Service) -> None:
    """The sockets after a restart are the ones from before; api.sock is for the group."""
    before = sockets(service)
    assert 2 == before.count("ino:")
    assert before.endswith("srw-rw---- plivostatusd:plivostatusd")
    service.restart()
    assert before == sockets(service)


def test_a_member_of_the_group_may_send(service: Service) -> None:
    """Whom the admin adds to the group sends by api.sock; who is not in it cannot."""
    machine = service.machine
    send = f"curl -sS --unix-socket {API_SOCKET} -d to=+14155550001 -d text=x http://localhost/send"
    machine.sh("adduser backup plivostatusd")
    assert '"status":' in machine.run("runuser", "-u", "backup", "--", *send.split()).out
    machine.run("runuser", "-u", "games", "--", *send.split(), status=7)
    machine.sh("deluser backup plivostatusd")


def test_reload(service: Service) -> None:
    """Reload returns once the new settings hold, with 0, in the same process."""
    pid = service.pid
    service.set_line("from =", f"from = {OTHER}")
    service.machine.run("systemctl", "reload", UNIT)
    assert OTHER == service.message(service.send())["from"]
    assert pid == service.pid


def test_bad_reload(service: Service) -> None:
    """Reload fails over a bad file, status says why, and the old settings go on."""
    pid = service.pid
    service.set_line("from =", f"from = {OTHER}\\nnonsense = 1")
    done = service.machine.run("systemctl", "reload", UNIT, status=None)
    assert done.status not in {None, 0}
    assert "nonsense" in service.status()
    assert SENDER == service.message(service.send())["from"]
    assert (pid, 0) == (service.pid, service.restarts)
    assert "active" == service.shown("ActiveState")
    service.configure()
    service.machine.run("systemctl", "reload", UNIT)
    assert "nonsense" not in service.shown("StatusText")


def test_size(service: Service, figure: Figure) -> None:
    """The package and what it installs, compiled modules included, stay small."""
    deb_mb = service.package.deb.stat().st_size / 1e6
    counted = service.machine.sh(
        '{ dpkg -L plivostatusd | while read -r f; do [ -d "$f" ] || echo "$f"; done;'
        " find /usr/lib/plivostatusd -name '*.pyc'; }"
        " | tr '\\n' '\\0' | du -cb --files0-from=- | tail -n 1"
    )
    installed_mb = int(counted.split()[0]) / 1e6
    figure(f"{service.machine.suite}: .deb {deb_mb:.1f} MB, installed {installed_mb:.1f} MB")
    assert deb_mb <= DEB_MB_MAX
    assert installed_mb <= INSTALLED_MB_MAX


def test_start_takes(service: Service, figure: Figure) -> None:
    """From the start of the process to READY it is fast."""
    service.restart()
    begin_us, ready_us = (
        int(service.shown(name))
        for name in ("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    )
    took_s = (ready_us - begin_us) / 1e6
    figure(f"{service.machine.suite}: start to READY in {took_s:.2f} s")
    assert took_s <= READY_S_MAX


# Of all threads together, how often they began to wait, in so many seconds; then the memory held.
WATCH = r"""
count='/^voluntary_ctxt_switches/ { n += $2 } END { print n }'
waits() { cat "/proc/$1"/task/*/status | awk "$count"; }
before=$(waits "$1"); sleep "$2"; echo $(($(waits "$1") - before))
awk '/^VmRSS/ { print $2 }' "/proc/$1/status"
"""


def test_at_rest(service: Service, figure: Figure) -> None:
    """A daemon with nothing to do seldom wakes up, holds little memory, and says what it did."""
    assert "delivered" == service.final_status(service.send())
    done = service.machine.run("bash", "-c", WATCH, "bash", str(service.pid), str(WATCHED_S))
    waits, kib = map(int, done.out.split())
    wake_ups, mib = waits / WATCHED_S, kib / 1024
    figure(f"{service.machine.suite}: {wake_ups:.1f} wake-ups/s, {mib:.0f} MiB at rest")
    assert wake_ups <= WAKE_UPS_MAX
    assert mib <= MEMORY_MIB_MAX
    assert "1 calls to Plivo" in service.shown("StatusText")


def test_exposure(service: Service, figure: Figure) -> None:
    """The unit has no fault that systemd can tell, and its sandbox leaves little open."""
    unit = f"/usr/lib/systemd/system/{UNIT}"
    assert "" == service.machine.sh(f"systemd-analyze verify --man=no {unit}")
    shown = service.machine.run("systemd-analyze", "security", "--no-pager", UNIT).out
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", shown)
    assert level is not None
    figure(f"{service.machine.suite}: exposure {level[1]}")
    assert float(level[1]) <= EXPOSURE_MAX
