"""The checks of `doctor`, each with what it is told, and how they are made at once."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from plivostatusd.ctl.context import Run
from plivostatusd.ctl.doctor import (
    account,
    configuration,
    daemon,
    front_door,
    public_address,
    rounds,
    sandbox,
    secret_files,
    spool,
    store,
    versions,
)
from plivostatusd.ctl.doctor.check import Check
from plivostatusd.ctl.doctor.command import Said, said
from plivostatusd.ctl.doctor.plivo import Answer
from plivostatusd.ctl.doctor.scene import Once, Scene
from plivostatusd.ctl.errors import Refused
from tests.unit.doctor_stage import DOWN, TOKEN, URL, Stage, one, seen, settings, told
from tests.unit.test_ctl_daemon import Answer as Reply
from tests.unit.test_ctl_daemon import always, problem, run, serving

# Configuration and secrets


def test_a_good_configuration(tmp_path: Path) -> None:
    """A configuration that is good, and in force, is ok."""
    path = settings(tmp_path, api="listen = unix:/run/x.sock")
    assert ("ok", f"{path} is good") == one(configuration.check, Stage(path, told()))


def test_a_bad_configuration(tmp_path: Path) -> None:
    """Problems are a fault that names the first and counts the rest."""
    path = settings(tmp_path, callbacks="nonsense = 1\nqueue_max = x")
    state, found = one(configuration.check, Stage(path))
    assert "fault" == state
    assert "(and 1 more) -> plivostatusd -t -c" in found
    missing = one(configuration.check, Stage(tmp_path / "none.conf"))
    assert "fault" == missing[0]


def test_files_that_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not read what the configuration names is told to be root: that is no fault."""

    def denied(*_: Any, **__: Any) -> None:
        raise PermissionError

    stage = Stage(settings(tmp_path))
    read = Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, *a: denied() if "token" in self.name else read(self, *a)
    )
    state, found = one(configuration.check, stage)
    assert ("warning", True) == (state, found.endswith("-> sudo plivostatusctl doctor"))


def test_what_is_in_force(tmp_path: Path) -> None:
    """Settings that were changed since, another file and a refused reload are told apart."""
    path = settings(tmp_path, api="listen = unix:/run/x.sock")
    changed = told(public_urls=["https://x"], minimum_trust="full", tokens=["0"])
    found = seen(configuration.check, Stage(path, changed))[1]
    assert "warning" == found[0]
    assert "callbacks.public_url and callbacks.minimum_trust and token" in found[1]
    other = seen(configuration.check, Stage(path, told(config="/other.conf")))[1]
    assert other[1].endswith("-> plivostatusctl -c /other.conf doctor")
    assert "fault" == seen(configuration.check, Stage(path, told(config_good=False)))[1][0]


def test_a_token_that_waits_for_a_restart(tmp_path: Path) -> None:
    """What was stored since systemd handed the token over is seen in its file."""
    path = settings(tmp_path)
    stage = Stage(path, told())
    assert 1 == len(
        seen(configuration.check, stage)
    )  # and that reads the file as it was handed over
    (tmp_path / "auth_token").write_text(f"{TOKEN}\n# an old one\nanother-token\n")
    state, found = seen(configuration.check, stage)[1]
    assert ("warning", True) == (state, found.endswith("-> systemctl restart plivostatusd"))
    assert "the daemon goes by another token" in found


