"""
Emit stored events again, in the order in which they were committed, and end.

One JSON object a line, as 'tail --json' and GET /events have them. Nothing in the
store changes. With --cursor-file, what was emitted is remembered there, and the next
run goes on behind it; then --since is for the first run alone.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plivostatusd.ctl.by_hand import ask
from plivostatusd.ctl.client import records
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE, CtlError, Refused, UsageError
from plivostatusd.ctl.list import count
from plivostatusd.ctl.progress import Progress, progress
from plivostatusd.ctl.replacing import EVERYBODYS, replacing
from plivostatusd.ctl.since import moment
from plivostatusd.ctl.uninterrupted import Uninterrupted

WORDS = ""
PAGE_MAX = 500
PORTIONS_PER_S = 10
"""How often what was emitted is flushed and remembered, where the pace allows more at once."""
_CURSOR_CHARACTERS_MAX = 100
_GONE = 410
_OPTIONS = ("since", "after", "cursor_file", "pace", "count")

Event = dict[str, Any]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare where to begin, how fast to go, and what to remember."""
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--since",
        type=moment,
        metavar="WHEN",
        help="begin with what was received then: 30m, 2h, 7d (ago), or RFC 3339 (otherwise: all)",
    )
    start.add_argument("--after", metavar="CURSOR", help="begin after this event")
    parser.add_argument(
        "--cursor-file", type=Path, metavar="FILE", help="go on where the last run ended"
    )
    parser.add_argument(
        "--pace", type=_pace, metavar="N", help="so many events a second, at most (0.01 to 10000)"
    )
    parser.add_argument("--count", type=count, metavar="N", help="end after N events")


def _pace(text: str) -> float:
    try:
        pace = float(text)
    except ValueError:
        pace = 0.0
    if not 0.01 <= pace <= 10_000:  # noqa: PLR2004 - as the help says
        raise ArgumentTypeError(f"{text!r} is no number from 0.01 to 10000")
    return pace


def run(run: Run) -> int:
    """Emit portion by portion; each is remembered once it is handed on."""
    run.options.words_again = list(_again(run))
    emission = _Emission(run)
    with Uninterrupted() as uninterrupted, progress(beside_results=True) as shown:
        for portion, cursor, left in _portions(run, emission.start()):
            with uninterrupted.work():
                emission.emit(portion, cursor)
            _tell(shown, emission.emitted, left)
            emission.rest()
    return DONE


class _Emission:
    """What was emitted so far, and where that is remembered."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._file: Path | None = run.options.cursor_file
        self._due_s = time.monotonic()
        self._portion = 0
        self.emitted = 0

    def start(self) -> dict[str, str]:
        """Say where to begin: behind what the file remembers, or as the options say."""
        remembered = None if self._file is None else _remembered(self._file)
        options = self._run.options
        given = {"after": remembered} if remembered else vars(options)
        return {name: given[name] for name in ("since", "after") if given.get(name)}

    def emit(self, portion: list[Event], cursor: str) -> None:
        """Hand a portion on, and remember it."""
        for event in portion:
            self._run.output.document(event, indent=None)
        self._run.output.flush()
        if self._file is not None:
            with replacing(self._file, mode=EVERYBODYS) as write:
                write(f"{cursor}\n".encode())
        self._portion = len(portion)
        self.emitted += len(portion)

    def rest(self) -> None:
        """Wait until the next portion may go."""
        pace = self._run.options.pace
        if pace and self._portion:
            self._due_s = max(self._due_s, time.monotonic() - 1) + self._portion / pace
            self._run.pause(max(0.0, self._due_s - time.monotonic()))


def _portions(run: Run, query: dict[str, str]) -> Iterator[tuple[list[Event], str, int]]:
    """Give events in portions, with the cursor behind each and how many are left, until the end."""
    wanted: int | None = run.options.count
    while wanted is None or wanted > 0:
        limit = PAGE_MAX if wanted is None else min(wanted, PAGE_MAX)
        page = _page(run, {**query, "limit": limit})
        events, left = records(page, "events"), int(page.get("left") or 0)
        for portion in _divided(events, run.options.pace):
            done = portion[-1] is events[-1]
            yield portion, str(page["next"] if done else portion[-1]["cursor"]), left
        if not events:
            yield [], str(page["next"]), 0
        if left == 0 or not events:
            return
        query = {"after": str(page["next"]), "until": str(page["end"])}
        wanted = None if wanted is None else wanted - len(events)


def _divided(events: list[Event], pace: float | None) -> Iterator[list[Event]]:
    size = PAGE_MAX if pace is None else max(1, int(pace / PORTIONS_PER_S))
    for start in range(0, len(events), size):
        yield events[start : start + size]


def _page(run: Run, query: dict[str, str | int]) -> dict[str, Any]:
    try:
        page = ask(run, "/replay", query)
    except Refused as error:
        if error.status != _GONE:
            raise
        file = run.options.cursor_file
        anew = f"remove {file}, and what it had not reached is lost" if file else "use --since"
        raise Refused(_GONE, error.problem, hint=f"To begin anew, {anew}") from None
    if not isinstance(page.get("next"), str) or not isinstance(page.get("end"), str):
        raise CtlError("the answer is not the daemon's: it has no cursor")
    return page


def _remembered(file: Path) -> str | None:
    """Read the cursor that *file* holds; None when there is none yet. Raises `UsageError`."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_CURSOR_CHARACTERS_MAX + 1).decode("ascii", "replace").strip()
    except FileNotFoundError:
        if not file.parent.is_dir():
            raise UsageError(f"there is no directory {file.parent}") from None
        return None
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    if not text or len(text) > _CURSOR_CHARACTERS_MAX or not text.replace("-", "").isalnum():
        raise UsageError(f"{file} holds no cursor; is it another program's?")
    return text


def _tell(shown: Progress, emitted: int, left: int) -> None:
    shown.show(f"{emitted} events" if not left else f"{emitted} events, more than {left} left")


def _again(run: Run) -> Iterator[str]:
    """Spell the options once more, for advice."""
    for name in _OPTIONS:
        if (value := getattr(run.options, name)) is not None:
            yield from (f"--{name.replace('_', '-')}", str(value))
