"""`plivostatusctl doctor` before a real Nginx, a real daemon and signatures of Plivo's own SDK."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.simulator import signed_request
from plivostatusd.simulator.options import AUTH_TOKEN
from tests.acceptance.front import FIELDS, HOST, NUMBER, Check, Front, standing
from tests.acceptance.nginx import SERVER_NAME

REF = "0123456789abcdef0123456789abcdef"
OLD, MAIN = "the-token-before-this-one", "the-main-accounts-own-token"
DOCTOR_S_MAX = 10.0
ABOUT_THIS_HOST = {"certificate", "sandbox"}
"""A certificate of one day, and a daemon that may run as root: true of the test, not of a fault."""
PASS = "        proxy_pass http://plivostatusd;\n"
Plant = Callable[[Front], Awaitable[int]]


def states(checks: list[Check]) -> dict[str, str]:
    """Give each check's worst state."""
    order = ("ok", "warning", "fault")
    worst: dict[str, str] = {}
    for check in checks:
        before = worst.get(check["name"], "ok")
        worst[check["name"]] = max(before, check["state"], key=order.index)
    return worst


def named(checks: list[Check]) -> set[tuple[str, str]]:
    """Give each mistake that refused callbacks showed, with the line to change."""
    about = [check for check in checks if check["name"] == "callbacks"]
    return {(check["found"].split(": ")[1], check["fix"]) for check in about}


async def planted(front: Front, plant: Plant, *, status: int = 403) -> list[Check]:
    """Let a callback be refused until it is kept (one a second is), and call the doctor."""
    before = front.daemon.rows("SELECT count(*) FROM refused")[0][0]
    while front.daemon.rows("SELECT count(*) FROM refused")[0][0] == before:
        assert status == await plant(front)
        await asyncio.sleep(0.05)  # nobody tells when the second is over
    ended, checks = await front.doctor()
    assert int("fault" in states(checks).values()) == ended
    return checks


def called(signed: str, target: str = "/plivo/status", **options: Any) -> Plant:
    """Plant a callback that Plivo signed for *signed* (`HERE`: Nginx's), and calls as *target*."""
    return lambda front: front.call(spelt(signed, front), target, **options)


def spelt(text: str, front: Front) -> str:
    """Put Nginx's URL and port, and the test's folder, into *text*."""
    marks = {"HERE": front.url, "PORT": str(front.nginx.port), "FOLDER": str(front.daemon.folder)}
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text


def changed(change: Callable[[dict[str, str]], dict[str, str]], **options: Any) -> Plant:
    """Plant a callback whose headers somebody changed."""

    async def plant(front: Front) -> int:
        url = f"{front.url}/plivo/status"
        made = signed_request("POST", url, FIELDS, AUTH_TOKEN, **options)
        return await front.carry(replace(made, headers=change(dict(made.headers))), "/plivo/status")

    return plant