def test_secret_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that others may read is a fault, one that its group may write a warning."""
    monkeypatch.setattr(secret_files, "STORED", tmp_path / "none")
    path = settings(tmp_path, api="listen = unix:/run/x.sock")
    assert "ok" == one(secret_files.check, Stage(path))[0]
    stage = Stage(path)
    assert stage.config is not None  # read before the file is opened to others
    (tmp_path / "auth_token").chmod(0o644)
    assert ("fault", f"chmod 0600 {tmp_path}/auth_token") == _fixed(secret_files.check, stage)
    (tmp_path / "auth_token").chmod(0o660)
    assert ("warning", f"chmod g-w {tmp_path}/auth_token") == _fixed(secret_files.check, stage)
    tmp_path.chmod(0o777)
    (tmp_path / "auth_token").chmod(0o600)
    assert ("fault", f"chmod o-w {tmp_path}") == _fixed(secret_files.check, stage)
    assert "ok" == one(secret_files.check, Stage(tmp_path / "none.conf"))[0]


def _fixed(maker: Callable[[Scene], Iterable[Check]], scene: Scene) -> tuple[str, str]:
    (check,) = maker(scene)
    return check.state, check.fix


# The daemon, its store and its spool


def test_the_daemon(tmp_path: Path) -> None:
    """It runs and is ready; or it does not, and what to type is said."""
    path = settings(tmp_path)
    assert "ok" == one(daemon.check, Stage(path, told()))[0]
    state, found = one(daemon.check, Stage(path))
    assert "fault" == state
    assert "-> systemctl start plivostatusd" in found
    busy = told(ready={"store writable": "locked", "spool empty": "1", "disk free": "x"})
    assert ["fault"] == [state for state, _ in seen(daemon.check, Stage(path, busy))]
    held = told(ready={"outbox moving": "held by root"}, held="held by root")
    lines = seen(daemon.check, Stage(path, held))
    assert ["warning", "ok"] == [state for state, _ in lines]
    assert lines[0][1].endswith("plivostatusctl release")
    paused = told(ready={"outbox moving": "Plivo refuses the account"}, held=None)
    assert ["fault"] == [state for state, _ in seen(daemon.check, Stage(path, paused))]


def test_nobody_is_an_operator(tmp_path: Path) -> None:
    """Where there is no Unix socket the setting is said; else the command that has the rights."""
    no = Refused(403, {"detail": "operators only", "hint": "Type: sudo x"})
    tcp = one(daemon.check, Stage(settings(tmp_path), no))
    assert "[api] listen = 127.0.0.1:8788, unix:/run/plivostatusd/api.sock" in tcp[1]
    both = one(daemon.check, Stage(settings(tmp_path, api="listen = unix:/x"), no))
    assert ("warning", True) == (both[0], "sudo x" in both[1])


GIB = 2**30
WHOLE = {
    "path": "/s/status.db",
    "bytes": GIB,
    "wal_bytes": 0,
    "free_bytes": GIB,
    "free_bytes_min": 10,
    "fault": None,
    "finished": True,
}
STORES: list[tuple[dict[str, Any], list[str], str]] = [
    ({}, ["ok", "ok"], "sound"),
    ({"finished": False}, ["ok", "ok"], "sound as far as"),
    ({"fault": "torn"}, ["fault", "ok"], "--salvage"),
    ({"fault": "torn", "fix": "do this"}, ["fault", "ok"], "do this"),
    ({"wal_bytes": GIB}, ["ok", "warning", "ok"], "write-ahead log"),
    ({"free_bytes": 5}, ["ok", "fault"], "df -h /s"),
    ({"free_bytes": 500}, ["ok", "warning"], "df -h /s"),
    ({"free_bytes": None, "bytes": None}, ["ok", "warning"], "of unknown size"),
]


@pytest.mark.parametrize(("changed", "states", "words"), STORES)
def test_the_store(tmp_path: Path, changed: dict[str, Any], states: list[str], words: str) -> None:
    """Damage, a log that grows and a full disk are told apart."""
    stage = Stage(settings(tmp_path), told(), {"/doctor/store": {**WHOLE, **changed}})
    found = seen(store.check, stage)
    assert states == [state for state, _ in found]
    assert words in str(found)


def test_the_store_from_outside(tmp_path: Path) -> None:
    """Without the daemon the store is not opened, and its size and disk are said."""
    path = settings(tmp_path)
    assert "is not there yet" in one(store.check, Stage(path))[1]
    (tmp_path / "status.db").write_bytes(bytes(2**20))
    found = seen(store.check, Stage(path))
    assert "1.0 MiB; not looked over" in found[0][1]
    assert 2 == len(found)
    assert "warning" == one(store.check, Stage(tmp_path / "none.conf"))[0]
    assert "warning" == one(store.check, Stage(path, told(), {"/doctor/store": DOWN}))[0]


def test_the_spool(tmp_path: Path) -> None:
    """What waits for the store is a fault, what stays behind a warning."""
    path = settings(tmp_path)
    assert ("ok", "empty") == one(spool.check, Stage(path, told()))
    assert "warning" == one(spool.check, Stage(path, told(spool_records=3)))[0]
    waits = told(spool_records=3, ready={"spool empty": "3 callbacks wait for the store"})
    assert "fault" == one(spool.check, Stage(path, waits))[0]
    assert ("ok", "none yet") == one(spool.check, Stage(path))
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "1").write_bytes(bytes(1000))
    assert "1,000 bytes in 1 files" in one(spool.check, Stage(path))[1]
    assert "warning" == one(spool.check, Stage(tmp_path / "none.conf"))[0]


# Plivo


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        (Answer(200), "ok", "takes MAXX"),
        (Answer(401), "fault", "account or token is wrong"),
        (Answer(402), "fault", "no credit"),
        (Answer(403), "fault", "allowed addresses"),
        (Answer(500), "warning", "try again"),
        (Answer(why="no answer in time"), "fault", "cannot be reached: no answer in time"),
        (Answer(why="root alone", is_unasked=True), "warning", "not tried: root alone"),
    ],
)
def test_credentials(tmp_path: Path, answer: Answer, state: str, words: str) -> None:
    """What Plivo's answer says of account and token."""
    found = one(account.credentials, Stage(settings(tmp_path), plivo=answer))
    assert state == found[0]
    assert words in found[1]
    assert TOKEN not in found[1]


