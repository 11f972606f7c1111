"""
A table as CSV: which column is what, and its rows, each with the line it begins at.

What is known by name are the columns of the table that Plivo's own tutorial keeps, and what else
such columns are called. UTF-8, with a header; commas, semicolons, tabs or bars between the cells.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from plivostatusd.ctl.errors import CtlError, UsageError
from plivostatusd.domain.imported import FIELDS

KNOWN: dict[str, str] = {
    # What a column is called, in small letters and digits alone: what it is here.
    "messageuuid": "message_uuid",
    "plivomessageuuid": "message_uuid",
    "plivouuid": "message_uuid",
    "uuid": "message_uuid",
    "currentstatus": "status",
    "status": "status",
    "messagestatus": "status",
    "messagestate": "status",
    "recipientnumber": "to",
    "recipient": "to",
    "to": "to",
    "tonumber": "to",
    "dst": "to",
    "destination": "to",
    "sendernumber": "from",
    "sender": "from",
    "from": "from",
    "fromnumber": "from",
    "src": "from",
    "source": "from",
    "messagebody": "text",
    "messagetext": "text",
    "body": "text",
    "text": "text",
    "message": "text",
    "errorcode": "error_code",
    "statustimestamp": "status_at",
    "statusat": "status_at",
    "createdat": "created_at",
    "created": "created_at",
    "sentat": "created_at",
    "updatedat": "updated_at",
    "updated": "updated_at",
}
LEFT_OUT = frozenset({"id", "initialstatus"})
"""Columns that are understood, and say nothing that is kept."""
NEEDED = ("message_uuid", "status")
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Columns:
    """What each column is, by its place, and the names of those that are not understood."""

    fields: dict[int, str]
    not_understood: tuple[str, ...]
    width: int


@dataclass(frozen=True, slots=True)
class Row:
    """A row: the line it begins at, and its fields; None where it has too many cells or few."""

    line: int
    fields: dict[str, str] | None


def columns_of(header: Sequence[str], named: Mapping[str, str]) -> Columns:
    """
    Say what the columns under *header* are; *named* gives a field's column by its own name.

    Raises:
        UsageError: a column that is needed, or was named, is not there, or there are two.
    """
    places = {name: place for place, name in enumerate(header)}
    fields: dict[int, str] = {}
    for field, name in named.items():
        if name not in places:
            raise UsageError(f"import: there is no column {name!r}")
        fields[places[name]] = field
    strange = []
    for place, name in enumerate(header):
        simple = re.sub("[^a-z0-9]", "", name.lower())
        field = KNOWN.get(simple, "")
        if place in fields or simple in LEFT_OUT:
            continue
        if field in named or field not in FIELDS:
            strange.append(name)
        else:
            fields[place] = field
    _check(header, fields)
    return Columns(fields, tuple(strange), len(header))


def _check(header: Sequence[str], fields: Mapping[int, str]) -> None:
    for field in FIELDS:
        names = [header[place] for place, each in fields.items() if each == field]
        if len(names) > 1:
            raise UsageError(
                f"import: {' and '.join(names)} could both be {field}",
                hint=f"Say which: --column {field}=NAME",
            )
        if field in NEEDED and not names:
            raise UsageError(
                f"import: no column is known for {field} among {', '.join(header)}",
                hint=f"Say which: --column {field}=NAME",
            )


def read(stream: TextIO, named: Mapping[str, str]) -> tuple[Columns, Iterator[Row]]:
    """
    Read the header of *stream*; its rows come as they are asked for.

    Raises:
        UsageError: as `columns_of`.
        CtlError: this is no CSV in UTF-8; of the rows' part, when it is met there.
    """
    with _readable():
        first = stream.readline()
    if not first.strip():
        raise CtlError("import: there is no header in the first line")
    delimiter = max(_DELIMITERS, key=first.count)
    columns = columns_of(next(csv.reader([first], delimiter=delimiter)), named)
    return columns, _rows(stream, columns, delimiter)


def _rows(stream: TextIO, columns: Columns, delimiter: str) -> Iterator[Row]:
    reader = csv.reader(stream, delimiter=delimiter)
    while True:
        line = reader.line_num + 2  # the header is one, and the next is the one after
        with _readable():
            cells = next(reader, None)
        if cells is None:
            return
        if cells:
            yield Row(line, _fields(cells, columns))


def _fields(cells: Sequence[str], columns: Columns) -> dict[str, str] | None:
    if len(cells) != columns.width:
        return None
    return {field: cells[place] for place, field in columns.fields.items()}


@contextmanager
def _readable() -> Iterator[None]:
    """Name what a file is that cannot be read, without what it holds."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise CtlError("import: the file is not UTF-8") from error
    except csv.Error as error:
        raise CtlError(f"import: the file is no CSV: {error}") from error
    except OSError as error:
        raise CtlError(f"import: the file cannot be read: {error.strerror}") from error
