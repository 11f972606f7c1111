"""`plivostatusctl replay`: stored events in order, at a pace, and on from where it ended."""

from __future__ import annotations

import io
import json
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.ctl import replay
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.output import Output
from tests.unit.test_ctl_daemon import Answer, Asked, Daemon, Ended, always, problem, run, serving

EVENTS = 23


def answer(daemon: Daemon, asked: Asked) -> Answer:
    """Answer as the contract says."""
    if not isinstance(daemon.place, Path):
        return problem(403, "Only root or the daemon's own user may do this")
    assert ("POST", "/replay") == (asked.method, asked.path)
    seen = int(asked.query.get("after", "g1-0").removeprefix("g1-"))
    if "since" in asked.query:
        seen = 10
    end = int(asked.query.get("until", f"g1-{len(daemon.events)}").removeprefix("g1-"))
    events = daemon.events[seen : min(end, seen + int(asked.query["limit"]))]
    last = seen + len(events)
    found = {"events": events, "next": f"g1-{last}", "end": f"g1-{end}", "left": end - last}
    return Answer(200, found)


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """Serve some events on a Unix socket, a few a page."""
    monkeypatch.setattr(replay, "PAGE_MAX", 5)
    with serving("unix", tmp_path) as daemon:
        daemon.obey = lambda asked: answer(daemon, asked)  # type: ignore[method-assign]  # this test's own
        message = daemon.add_message()
        for _ in range(EVENTS - 1):
            daemon.add_event(message, "sent")
        yield daemon


def numbers(ended: Ended) -> list[int]:
    """Give the number of each event that was written."""
    lines = [json.loads(line) for line in ended.out.splitlines()]
    return [int(line["cursor"].removeprefix("g1-")) for line in lines]


def test_everything_in_order(daemon: Daemon) -> None:
    """Every event is written once, as the daemon has it, and the run ends."""
    ended = run("replay", *daemon.options)
    assert (0, "") == (ended.status, ended.err)
    assert daemon.events == [json.loads(line) for line in ended.out.splitlines()]


def test_it_ends(daemon: Daemon) -> None:
    """What comes after the beginning is not waited for: it ends where the events ended then."""
    message = daemon.messages[next(iter(daemon.messages))]

    def one_more(_: Asked) -> None:
        daemon.add_event(message, "delivered")

    daemon.script += [one_more] * 4
    assert list(range(1, EVENTS + 2)) == numbers(run("replay", *daemon.options))


def test_since_and_after(daemon: Daemon) -> None:
    """It begins where it is told to; both at once make no sense."""
    assert list(range(11, EVENTS + 1)) == numbers(run("replay", *daemon.options, "--since", "2h"))
    assert daemon.asked[0].query["since"].endswith("Z")
    assert {"since"} & set(daemon.asked[1].query) == set()
    assert [22, 23] == numbers(run("replay", *daemon.options, "--after", "g1-21"))
    assert 64 == run("replay", *daemon.options, "--after", "g1-21", "--since", "2h").status


@pytest.mark.parametrize("pace", [[], ["--pace", "5000"]])
def test_cursor_file(daemon: Daemon, tmp_path: Path, pace: list[str]) -> None:
    """Run by run it goes on behind the last event of the one before; --since is for the first."""
    file = tmp_path / "cursor"
    words = ["replay", *daemon.options, "--cursor-file", str(file), *pace]
    seen = numbers(run(*words, "--since", "2h", "--count", "3"))
    assert "g1-13\n" == file.read_text()
    for _ in range(4):
        seen += numbers(run(*words, "--since", "2h", "--count", "4"))
    assert list(range(11, EVENTS + 1)) == seen
    assert "" == run(*words).out
    assert f"g1-{EVENTS}\n" == file.read_text()
    daemon.add_event(daemon.messages[next(iter(daemon.messages))], "delivered")
    assert [EVENTS + 1] == numbers(run(*words))
    assert {"cursor", "api.sock"} == {each.name for each in tmp_path.iterdir()}


def test_nothing_is_there_yet(tmp_path: Path) -> None:
    """Without any event there is nothing to write, and the next run begins there."""
    with serving("unix", tmp_path) as daemon:
        daemon.obey = lambda asked: answer(daemon, asked)  # type: ignore[method-assign]  # this test's own
        file = tmp_path / "cursor"
        assert "" == run("replay", *daemon.options, "--cursor-file", str(file)).out
        assert "g1-0\n" == file.read_text()


