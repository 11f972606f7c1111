"""`plivostatusctl tail`: every event once, whatever happens to the daemon meanwhile."""

from __future__ import annotations

import csv
import io
import json
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plivostatusd.ctl.filters import add_filters, holds
from tests.unit.test_ctl_daemon import (
    Answer,
    Daemon,
    Ended,
    always,
    problem,
    run,
    serving,
)


@pytest.fixture(params=["tcp", "unix"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon over each transport in turn."""
    with serving(request.param, tmp_path) as one:
        yield one


@contextmanager
def tailing(daemon: Daemon, *words: str) -> Iterator[list[Ended]]:
    """Run `tail` beside the block; how it ended is in the list once the block is left."""
    ended: list[Ended] = []
    thread = threading.Thread(
        target=lambda: ended.append(run("tail", *daemon.options, "--json", *words))
    )
    thread.start()
    try:
        yield ended
    finally:
        thread.join(30)
    assert not thread.is_alive()


def is_waiting(daemon: Daemon, times: int) -> None:
    """Wait until `tail` has asked so many times for what comes next."""
    daemon.wait_until(lambda: sum("wait" in asked.query for asked in daemon.asked) >= times)


def cursors(ended: Ended) -> list[str]:
    """The events printed, by their cursors."""
    return [json.loads(line)["cursor"] for line in ended.out.splitlines()]


def test_from_now_on(daemon: Daemon) -> None:
    """What was recorded before is not printed; what comes after is, as it comes."""
    message = daemon.add_message()
    with tailing(daemon, "--count", "2") as ended:
        is_waiting(daemon, 1)
        daemon.add_event(message, "sent")
        is_waiting(daemon, 2)
        daemon.add_event(message, "delivered")
    assert 0 == ended[0].status
    assert ["g1-2", "g1-3"] == cursors(ended[0])


def test_after_a_cursor(daemon: Daemon) -> None:
    """--after prints what came since, and --count ends there."""
    for _ in range(4):
        daemon.add_message()
    ended = run("tail", *daemon.options, "--json", "--after", "g1-1", "--count", "2")
    assert ["g1-2", "g1-3"] == cursors(ended)


def test_table(daemon: Daemon) -> None:
    """Without --json each event is a row, and nothing in it can harm a terminal."""
    message = daemon.add_message(tag="a\x1b[2J")
    ended = run("tail", *daemon.options, "--after", "g1-0", "--count", "1")
    titles, row = ended.out.splitlines()
    assert (
        f"2026-11-23 09:00:02Z  {message['id']}  queued       queued       callback  full"
        "      -      a\\x1b[2J" == row
    )
    assert titles.index("tag") == row.index("a\\x1b")


EVENT = {
    "status": "sent",
    "to": "+14155552323",
    "from": "Acme",
    "tag": "x",
    "sent_by": "cron",
    "mcc": "310",
    "mnc": "150",
    "event": {"status": "undelivered", "error_code": "30"},
}
FITTING = "--status undelivered --to 14155552323 --from Acme --tag x --error 30 --by cron"


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        ("", True),
        (FITTING, True),
        ("--carrier 310", True),
        ("--carrier 310-150", True),
        ("--carrier 310-151", False),
        ("--carrier 311", False),
        ("--status sent", False),
        ("--to 14155552324", False),
        ("--from Acne", False),
        ("--tag y", False),
        ("--error 31", False),
        ("--by root", False),
    ],
)
def test_filters(words: str, *, fits: bool) -> None:
    """An event is printed if all that is asked holds of it or of its message."""
    parser = ArgumentParser()
    add_filters(parser)
    assert fits == holds(parser.parse_args(words.split()), EVENT)


def test_filters_leave_out(daemon: Daemon) -> None:
    """What does not fit is passed over, and does not count."""
    message = daemon.add_message(tag="x")
    for status in ("sent", "delivered", "sent"):
        daemon.add_event(message, status)
    words = ["--status", "sent", "--tag", "x", "--after", "g1-0", "--count", "2"]
    ended = run("tail", *daemon.options, "--json", *words)
    assert ["g1-2", "g1-4"] == cursors(ended)


def test_since(daemon: Daemon) -> None:
    """--since has the daemon say where to begin."""
    daemon.add_message()
    daemon.script = [always(Answer(200, {"events": [], "next": "g1-0"}))]
    ended = run("tail", *daemon.options, "--json", "--since", "2026-11-23", "--count", "1")
    assert ["g1-1"] == cursors(ended)
    assert {"since": "2026-11-23T00:00:00Z", "limit": "0"} == daemon.asked[0].query


def test_as_csv(daemon: Daemon) -> None:
    """--csv writes titles, then one line an event as they come."""
    message = daemon.add_message(tag="a,b")
    ended = run("tail", *daemon.options, "--csv", "--after", "g1-0", "--count", "1")
    titles, row = csv.reader(io.StringIO(ended.out))
    found = dict(zip(titles, row, strict=True))
    assert ("a,b", message["id"], "queued", "callback") == (
        found["tag"],
        found["message_id"],
        found["event_status"],
        found["source"],
    )


def test_restart(daemon: Daemon) -> None:
    """A restart under a waiting `tail` loses no event and doubles none."""
    message = daemon.add_message()
    with tailing(daemon, "--count", "3") as ended:
        is_waiting(daemon, 1)
        daemon.add_event(message, "sent")
        is_waiting(daemon, 2)
        daemon.script = [always(Answer(is_lost=True))]
        daemon.stop()
        daemon.add_event(message, "delivered")
        daemon.start()
        is_waiting(daemon, 4)
        daemon.add_event(message, "read")
    assert 0 == ended[0].status
    assert ["g1-2", "g1-3", "g1-4"] == cursors(ended[0])


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_trouble(tmp_path: Path, status: int) -> None:
    """An error that passes is waited out."""
    with serving("tcp", tmp_path) as daemon:
        daemon.add_message()
        first = daemon.obey
        daemon.script = [first, always(problem(status, "no")), always(Answer(is_lost=True))]
        ended = run("tail", *daemon.options, "--after", "g1-0", "--count", "1")
    assert 0 == ended.status
    assert 2 == len(ended.out.splitlines())
    assert "waiting for it" in ended.err


def test_cursor_that_is_gone(daemon: Daemon) -> None:
    """A cursor that the store no longer knows is 1, with what to type."""
    ended = run("tail", *daemon.options, "--after", "g0-7")
    assert (1, "") == (ended.status, ended.out)
    assert ended.err.endswith("(410). Begin anew: plivostatusctl tail\n")


def test_store_replaced_meanwhile(tmp_path: Path) -> None:
    """A store that is replaced under `tail` ends it with 1 instead of skipping events."""
    with serving("tcp", tmp_path) as daemon:
        daemon.script = [daemon.obey, always(problem(410, "restored"))]
        ended = run("tail", *daemon.options)
    assert 1 == ended.status
    assert "restored (410)" in ended.err


def test_nobody_there(tmp_path: Path) -> None:
    """A daemon that is not there at the start is 69."""
    ended = run("tail", "--socket", str(tmp_path / "none.sock"), "--after", "g1-0")
    assert (69, "") == (ended.status, ended.out)
