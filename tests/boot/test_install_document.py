"""docs/install.md, typed as it stands, and what doctor says of the mistakes made afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.certificate import Certificate
from tests.boot.machine import Done, Machine, until
from tests.boot.service import CONF, CREDENTIALS, SITE, Service
from tests.boot.versions import Version
from tests.meta.documents import DOCS, blocks

# A person has five minutes; what is left of them is for reading.
WALK_S_MAX = 100.0
SECOND_PART = "\n## With your own account\n"
ENABLED = "/etc/nginx/sites-enabled/plivostatusd"
RELOAD_NGINX = "nginx -t && systemctl reload nginx"
SIMULATE = (
    "systemctl stop plivo-simulator\n"
    "systemd-run --quiet --unit=plivo-simulator plivostatusctl simulate --speed 20"
)

# Only `openssl ca` lets us say when a certificate ended.
EXPIRED = r"""
cd /etc/ssl/sms && cp server.pem good.pem && touch index && echo 01 >serial
printf '%s\n' '[ca]' 'default_ca = here' '[here]' 'database = index' 'serial = serial' \
    'new_certs_dir = .' 'default_md = sha256' 'policy = any' '[any]' 'commonName = supplied' >ca.cnf
openssl req -new -config openssl.cnf -subj /CN=sms.example.com -key server.key -out request.pem
openssl ca -batch -notext -config ca.cnf -cert authority.pem -keyfile authority.key \
    -extfile openssl.cnf -extensions server -in request.pem \
    -startdate 20200101000000Z -enddate 20200102000000Z -out server.pem
"""


@dataclass(frozen=True, slots=True)
class Walk:
    """What was typed, block by block, and what came of it."""

    service: Service
    typed: list[str]
    done: list[Done]
    seconds: float

    def said(self, words: str) -> Done:
        """Give what came of the block that has *words* in it."""
        return next(
            done for block, done in zip(self.typed, self.done, strict=True) if words in block
        )


def parts() -> tuple[list[str], list[str]]:
    """Return the document's blocks: with the simulator, and with an account."""
    first, _, second = (DOCS / "install.md").read_text("utf-8").partition(SECOND_PART)
    return blocks(first, "sh"), blocks(second, "sh")


@pytest.fixture(scope="module")
def walk(suite: str, machines: Path, package: Version, certificate: Certificate) -> Iterator[Walk]:
    """Boot a machine, put the package's file there, and type the document's first part."""
    typed, _ = parts()
    with Machine(suite, "document", machines, syncs=False) as machine:
        machine.copy(package.deb, f"/srv/{package.deb.name}")
        began_s = time.monotonic()
        done = [machine.run("bash", "-c", f"cd /srv\n{block}", status=None) for block in typed]
        seconds = time.monotonic() - began_s
        yield Walk(Service(machine, package, certificate), typed, done, seconds)


def faults(service: Service) -> dict[str, str]:
    """Return what doctor finds that is not well, warnings too: what, and what to type, by name."""
    said = service.machine.run("plivostatusctl", "doctor", "--json", status=None).out
    found = [each for each in json.loads(said)["checks"] if each["state"] != "ok"]
    return {each["name"]: f"{each['found']} -> {each['fix']}" for each in found}


@contextmanager
def planted(walk: Walk, plant: str, mend: str) -> Iterator[Callable[[], dict[str, str]]]:
    """Have a mistake made, for the length of a block, which can ask doctor about it."""
    machine = walk.service.machine
    machine.sh(plant)
    try:
        yield lambda: faults(walk.service)
    finally:
        machine.sh(mend)
    until(lambda: set(faults(walk.service)) <= {"public address", "callbacks"}, "it is mended")


def test_word_for_word(walk: Walk, figure: Callable[[str], None]) -> None:
    """Who types what the document says, and no more, has a delivered message at the end."""
    for block, done in zip(walk.typed, walk.done, strict=True):
        assert not done.status, f"{block}\n{done.text}"
    message = json.loads(walk.said("/send").out)
    (listed,) = walk.said("list --status delivered").out.splitlines()[-1:]
    assert message["id"] in listed
    assert "delivered" in listed
    figure(f"{walk.service.machine.suite}: install.md walked in {walk.seconds:.0f} s")
    assert walk.seconds <= WALK_S_MAX


