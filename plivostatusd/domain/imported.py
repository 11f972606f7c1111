"""
A row of a table that another program kept of its messages: fields in, a checked `Imported` out.

Pure. What a row says is second-hand: Plivo told another program, which wrote it down. So it is an
operator's word, and never goes before what Plivo told us.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from plivostatusd.domain import identity, phone, statuses, times

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELDS: Final = (
    *("message_uuid", "status", "to", "from", "text", "error_code"),
    *("status_at", "created_at", "updated_at"),
)
WORDS: Final = tuple(word for word in statuses.RANKS if word not in statuses.OURS)
TEXT_CHARACTERS_MAX: Final = 10_000
_DAY_US: Final = 86_400 * 1_000_000
_NONE: Final = frozenset({"", "NULL", "\\N"})
"""How nothing is spelt: by PostgreSQL's COPY as CSV, by spreadsheets, by COPY as text."""
_ERROR: Final = re.compile(r"\d{1,9}", re.ASCII)
_HOURS_ALONE: Final = re.compile(r"(:\d{2}(?:\.\d+)?)([+-]\d{2})$", re.ASCII)
"""PostgreSQL spells an offset of whole hours without minutes: `2026-11-23 09:00:00+00`."""


class BadRow(ValueError):
    """A row that cannot be taken: *field* and *problem* say why, without what it holds."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.field = name
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What a row says of a message. Numbers are E.164, instants microseconds."""

    message_uuid: str
    status: str
    to: str | None = field(repr=False)
    sender: str | None = field(repr=False)
    text: str | None = field(repr=False)
    error_code: str | None
    at_us: int | None
    created_us: int


def parse(fields: Mapping[str, Any], *, now_us: int) -> Imported:
    """Check a row's *fields*, texts by the names in `FIELDS`. Raises `BadRow`."""
    said = {name: _said(name, fields.get(name)) for name in FIELDS}
    if unknown := next((name for name in fields if name not in FIELDS), None):
        raise BadRow(unknown[:64], "is not a field of a row")
    updated_us = _instant("updated_at", said["updated_at"], now_us)
    at_us = _instant("status_at", said["status_at"], now_us)
    at_us = updated_us if at_us is None else at_us
    created_us = _instant("created_at", said["created_at"], now_us)
    return Imported(
        message_uuid=_uuid(said["message_uuid"]),
        status=_status(said["status"]),
        to=_number("to", said["to"], phone.normalise),
        sender=_number("from", said["from"], phone.normalise_sender),
        text=_text(said["text"]),
        error_code=_error(said["error_code"]),
        at_us=at_us,
        created_us=next((each for each in (created_us, at_us) if each is not None), now_us),
    )


def _said(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRow(name, "expected text")
    return None if value.strip() in _NONE else value


def _uuid(said: str | None) -> str:
    uuid = (said or "").strip()
    if not identity.is_message_uuid(uuid):
        raise BadRow("message_uuid", "expected Plivo's message_uuid")
    return uuid


def _status(said: str | None) -> str:
    word = (said or "").strip().lower()
    if word not in WORDS:
        raise BadRow("status", f"expected one of {', '.join(WORDS)}")
    return word


def _number(name: str, said: str | None, normalise: Any) -> str | None:
    number: str | None = None if said is None else normalise(said)
    if said is not None and number is None:
        raise BadRow(name, "expected an international number such as +14155552323")
    return number


def _text(said: str | None) -> str | None:
    if said is None:
        return None
    if "\x00" in said or len(said) > TEXT_CHARACTERS_MAX or any(map(_is_half, said)):
        raise BadRow("text", f"expected at most {TEXT_CHARACTERS_MAX} characters, none of them NUL")
    return said


def _is_half(letter: str) -> bool:
    return "\ud800" <= letter <= "\udfff"


def _error(said: str | None) -> str | None:
    code = (said or "").strip()
    if code and not _ERROR.fullmatch(code):
        raise BadRow("error_code", "expected an error code such as 30")
    return statuses.known_error(code)


def _instant(name: str, said: str | None, now_us: int) -> int | None:
    """Read an instant; a time without a zone is UTC. None of our days is in the future."""
    if said is None:
        return None
    instant_us = times.parse(_HOURS_ALONE.sub(r"\1\2:00", said.strip()))
    if instant_us is None:
        raise BadRow(name, "expected a time such as 2026-11-23T09:00:00Z")
    if not 0 <= instant_us <= now_us + _DAY_US:
        raise BadRow(name, "is in the future, or before 1970")
    return instant_us