def test_a_daemon_that_goes_away(daemon: Daemon, tmp_path: Path) -> None:
    """When the daemon goes in the midst it is 69, and what was written is remembered."""
    file = tmp_path / "cursor"
    words = ["replay", *daemon.options, "--cursor-file", str(file)]
    daemon.script += [lambda _: None, lambda _: Answer(is_lost=True)]
    ended = run(*words)
    assert (69, list(range(1, 6))) == (ended.status, numbers(ended))
    assert list(range(6, EVENTS + 1)) == numbers(run(*words))


@pytest.mark.parametrize(("pace", "sizes"), [(1.5, [1, 1, 1]), (40.0, [4, 4, 4, 4, 4, 3])])
def test_pace(monkeypatch: pytest.MonkeyPatch, pace: float, sizes: list[int]) -> None:
    """Portions go out as often as the pace says; after a delay no more than a second is made up."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    waited: list[float] = []
    options = Namespace(cursor_file=None, pace=pace)
    output = Output(io.StringIO(), io.StringIO(), as_json=False)
    emission = replay._Emission(
        Run(options=options, output=output, environ={}, read_input=bytes, pause=waited.append)
    )
    events: list[dict[str, Any]] = [{}] * sum(sizes)
    for portion in replay._divided(events, pace):
        emission.emit(portion, "g1-1")
        emission.rest()
        now[0] += waited[-1]
    assert sizes == [len(portion) for portion in replay._divided(events, pace)]
    assert [pytest.approx(size / pace) for size in sizes] == waited
    now[0] += 3600
    emission.emit([{}], "g1-1")
    emission.rest()
    assert max(0.0, 1 / pace - 1) == waited[-1]


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["--pace", "0"], "no number from 0.01"),
        (["--pace", "fast"], "no number from 0.01"),
        (["--count", "0"], "no number above 0"),
        (["--since", "soon"], "no moment"),
        (["--cursor-file", "{}/gone/cursor"], "there is no directory {}/gone"),
        (["--cursor-file", "{}"], "Is a directory"),
        (["--cursor-file", "{}/empty"], "holds no cursor"),
        (["--cursor-file", "{}/other"], "holds no cursor"),
        (["word"], "unrecognized"),
    ],
)
def test_wrong_usage(daemon: Daemon, tmp_path: Path, words: list[str], word: str) -> None:
    """What makes no sense is said before anything is asked, and no file is written over."""
    (tmp_path / "empty").touch()
    (tmp_path / "other").write_text('{"not": "a cursor"}\n' * 50)
    ended = run("replay", *daemon.options, *(each.format(tmp_path) for each in words))
    assert (64, "", []) == (ended.status, ended.out, daemon.asked)
    assert word.format(tmp_path) in ended.err
    assert (tmp_path / "other").read_text().startswith('{"not"')


def test_a_cursor_that_is_gone(daemon: Daemon, tmp_path: Path) -> None:
    """What was forgotten meanwhile is no end in silence: 1, and what to do about it."""
    file = tmp_path / "cursor"
    file.write_text("g0-5\n")
    daemon.script.append(always(problem(410, "What follows this cursor is not kept here")))
    ended = run("replay", *daemon.options, "--cursor-file", str(file))
    assert (1, "") == (ended.status, ended.out)
    assert f"remove {file}" in ended.err
    assert "g0-5\n" == file.read_text()


def test_over_tcp(tmp_path: Path) -> None:
    """Over TCP it is refused, and the line to type is named, options and all."""
    with serving("tcp", tmp_path) as daemon:
        daemon.obey = lambda asked: answer(daemon, asked)  # type: ignore[method-assign]  # this test's own
        ended = run("replay", *daemon.options, "--pace", "5", "--cursor-file", str(tmp_path / "c"))
    assert 1 == ended.status
    assert f"sudo plivostatusctl replay --cursor-file {tmp_path}/c --pace 5.0 --socket" in ended.err


def test_somebody_else_answers(daemon: Daemon) -> None:
    """An answer without a cursor is not the daemon's."""
    daemon.script.append(always(Answer(200, {"events": []})))
    ended = run("replay", *daemon.options)
    assert (1, True) == (ended.status, "not the daemon's" in ended.err)


def test_a_cursor_file_that_cannot_be_written(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be remembered ends it, with one line: else the next run would double it all."""

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("plivostatusd.ctl.replacing.os.fsync", fail)
        ended = run("replay", *daemon.options, "--cursor-file", str(tmp_path / "cursor"))
    assert (1, 5) == (ended.status, len(numbers(ended)))
    assert "cannot be written: No space left on device\n" in ended.err
