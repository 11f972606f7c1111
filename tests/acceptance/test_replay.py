"""`replay` and `export` as an operator types them: whole, cut off, killed, and on again."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bench.stores import make
from tests.acceptance.daemon import ROOT, Daemon, running

MESSAGES = 3_000
EVENTS = 3 * MESSAGES


async def begin(daemon: Daemon, *words: str) -> Process:
    """Type it."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "plivostatusd.ctl"),
        *("--socket", str(daemon.api_socket), *words),
        cwd=ROOT,
        stdout=PIPE,
        stderr=PIPE,
        limit=1 << 20,
    )


async def ctl(daemon: Daemon, *words: str) -> list[Any]:
    """Type it, see it end well, and read what it wrote."""
    process = await begin(daemon, *words)
    out, err = await process.communicate()
    assert (0, b"") == (process.returncode, err)
    return [json.loads(line) for line in out.splitlines()]


async def everything(daemon: Daemon) -> list[Any]:
    """Give all events as /events has them."""
    events: list[Any] = []
    after = ""
    while page := (await daemon.api("GET", f"/events?limit=1000{after}")).json["events"]:
        events += page
        after = f"&after={page[-1]['cursor']}"
    return events


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_replay_that_is_stopped_again_and_again(
    tmp_path: Path, number: signal.Signals
) -> None:
    """However often it is stopped, what was written altogether is every event, once, in order."""
    make(tmp_path / "status.db", MESSAGES, still_open=0)
    words = ("replay", "--cursor-file", str(tmp_path / "cursor"), "--pace", "4000")
    written: list[Any] = []
    async with running(tmp_path, reconcile={"after": "0"}) as (daemon, _):
        wanted = await everything(daemon)
        assert EVENTS == len(wanted)
        for lines_before in (1, 150, 1_000, 2_000):
            process = await begin(daemon, *words)
            assert process.stdout is not None
            lines = [await process.stdout.readline() for _ in range(lines_before)]
            process.send_signal(number)
            rest, err = await process.communicate()
            assert (130, b"") == (process.returncode, err)
            written += [json.loads(line) for line in (*lines, *rest.splitlines())]
        assert len(written) < EVENTS
        written += await ctl(daemon, *words[:3])
        assert wanted == written
        assert [] == await ctl(daemon, *words[:3])


async def test_a_replay_that_is_killed(tmp_path: Path) -> None:
    """A power cut costs no event: what it had not remembered comes again, a portion at most."""
    make(tmp_path / "status.db", MESSAGES, still_open=0)
    words = ("replay", "--cursor-file", str(tmp_path / "cursor"), "--pace", "4000")
    written: list[Any] = []
    async with running(tmp_path, reconcile={"after": "0"}) as (daemon, _):
        wanted = await everything(daemon)
        for lines_before in (1, 700, 1_500):
            process = await begin(daemon, *words)
            assert process.stdout is not None
            lines = [await process.stdout.readline() for _ in range(lines_before)]
            process.kill()
            rest, _ = await process.communicate()
            whole = [line for line in (*lines, *rest.splitlines(keepends=True)) if b"\n" in line]
            written += map(json.loads, whole)
        written += await ctl(daemon, *words[:3])
    assert {each["cursor"]: each for each in written} == {each["cursor"]: each for each in wanted}
    assert len(written) <= len(wanted) + 3 * 400


async def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    """`| head` is silent, and ends both with 0."""
    make(tmp_path / "status.db", MESSAGES, still_open=0)
    async with running(tmp_path, reconcile={"after": "0"}) as (daemon, _):
        for command in ("replay", "export"):
            line = f"{sys.executable} -m plivostatusd.ctl --socket {daemon.api_socket} {command}"
            process = await asyncio.create_subprocess_exec(
                *("bash", "-c", f'{line} | head -n 2; exit "${{PIPESTATUS[0]}}"'),
                cwd=ROOT,
                stdout=PIPE,
                stderr=PIPE,
            )
            out, err = await process.communicate()
            assert (0, b"", 2) == (process.returncode, err, len(out.splitlines())), command


async def test_export(tmp_path: Path) -> None:
    """An export is every message once, oldest first, with its events, as `show` has it."""
    make(tmp_path / "status.db", MESSAGES, still_open=0)
    async with running(tmp_path, reconcile={"after": "0"}) as (daemon, _):
        found = await ctl(daemon, "export")
        assert MESSAGES == len({each["id"] for each in found}) == len(found)
        assert sorted(each["created_at"] for each in found) == [
            each["created_at"] for each in found
        ]
        assert EVENTS == sum(len(each["events"]) for each in found)
        for each in (found[0], found[-1]):
            assert each == await daemon.message(each["id"])
        process = await begin(daemon, "export")
        assert process.stdout is not None
        await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
        assert (130, b"") == (process.returncode, err)


async def test_without_a_daemon(tmp_path: Path) -> None:
    """A daemon that is not there is 69 in one line, JSON if wanted, and no file is made."""
    daemon = Daemon(tmp_path, "http://127.0.0.1:9")
    try:
        for words in (["replay", "--cursor-file", f"{tmp_path}/cursor"], ["export"]):
            process = await begin(daemon, *words, "--json")
            out, err = await process.communicate()
            assert (69, b"") == (process.returncode, out)
            assert 69 == json.loads(err)["exit_status"]
            assert "systemctl start" in json.loads(err)["hint"]
        assert not (tmp_path / "cursor").exists()
    finally:
        await daemon.close()


def everything_of(terminal: int) -> Iterator[bytes]:
    """Read what was written on a terminal that nobody has open any more, and close it."""
    with os.fdopen(terminal, "rb", buffering=0) as file, suppress(OSError):  # EIO is its end
        while chunk := file.read(1 << 16):
            yield chunk


@pytest.mark.parametrize(
    "words", [("replay",), ("export",), ("rebuild",), ("backup", "{}/kept.db")]
)
async def test_progress(tmp_path: Path, words: tuple[str, ...]) -> None:
    """On a terminal, and only there, it is seen how far long work is; nothing of it is left."""
    make(tmp_path / "status.db", MESSAGES, still_open=0)
    words = tuple(each.format(tmp_path) for each in words)
    async with running(tmp_path, reconcile={"after": "0"}) as (daemon, _):
        ours, theirs = os.openpty()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "plivostatusd.ctl", "--socket", str(daemon.api_socket), *words),
            cwd=ROOT,
            stdout=PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        out, _ = await process.communicate()
        shown = b"".join(everything_of(ours))
        assert 0 == process.returncode
        assert b"\x1b" not in out
        assert re.search(rb"events|messages|copy", shown)
        assert shown.endswith(b"\r\x1b[K")