def test_doctor_is_content(walk: Walk) -> None:
    """At the document's end doctor has the one warning of which the document speaks."""
    said = walk.said("plivostatusctl doctor").out
    assert said.rstrip().endswith("17 ok, 1 warning, 0 faults")
    assert "sms.example.com is 127.0.0.1, which the internet does not reach" in said


def test_what_follows(walk: Walk) -> None:
    """A program may use the Unix socket as the document's end says."""
    (send,) = (block for block in parts()[1] if "--unix-socket" in block)
    reply = json.loads(walk.service.machine.run("bash", "-c", send).out)
    assert "delivered" == walk.service.final_status(reply["id"])


def test_own_token(walk: Walk) -> None:
    """The document's second part stores a token, tests, and starts anew, all with good ends."""
    secret, start = parts()[1][1:3]
    machine = walk.service.machine
    machine.run("bash", "-c", secret, given="simulator-token\n")
    assert "600 root" == machine.sh(f"stat -c '%a %U' {CREDENTIALS}/auth_token").strip()
    assert "0 faults" in machine.sh(start)


def test_wrong_public_url(walk: Walk) -> None:
    """A name that leads nowhere is said to, and to be none that Nginx serves."""
    plant = f"sed -i 's|^public_url = .*|public_url = https://sms.example.org|' {CONF}"
    mend = f"sed -i 's|^public_url = .*|public_url = https://sms.example.com|' {CONF}"
    reload = "plivostatusd -t && systemctl reload plivostatusd"
    with planted(walk, f"{plant}; {reload}", f"{mend}; {reload}") as doctor:
        found = doctor()
        assert "sms.example.org has no address" in found["public address"]
        assert found["nginx"].endswith("in Nginx: server_name sms.example.org;")


def test_old_token(walk: Walk) -> None:
    """A token that Plivo has replaced is told to be wrong; the new one, that it waits."""
    token = f"{CREDENTIALS}/auth_token"
    plant = f"echo new-token >/srv/new\n{SIMULATE} --auth-token-file /srv/new"
    mend = f"{SIMULATE}\necho simulator-token >{token}"
    with planted(walk, plant, mend) as doctor:
        until(lambda: "answers 401" in doctor().get("credentials", ""), "the token is refused")
        assert "the first token" in doctor()["credentials"]
        walk.service.machine.sh(f"cat /srv/new >{token}")
        assert "goes by another token" in doctor()["configuration"]
        assert doctor()["configuration"].endswith("-> systemctl restart plivostatusd")


def test_proxy_pass_with_a_path(walk: Walk) -> None:
    """Why callbacks are refused is told, and the line of Nginx's that does it."""
    old, new = "proxy_pass http://plivostatusd;", "proxy_pass http://plivostatusd/in/;"
    plant = f"cp {SITE} /srv/site && sed -i '0,\\|{old}|s||{new}|' {SITE} && {RELOAD_NGINX}"
    with planted(walk, plant, f"cp /srv/site {SITE} && {RELOAD_NGINX}") as doctor:
        walk.service.machine.run("plivostatusctl", "send", "+14155552323", "hello")
        until(lambda: "path-rewritten" in doctor().get("callbacks", ""), "the cause is found")
        found = doctor()
        for name in ("nginx path", "front door", "callbacks"):
            assert "location /plivo/ { proxy_pass http://127.0.0.1:8787; }" in found[name]


def test_site_not_enabled(walk: Walk) -> None:
    """What enables the site is there to be typed."""
    link = f"ln -s ../sites-available/plivostatusd {Path(ENABLED).parent}/"
    plant = f"rm {ENABLED} && {RELOAD_NGINX}"
    with planted(walk, plant, f"{link} && {RELOAD_NGINX}") as doctor:
        assert link in doctor()["nginx"]


def test_certificate_expired(walk: Walk) -> None:
    """The certificate is said to have expired."""
    mend = f"mv /etc/ssl/sms/good.pem /etc/ssl/sms/server.pem && {RELOAD_NGINX}"
    with planted(walk, f"{EXPIRED}\n{RELOAD_NGINX}", mend) as doctor:
        until(lambda: "expired" in doctor().get("certificate", ""), "the new one is served")
        found = doctor()
        assert "certbot renew" in found["certificate"]
        assert "expired" in found["front door"]