@pytest.mark.parametrize(
    ("ahead_s", "state", "words"),
    [
        (0.4, "ok", "agrees"),
        (-4.0, "ok", "agrees"),
        (7.0, "warning", "7 s ahead of"),
        (-90.0, "fault", "90 s behind"),
        (None, "warning", "not compared"),
    ],
)
def test_the_clock(tmp_path: Path, ahead_s: float | None, state: str, words: str) -> None:
    """A clock that is off is worth saying, and one that is a minute off a fault."""
    found = one(account.clock, Stage(settings(tmp_path), plivo=Answer(200, ahead_s=ahead_s)))
    assert state == found[0]
    assert words in found[1]


# The public address


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name without an address is a fault, one that only an inner network knows a warning."""
    stage = Stage(settings(tmp_path), told())
    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", _addresses("10.0.0.1"))
        assert "the internet does not reach" in one(public_address.address, stage)[1]
        patch.setattr(socket, "getaddrinfo", _addresses("93.184.215.14"))
        for takes, state in ((True, "ok"), (False, "warning"), (None, "warning")):
            patch.setattr(public_address, "_connects", lambda *_, takes=takes: takes)
            assert state == one(public_address.address, stage)[0]
        both = _addresses("93.184.215.14", "2606:2800:21f:cb07::1")
        patch.setattr(socket, "getaddrinfo", both)
        for v6, state in ((True, "ok"), (None, "ok"), (False, "warning")):
            patch.setattr(
                public_address, "_connects", lambda each, _, v6=v6: v6 if ":" in each else True
            )
            assert state == one(public_address.address, stage)[0]
        assert "2606:2800:21f:cb07::1 refuses" in one(public_address.address, stage)[1]
    nowhere = Stage(settings(tmp_path), told(public_urls=["https://host.invalid"]))
    state, found = one(public_address.address, nowhere)
    assert ("fault", True) == (state, found.endswith("-> getent ahosts host.invalid"))
    assert "warning" == one(public_address.address, Stage(tmp_path / "none.conf"))[0]


def _addresses(*found: str) -> Callable[..., list[Any]]:
    return lambda *_, **__: [(2, 1, 6, "", (address, 443)) for address in found]


def test_certificates_that_are_not_there(tmp_path: Path) -> None:
    """Without TLS that is said: for this machine it is fine, for the world it is not."""
    path = settings(tmp_path)
    here = Stage(path, told(public_urls=["http://127.0.0.1:8787"]))
    world = Stage(path, told(public_urls=["http://sms.example.com"]))
    states = [one(public_address.certificate, stage)[0] for stage in (here, world)]
    assert ["ok", "warning"] == states
    assert "warning" == one(public_address.certificate, Stage(tmp_path / "none.conf"))[0]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (10, "it has expired -> certbot renew"),
        (62, "it is for another name"),
        (18, "nobody vouches for it (self-signed)"),
        (20, "fullchain.pem"),
        (23, "certificate revoked"),
    ],
)
def test_bad_certificates(code: int, words: str) -> None:
    """What is wrong with a certificate is said in words, with what mends it."""
    error = ssl.SSLCertVerificationError("x")
    error.verify_code, error.verify_message = code, "certificate revoked"
    check = public_address._bad(public_address.Place.of(URL), error)
    assert "fault" == check.state
    assert words in check.cells()[2]


# The rest


def test_the_probe(tmp_path: Path) -> None:
    """A probe that came through is ok, one that could not go out a warning, others a fault."""
    path = settings(tmp_path)
    assert "warning" == one(front_door.check, Stage(path))[0]
    states = []
    for successful, reachable in ((True, True), (False, False), (False, True)):
        answer = {"successful": successful, "reachable": reachable, "found": "f", "fix": "x"}
        with serving("unix", tmp_path) as served:
            served.script = [always(Reply(document=answer))]
            stage = Stage(path, told())
            stage.run = Run(
                options=Namespace(
                    socket=str(tmp_path / "api.sock"), url=None, token_file=None, config=None
                ),
                output=cast("Any", None),
                environ={},
                read_input=bytes,
            )
            states.append(one(front_door.check, stage)[0])
    assert ["ok", "warning", "fault"] == states


def test_versions(tmp_path: Path) -> None:
    """A version that is installed and does not run yet wants a restart."""
    path = settings(tmp_path)
    assert "ok" == one(versions.check, Stage(path, told()))[0]
    assert "SQLite" not in one(versions.check, Stage(path))[1]
    old = one(versions.check, Stage(path, told(version="0.0.1")))
    assert ("warning", True) == (old[0], "restart" in old[1])


def test_an_old_nginx(tmp_path: Path) -> None:
    """An Nginx that is older than the site is made for is a warning."""
    stage = Stage(settings(tmp_path), told())
    stage.run.options = Namespace(nginx="sh -c 'echo nginx version: nginx/1.18.0 >&2'")
    assert ["warning", "ok"] == [state for state, _ in seen(versions.check, stage)]


UNIT = "LoadState=loaded\nMainPID=42\nDropInPaths=/x.conf\n"
CONFINED = (
    f"{UNIT}NoNewPrivileges=yes\nProtectSystem=strict\nPrivateTmp=yes\n"
    "Overall exposure level for plivostatusd.service: 1.3 OK"
)


@pytest.mark.parametrize(
    ("shown", "about", "state", "words"),
    [
        (Said(0, CONFINED), told(pid=42), "ok", "as shipped (exposure 1.3 of 10)"),
        (Said(0, UNIT), told(pid=42), "warning", "NoNewPrivileges"),
        (Said(0, CONFINED), told(pid=43), "warning", "is not the unit's"),
        (Said(0, CONFINED), told(pid=42, uid=0), "warning", "runs as root"),
        (Said(0, "LoadState=not-found\n"), told(), "ok", "no unit"),
        (Said(None, is_missing=True), told(), "ok", "no unit"),
    ],
)
def test_the_sandbox(  # noqa: PLR0913, PLR0917 - a row of the table
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shown: Said,
    about: dict[str, Any],
    state: str,
    words: str,
) -> None:
    """The unit's settings are compared with what is shipped, where it runs the daemon."""
    monkeypatch.setattr(sandbox, "said", lambda *_: shown)
    found = one(sandbox.check, Stage(settings(tmp_path), about))
    assert state == found[0]
    assert words in found[1]


