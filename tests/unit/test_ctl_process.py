"""plivostatusctl as a process of its own: what it imports, and how it takes being cut off."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from plivostatusd import __version__
from plivostatusd.ctl.commands import SUMMARIES
from tests.unit.test_ctl_daemon import serving

PROGRAM = [sys.executable, "-m", "plivostatusd.ctl"]
HEAVY = (
    "tornado plivo structlog prometheus_client aiosqlite sqlite3 requests asyncio logging "
    "importlib.metadata plivostatusd.store plivostatusd.web plivostatusd.flows plivostatusd.plivo"
)
FOR_SHOW = "http.client ssl email dataclasses inspect concurrent.futures"
START_S_MAX = 0.08
STARTS_TRIED = 20


def start(*words: str, stdout: int) -> subprocess.Popen[str]:
    """Start it."""
    return subprocess.Popen([*PROGRAM, *words], stdout=stdout, stderr=subprocess.PIPE, text=True)


def test_version() -> None:
    """--version names program and version."""
    ended = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, check=True)
    assert f"plivostatusctl {__version__}\n" == ended.stdout


@pytest.mark.parametrize("command", sorted(SUMMARIES.keys() - {"simulate"}))
def test_imports_nothing_heavy(command: str) -> None:
    """No command but `simulate` imports Tornado, the SDK or the daemon's floors."""
    script = (
        "import sys; from plivostatusd.ctl.__main__ import main; "
        "main([sys.argv[1], '--socket', '/nonexistent', *sys.argv[2:]]); "
        f"print(sorted(set('{HEAVY}'.split()) & set(sys.modules)))"
    )
    words = {
        "show": ["x"],
        "cancel": ["x"],
        "prove": ["x"],
        "forget": ["+14155552323"],
        "settle": ["x", "--not-sent"],
        "send": ["+14155552323", "hello"],
        "explain": ["30"],
        "backup": ["x"],
        "import": ["-"],
    }.get(command, [])
    ended = subprocess.run(
        [sys.executable, "-c", script, command, *words],
        input="message_uuid,status\nb795906a-8a79-11ec-9bd3-0242ac110003,sent\n",
        capture_output=True,
        text=True,
        check=True,
    )
    said = ended.stderr + ended.stdout  # for doctor it is a result
    assert ("cannot be reached" in said) == (command != "explain")
    assert "[]" == ended.stdout.splitlines()[-1]


def test_show_imports_little(tmp_path: Path) -> None:
    """What takes longest to import is not imported to show a message."""
    script = (
        "import sys; from plivostatusd.ctl.__main__ import main; main(sys.argv[1:]); "
        f"print(sorted(set('{FOR_SHOW}'.split()) & set(sys.modules)))"
    )
    with serving("unix", tmp_path) as daemon:
        words = [sys.executable, "-c", script, "show", daemon.add_message()["id"], *daemon.options]
        ended = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "[]" == ended.stdout.splitlines()[-1]


def test_starts_at_once(tmp_path: Path) -> None:
    """`show` takes less than 80 ms of a processor as a whole process."""
    with serving("unix", tmp_path) as daemon:
        message = daemon.add_message()
        took_s = [1.0]
        while min(took_s) > START_S_MAX and len(took_s) < STARTS_TRIED:
            before_s = children_s()
            subprocess.run(
                [*PROGRAM, "show", message["id"], *daemon.options], check=True, capture_output=True
            )
            took_s.append(children_s() - before_s)
    assert min(took_s) <= START_S_MAX


def children_s() -> float:
    """Say what processor time ended children have had. A clock would judge our neighbours, too."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("words", [["list", "--limit", "2000"], ["list", "--json"], ["--help"]])
def test_closed_pipe(tmp_path: Path, words: list[str]) -> None:
    """A reader that has seen enough, as `head` has, is no error and leaves no complaint."""
    with serving("unix", tmp_path) as daemon:
        for _ in range(1_000):
            daemon.add_message()
        reading, writing = os.pipe()
        os.close(reading)
        process = start(*words, *daemon.options, stdout=writing)
        os.close(writing)
        _, err = process.communicate(timeout=30)
    assert (0, "") == (process.returncode, err.partition("plivostatusctl: there are more")[0])


def test_closed_pipe_of_send(tmp_path: Path) -> None:
    """A send that is recorded is 0, though nobody reads its id."""
    with serving("unix", tmp_path) as daemon:
        reading, writing = os.pipe()
        os.close(reading)
        process = start("send", *daemon.options, "+14155552323", "hello", stdout=writing)
        os.close(writing)
        _, err = process.communicate(timeout=30)
    assert (0, "") == (process.returncode, err)
    assert 1 == len(daemon.messages)


def test_full_disk(tmp_path: Path) -> None:
    """Results that cannot be written are an error, in one line."""
    with serving("unix", tmp_path) as daemon, Path("/dev/full").open("w") as full:
        process = start("list", *daemon.options, stdout=full.fileno())
        _, err = process.communicate(timeout=30)
    expected = "plivostatusctl: the output cannot be written: No space left on device\n"
    assert (1, expected) == (process.returncode, err)


def test_closed_streams(tmp_path: Path) -> None:
    """Without any standard stream the exit status still tells."""
    with serving("unix", tmp_path) as daemon:
        line = 'exec "$@" <&- >&- 2>&-'
        words = [*PROGRAM, "list", *daemon.options]
        assert 0 == subprocess.run(["sh", "-c", line, "sh", *words], check=False).returncode


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends `tail` with 130 and no word."""
    with serving("unix", tmp_path) as daemon:
        process = start("tail", *daemon.options, stdout=subprocess.PIPE)
        daemon.wait_until(lambda: any("wait" in asked.query for asked in daemon.asked))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (130, "") == (process.returncode, err)
    assert 1 == len(out.splitlines())


def test_interrupted_send(tmp_path: Path) -> None:
    """Ctrl-C under a send says how to ask again without sending twice."""
    with serving("unix", tmp_path) as daemon:
        daemon.script = [lambda _asked: daemon.wait_until(lambda: daemon.stopping)]
        process = start("send", *daemon.options, "+14155552323", "hello", stdout=subprocess.PIPE)
        daemon.wait_until(lambda: bool(daemon.asked))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        key = daemon.asked[0].headers["Idempotency-Key"]
    assert 130 == process.returncode
    assert 1 == len(err.splitlines())
    assert f"--idempotency-key {key}" in err


def test_colour_on_a_terminal(tmp_path: Path) -> None:
    """There is colour on a terminal, unless NO_COLOR is set, and none in a pipe."""
    with serving("unix", tmp_path) as daemon:
        daemon.add_message(status="failed")
        plain = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        on_terminal = _on_terminal([*PROGRAM, "list", *daemon.options], plain | {"TERM": "xterm"})
        without = _on_terminal(
            [*PROGRAM, "list", *daemon.options], plain | {"TERM": "xterm", "NO_COLOR": "1"}
        )
        piped = subprocess.run(
            [*PROGRAM, "list", *daemon.options], capture_output=True, check=True, env=plain
        ).stdout
    assert b"\x1b[31mfailed\x1b[0m" in on_terminal
    assert (False, False) == (b"\x1b" in without, b"\x1b" in piped)


def _on_terminal(words: list[str], environ: dict[str, str]) -> bytes:
    """Run *words* with a terminal for standard output and return what it showed."""
    leader, follower = os.openpty()
    try:
        subprocess.run(words, stdout=follower, stderr=follower, check=True, env=environ)
        return os.read(leader, 65_536)
    finally:
        os.close(leader)
        os.close(follower)