async def test_a_good_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all is well there is no fault and no warning, in less than ten seconds."""
    async with standing(tmp_path, monkeypatch) as front:
        assert 200 == await front.call(f"{front.url}/plivo/status", "/plivo/status")
        began_s = time.monotonic()
        status, checks = await front.doctor()
        assert time.monotonic() - began_s < DOCTOR_S_MAX
        assert [(1,)] == front.daemon.rows("SELECT count(*) FROM messages")
        _, text, _ = await front.ctl("doctor")
    assert 0 == status
    worst = states(checks)
    assert {"ok"} == {state for name, state in worst.items() if name not in ABOUT_THIS_HOST}
    assert 18 == len(worst)
    assert text.splitlines()[-1].endswith(" 0 faults")
    assert AUTH_TOKEN not in text


@dataclass(frozen=True)
class Wrong:
    """One mistake on the site as shipped: what is planted, its name, and the line to change."""

    plant: Plant
    mistake: str
    fix: str
    status: int = 403


WRONG = {
    "scheme": Wrong(
        called(f"http://{HOST}:PORT/plivo/status"),
        "scheme",
        f"[callbacks] public_url = http://{HOST}:PORT, HERE",
    ),
    "host": Wrong(
        called(f"https://{SERVER_NAME}:PORT/plivo/status"),
        "host",
        f"[callbacks] public_url = https://{SERVER_NAME}:PORT, HERE",
    ),
    "port": Wrong(
        called(f"https://{HOST}/plivo/status"),
        "port",
        f"[callbacks] public_url = https://{HOST}, HERE",
    ),
    "a port that is the usual one": Wrong(
        called(f"https://{HOST}:443/plivo/status"),
        "port",
        f"[callbacks] public_url = https://{HOST}:443, HERE",
    ),
    "a slash at the end": Wrong(
        called("HERE/plivo/status/", "/plivo/status/"),
        "trailing-slash",
        "give Plivo the URL HERE/plivo/status",
        404,
    ),
    "a prefix that nginx strips": Wrong(
        called(f"HERE/sms/plivo/{REF}/status", f"/sms/plivo/{REF}/status"),
        "prefix",
        "[callbacks] public_url = HERE, HERE/sms",
    ),
    "escapes": Wrong(
        called("HERE/plivo/%73tatus", "/plivo/%73tatus"),
        "percent-encoding",
        "give Plivo the URL HERE/plivo/status",
        404,
    ),
    "the rule of V2": Wrong(
        changed(
            lambda headers: {
                "Content-Type": headers["Content-Type"],
                "X-Plivo-Signature-V3": headers["X-Plivo-Signature-V2"],
                "X-Plivo-Signature-V3-Nonce": headers["X-Plivo-Signature-V2-Nonce"],
            },
            signatures="v2",
        ),
        "wrong-rule",
        "sign as Plivo's SDK does; Plivo itself never signs so",
    ),
    "an old token": Wrong(
        called("HERE/plivo/status", token=OLD),
        "old-token",
        "put it on the second line of FOLDER/auth_token, and systemctl restart plivostatusd",
    ),
    "the main account's token": Wrong(
        changed(
            lambda headers: {
                name: value
                for name, value in headers.items()
                if name not in {"X-Plivo-Signature-V2", "X-Plivo-Signature-V3"}
            },
            main_token=MAIN,
        ),
        "main-token",
        "[plivo] main_auth_token_file = FOLDER/main_token",
    ),
    "a newline behind the token": Wrong(
        called("HERE/plivo/status", token=f"{AUTH_TOKEN}\n"),
        "token-newline",
        "store the token without it where it signs: printf %s TOKEN, or tr -d '\\r\\n ' <"
        " FOLDER/auth_token",
    ),
}


async def test_what_is_wrong_before_nginx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mistake in URL, token or signature is named, with the line to change; then all."""
    (tmp_path / "auth_token.old").write_text(OLD)
    (tmp_path / "main_token").write_text(MAIN)

    def with_a_prefix(site: str) -> str:
        more = "location /sms/plivo/ { proxy_pass http://plivostatusd/plivo/; }\n"
        return site.replace("    location = /plivo {", f"    {more}    location = /plivo {{")

    async with standing(tmp_path, monkeypatch, change=with_a_prefix) as front:
        front.daemon.allow("callback_refused")
        found: set[tuple[str, str]] = set()
        for name, wrong in WRONG.items():
            found = named(await planted(front, wrong.plant, status=wrong.status))
            assert (wrong.mistake, spelt(wrong.fix, front)) in found, name
        assert len(WRONG) == len(found)
        _, text, _ = await front.ctl("doctor")
        assert [] == front.daemon.rows("SELECT * FROM events")
    for secret in (AUTH_TOKEN, OLD, MAIN, NUMBER, REF):
        assert secret not in text


@dataclass(frozen=True)
class Site:
    """One mistake in Nginx's site, or in what goes with it."""

    change: dict[str, str]
    plant: Plant
    mistake: str
    fix: str
    status: int = 403
    prefix: str = ""
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    at_door: str = "fault"
    in_path: str = "fault"