def test_commands() -> None:
    """A program's words and status come back; one that hangs or is missing has none."""
    ended = said("sh -c", "echo out; echo first >&2; echo last >&2; exit 3")
    assert (3, "out\n", "last") == (ended.status, ended.out, ended.last_line)
    assert said("no-such-program").is_missing
    assert said("").is_missing


def test_a_command_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that does not end is given up."""
    monkeypatch.setattr("plivostatusd.ctl.doctor.command.WITHIN_S", 0.05)
    assert said("sleep 60").status is None


# All of them


def test_at_once(tmp_path: Path) -> None:
    """Checks are made beside each other, and shown in their order."""
    both = threading.Barrier(2, timeout=10)

    def meets(name: str) -> rounds.Maker:
        def maker(_: Scene) -> Iterator[Check]:
            both.wait()
            yield Check(name, "ok", "met")

        return maker

    made = rounds.make([("a", meets("a")), ("b", meets("b"))], Stage(tmp_path))
    assert ["a", "b"] == [check.name for check in made]


def test_one_that_is_late_or_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that does not end, or breaks, is a warning, and takes none of the others away."""
    monkeypatch.setattr(rounds, "WITHIN_S", 0.1)
    for_ever = threading.Event()

    def late(_: Scene) -> Iterator[Check]:
        for_ever.wait(60)
        yield Check("late", "ok", "")

    def broken(_: Scene) -> Iterator[Check]:
        raise ZeroDivisionError

    began_s = time.monotonic()
    makers: list[tuple[str, rounds.Maker]] = [("late", late), ("broken", broken)]
    made = rounds.make(makers, Stage(tmp_path))
    for_ever.set()
    assert time.monotonic() - began_s < 5
    assert ["it took longer than 0.1 s", "it could not be made: ZeroDivisionError"] == [
        check.found for check in made
    ]
    assert {"warning"} == {check.state for check in made}


