"""
Take over messages that another program kept: a table as CSV, with a header.

The columns of the tutorial's PostgreSQL table are known by name, others such as
them, too; say what else is what with --column FIELD=NAME. Of fields there are
message_uuid and status, which are needed, to, from, text, error_code,
status_at, created_at and updated_at. Times without a zone are UTC. '-' reads
standard input.

Nothing is sent. A message that is known already learns only what goes further
than what it knows, so a file may be imported again. What is open is asked
about as any other; 'sent' is final where it is old (reconcile.silence_final).
Bad rows are listed by their line, and the good ones taken; exit status 1 then.
"""

from __future__ import annotations

import io
import json
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from plivostatusd.ctl.by_hand import do
from plivostatusd.ctl.client import records
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.csv_rows import Row, read
from plivostatusd.ctl.errors import DONE, FAILED, UsageError
from plivostatusd.ctl.progress import progress
from plivostatusd.ctl.visible import visible
from plivostatusd.domain.imported import FIELDS

WORDS = "FILE|-"
ROWS_AT_ONCE = 200
BYTES_AT_ONCE = 512 * 1024
_STDIN = "-"
_COUNTS = ("imported", "changed", "unchanged")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the file, and what its columns are."""
    parser.add_argument("file", metavar="FILE", help="the table, or - for standard input")
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        type=column,
        metavar="FIELD=NAME",
        help="what a column is; may be given several times",
    )


def column(text: str) -> tuple[str, str]:
    """Read `FIELD=NAME`. For argparse."""
    field, is_there, name = text.partition("=")
    if not is_there or field not in FIELDS:
        raise ArgumentTypeError(f"{text!r}: want FIELD=NAME, with one of {', '.join(FIELDS)}")
    return field, name


def run(run: Run) -> int:
    """Hand the rows in, a few at a time, and say what became of them."""
    options = run.options
    options.words_again = [options.file]
    counts: Counter[str] = Counter()
    bad: list[dict[str, Any]] = []
    with _opened(run) as stream, progress(as_json=run.output.as_json) as shown:
        columns, rows = read(stream, dict(options.column))
        for name in columns.not_understood:
            run.output.note(f"the column {visible(name)} is not understood, and left out")
        for batch in _batches(rows):
            for problem in _hand_in(run, batch, counts):
                shown.clear()
                bad.append(problem)
                _print_bad(run, problem)
            shown.show(f"{counts.total()} rows, up to line {batch[-1].line}")
    _print(run, counts, bad, columns.not_understood)
    return FAILED if bad else DONE


@contextmanager
def _opened(run: Run) -> Iterator[TextIO]:
    if run.options.file == _STDIN:
        yield io.TextIOWrapper(io.BytesIO(run.read_input()), encoding="utf-8-sig", newline="")
        return
    with _found(Path(run.options.file)) as stream:
        yield stream


def _found(file: Path) -> TextIO:
    try:
        return file.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Give rows together, as many as one request may hold."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        row_bytes = len(json.dumps(row.fields))
        if batch and (len(batch) >= ROWS_AT_ONCE or size + row_bytes > BYTES_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row_bytes
    if batch:
        yield batch


def _hand_in(run: Run, batch: list[Row], counts: Counter[str]) -> list[dict[str, Any]]:
    """Hand rows in and count what became of them; those that were not taken come back."""
    whole = [row for row in batch if row.fields is not None]
    bad = [
        {"line": row.line, "field": "", "problem": "has not as many cells as the header"}
        for row in batch
        if row.fields is None
    ]
    if whole:
        answer = do(run, "/import", {"rows": [row.fields for row in whole]})
        counts.update({name: int(answer.get(name, 0)) for name in _COUNTS})
        for each in records(answer, "bad"):
            about = {"field": each.get("field"), "problem": each.get("problem")}
            bad.append({"line": whole[each["row"]].line, **about})
    counts["bad"] += len(bad)
    return sorted(bad, key=lambda problem: int(problem["line"]))


def _print_bad(run: Run, problem: dict[str, Any]) -> None:
    if not run.output.as_json:
        field = f"{visible(problem['field'])}: " if problem["field"] else ""
        run.output.line(f"line {problem['line']}: {field}{visible(problem['problem'])}")


def _print(
    run: Run, counts: Counter[str], bad: list[dict[str, Any]], left_out: tuple[str, ...]
) -> None:
    if run.output.as_json:
        told = {name: counts[name] for name in _COUNTS}
        run.output.document({**told, "bad": bad, "columns_left_out": list(left_out)})
    else:
        run.output.pairs([(name, str(counts[name])) for name in (*_COUNTS, "bad")])