PLAIN = "in Nginx: location /plivo/ { proxy_pass http://127.0.0.1:DAEMON; }"
CUT = "in Nginx: location /sms/plivo/ { proxy_pass http://127.0.0.1:DAEMON/plivo/; }"
SITES = {
    "/plivo taken away": Site(
        {PASS: "proxy_pass http://plivostatusd/;\n"},
        called(f"HERE/plivo/{REF}/status", f"/plivo/{REF}/status"),
        "path-stripped",
        PLAIN,
        404,
    ),
    "a prefix passed on": Site(
        {"location /plivo/ {": "location /sms/plivo/ {"},
        called(f"HERE/sms/plivo/{REF}/status", f"/sms/plivo/{REF}/status"),
        "prefix-kept",
        CUT,
        404,
        prefix="/sms",
    ),
    "something put before": Site(
        {PASS: "proxy_pass http://plivostatusd/app/plivo/;\n"},
        called("HERE/plivo/status"),
        "prefix-added",
        PLAIN,
        404,
    ),
    "a slash added": Site(
        {PASS: f"rewrite ^(.*[^/])$ $1/ break;\n{PASS}"},
        called("HERE/plivo/status"),
        "trailing-slash",
        PLAIN,
        404,
    ),
    "a path re-spelt": Site(
        {PASS: "proxy_pass http://plivostatusd/plivo/;\n"},
        called("HERE/plivo/%73tatus", "/plivo/%73tatus"),
        "percent-encoding",
        "give Plivo the URL HERE/plivo/status",
        at_door="ok",
        in_path="ok",
    ),
    "a query added": Site(
        {PASS: f"set $args via=nginx;\n{PASS}"},
        called("HERE/plivo/status", signatures="v3"),
        "query-added",
        PLAIN,
        in_path="ok",
    ),
    "a query dropped": Site(
        {PASS: f'set $args "";\nproxy_set_header X-Original-URI $request_uri;\n{PASS}'},
        called("HERE/plivo/status?team=1", "/plivo/status?team=1", signatures="v3"),
        "query-dropped",
        PLAIN,
        at_door="ok",
        in_path="ok",
    ),
    "a nonce dropped": Site(
        {PASS: f'proxy_set_header X-Plivo-Signature-V3-Nonce "";\n{PASS}'},
        called("HERE/plivo/status", signatures="v3"),
        "nonce-lost",
        "remove what clears X-Plivo-Signature-V2-Nonce and -V3-Nonce in Nginx",
    ),
    "V2 where V3 is wanted": Site(
        {},
        called("HERE/plivo/status", signatures="v2"),
        "too-weak",
        "[callbacks] minimum_trust = url-only",
        settings={"callbacks": {"minimum_trust": "full"}},
        at_door="ok",
        in_path="ok",
    ),
    "a token in two lines": Site(
        {},
        called("HERE/plivo/status"),
        "token-split",
        "join lines 1 and 2 of FOLDER/broken_token into one",
        settings={"plivo": {"auth_token_file": "FOLDER/broken_token"}},
        at_door="ok",
        in_path="ok",
    ),
}