def test_once() -> None:
    """What is found out is found out once, however many ask."""
    found: list[int] = []

    def find() -> int:
        found.append(1)
        return len(found)

    once = Once(find)
    threads = [threading.Thread(target=once) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (1, [1]) == (once(), found)


def test_without_anything(tmp_path: Path) -> None:
    """On a machine without daemon, Nginx or configuration every check ends, in JSON as in text."""
    conf = tmp_path / "none.conf"
    conf.write_text("")
    words = ("--socket", str(tmp_path / "none.sock"), "-c", str(conf), "--nginx", "no-nginx-here")
    text = run("doctor", *words)
    parsed = json.loads(run("doctor", "--json", *words).out)
    assert 1 == text.status
    for check in parsed["checks"]:
        assert {"name", "state", "found", "fix"} == check.keys()
    assert {"configuration", "daemon"} <= {
        check["name"] for check in parsed["checks"] if check["state"] == "fault"
    }
    assert len(parsed["checks"]) + 2 == len(text.out.splitlines())


def test_without_rights(tmp_path: Path) -> None:
    """Who is no operator is told what to type, and the rest is looked at."""
    with serving("unix", tmp_path) as served:
        served.script = [always(problem(403, "operators only"))]
        words = (*served.options, "--nginx", "no-nginx-here", "-c", str(settings(tmp_path)))
        ended = run("doctor", "--json", *words)
    by_name = {check["name"]: check for check in json.loads(ended.out)["checks"]}
    assert "warning" == by_name["daemon"]["state"]
    assert "sudo plivostatusctl doctor" in by_name["daemon"]["fix"]
    assert "warning" == by_name["callbacks"]["state"]
