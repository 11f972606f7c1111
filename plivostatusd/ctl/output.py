"""
Where results and complaints go: results to standard output, complaints to standard error.

With `--json`, results are JSON and so are complaints: one problem document a line on standard
error, so that standard output holds results alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from plivostatusd.ctl.errors import CtlError
from plivostatusd.ctl.table import Column, least_widths, lines, pairs, row_line, title_line
from plivostatusd.ctl.visible import printable

PROGRAM = "plivostatusctl"


class Output:
    """The two streams of one run, and how to write on them."""

    def __init__(self, results: TextIO, complaints: TextIO, *, as_json: bool) -> None:
        self.as_json = as_json
        self._results = results
        self._complaints = complaints
        self._colour = not as_json and wants_colour(results, os.environ)

    @property
    def draws_blocks(self) -> bool:
        """Say whether whoever reads the results can be shown more than ASCII."""
        encoding = getattr(self._results, "encoding", None) or ""
        return encoding.lower().replace("-", "") == "utf8"

    def line(self, text: str) -> None:
        """Write one line of results, flushed with the rest."""
        self._results.write(f"{text}\n")

    def document(self, document: object, *, indent: int | None = 2) -> None:
        """Write *document* as JSON in ASCII, whatever the locale; one line if *indent* is None."""
        self.line(json.dumps(document, indent=indent))

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
        """Write an aligned table."""
        for line in lines(columns, rows, colour=self._colour):
            self.line(line)

    def csv(self, rows: Iterable[Sequence[object]]) -> None:
        """
        Write *rows* as CSV (RFC 4180, lines end with a newline): nothing for null, true or false.

        Values are exact, but on a terminal, where what does not print is escaped.
        """
        import csv  # costs 3 ms, and few ask for it

        spelt = _exact if not self._results.isatty() else _printable
        writer = csv.writer(self._results, lineterminator="\n")
        writer.writerows([spelt(cell) for cell in row] for row in rows)

    def titles(self, columns: Sequence[Column]) -> None:
        """Open a table whose rows arrive one by one."""
        self.line(title_line(columns, least_widths(columns), colour=self._colour))

    def row(self, columns: Sequence[Column], row: Sequence[str]) -> None:
        """Write one row of a table whose rows arrive one by one."""
        self.line(row_line(columns, row, least_widths(columns), colour=self._colour))

    def pairs(self, rows: Sequence[tuple[str, str]]) -> None:
        """Write `name  value` lines."""
        for line in pairs(rows, colour=self._colour):
            self.line(line)

    def flush(self) -> None:
        """Hand what was written to whoever reads it. Raises OSError when nobody can take it."""
        self._results.flush()

    def abandon(self) -> None:
        """
        Give up on the results' reader: nothing more reaches it.

        Python writes what is still buffered when it ends, and would complain of that once more.
        """
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._results.fileno())
        except (OSError, ValueError):
            return  # no file lies beneath

    def note(self, text: str) -> None:
        """Tell a person something beside the results; silent with `--json`."""
        if not self.as_json:
            self._complain(f"{PROGRAM}: {printable(text)}")

    def complaint(self, error: CtlError) -> None:
        """Say why the command failed, in one line."""
        if self.as_json:
            self._complain(json.dumps(error.document()))
        else:
            self._complain(f"{PROGRAM}: {printable(error.line())}")

    def _complain(self, line: str) -> None:
        try:
            self._complaints.write(f"{line}\n")
            self._complaints.flush()
        except OSError:
            return  # nobody listens; the exit status still tells


def _exact(cell: object) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return "" if cell is None else str(cell)


def _printable(cell: object) -> str:
    return printable(_exact(cell))


def wants_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Say whether *stream* is a terminal that takes colour (see no-color.org)."""
    if "NO_COLOR" in environ or environ.get("TERM") == "dumb":
        return False
    return stream.isatty()