@pytest.mark.parametrize("name", SITES)
async def test_what_is_wrong_in_nginx(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Each mistake is named by the callback that it cost, and where it can be seen, before that."""
    site = SITES[name]
    broken = tmp_path / "broken_token"
    broken.write_text(f"{AUTH_TOKEN[:6]}\n{AUTH_TOKEN[6:]}\n")
    broken.chmod(0o600)
    settings = {
        section: {key: value.replace("FOLDER", str(tmp_path)) for key, value in keys.items()}
        for section, keys in site.settings.items()
    }

    def change(text: str) -> str:
        for old, new in site.change.items():
            assert old in text
            text = text.replace(old, new, 1)
        return text

    async with standing(
        tmp_path, monkeypatch, change=change, prefix=site.prefix, settings=settings
    ) as front:
        front.daemon.allow("callback_refused", "front_door_closed")
        checks = await planted(front, site.plant, status=site.status)
        fix = spelt(site.fix, front).replace("DAEMON", str(front.daemon.public_port))
    assert {(site.mistake, fix)} == named(checks)
    worst = states(checks)
    assert (site.at_door, site.in_path) == (worst["front door"], worst["nginx path"])


async def test_a_token_that_was_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new token in the file, which the daemon has not read, is called that."""
    async with standing(tmp_path, monkeypatch) as front:
        front.daemon.allow("callback_refused")
        (tmp_path / "auth_token").write_text(f"new-{AUTH_TOKEN}\n")  # it keeps its mode
        checks = await planted(front, called("HERE/plivo/status", token=f"new-{AUTH_TOKEN}"))
    assert {("token-not-loaded", "systemctl restart plivostatusd")} == named(checks)
    worst = states(checks)
    assert ("warning", "fault") == (worst["configuration"], worst["credentials"])


async def test_what_was_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the line is changed as told, what was refused before is no fault any more."""
    async with standing(tmp_path, monkeypatch) as front:
        front.daemon.allow("callback_refused")
        signed = f"https://{SERVER_NAME}/plivo/status"
        checks = await planted(front, called(signed))
        ((_, fix),) = named(checks)
        front.daemon.settings["callbacks"]["public_url"] = fix.partition(" = ")[2]
        front.daemon.write_config()
        front.daemon.signal(signal.SIGHUP)
        await front.daemon.line("config_reloaded")
        assert 200 == await front.call(signed, "/plivo/status")
        status, checks = await front.doctor()
    assert ["mended"] == [mistake for mistake, _ in named(checks)]
    assert "ok" == states(checks)["callbacks"]
    assert status == int("fault" in states(checks).values())


async def test_the_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which token verified when is known to the moment, across a restart, and no token is shown."""
    both = tmp_path / "two_tokens"
    both.write_text(f"{AUTH_TOKEN}\n{OLD}\n")
    both.chmod(0o600)
    plivo = {"auth_token_file": str(both)}
    async with standing(tmp_path, monkeypatch, settings={"plivo": plivo}) as front:
        url = f"{front.url}/plivo/status"
        assert 200 == await front.call(url, "/plivo/status", token=OLD)
        _, before, _ = await front.ctl("--json", "tokens")
        assert 200 == await front.call(url, "/plivo/status", token=[OLD, AUTH_TOKEN])
        await front.daemon.stop()
        await front.daemon.start()
        _, after, _ = await front.ctl("--json", "tokens")
    used = [
        [each["last_used_at"] for each in json.loads(text)["tokens"]] for text in (before, after)
    ]
    assert used[0][0] is None
    assert used[0][1] == used[1][1]
    assert used[1][0] > used[1][1]
    assert OLD not in before + after
    assert AUTH_TOKEN not in before + after


async def test_without_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that is down is one fault, with how to start it; the rest is looked at."""
    async with standing(tmp_path, monkeypatch, is_up=False) as front:
        status, checks = await front.doctor()
    worst = states(checks)
    assert 1 == status
    assert ["daemon"] == [name for name, state in worst.items() if state == "fault"]
    (down,) = [check for check in checks if check["name"] == "daemon"]
    assert down["fix"].startswith("systemctl start plivostatusd")
    looked = {"configuration", "secret files", "credentials", "clock", "nginx", "nginx path"}
    assert {"ok"} == {worst[name] for name in looked}


async def test_a_daemon_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that takes connections and says nothing is a fault, and keeps nobody waiting."""
    async with standing(tmp_path, monkeypatch) as front:
        front.daemon.signal(signal.SIGSTOP)
        began_s = time.monotonic()
        status, checks = await front.doctor()
        assert time.monotonic() - began_s < DOCTOR_S_MAX
        front.daemon.signal(signal.SIGCONT)
    worst = states(checks)
    assert (1, "fault") == (status, worst["daemon"])
    assert {"ok"} == {worst[name] for name in ("configuration", "credentials", "nginx path")}


async def test_without_nginx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing takes connections, the address and the probe warn, and nothing hangs."""
    async with standing(tmp_path, monkeypatch) as front:
        front.nginx.stop()
        with socket.socket() as nobody:  # takes no connections, and keeps others off the port
            nobody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            nobody.bind(("127.0.0.1", front.nginx.port))
            status, checks = await front.doctor()
    worst = states(checks)
    assert 0 == status, checks
    ways_in = ("public address", "front door", "certificate")
    assert {"warning"} == {worst[name] for name in ways_in}, checks
