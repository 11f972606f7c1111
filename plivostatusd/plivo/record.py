"""
What Plivo's API says of one message: a JSON object in, a `MessageRecord` out. Pure.

Strict as the reader of callbacks is: what is missing or looks wrong is None, and stays readable in
the raw object. (Its rules are not shared: those against moved boundaries have no place here.) Read
by this package alone; flows use what comes out.

Source: plivo.com/docs/messaging/api/message/retrieve-a-message, read 2026-11.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from plivostatusd.domain import phone, times
from plivostatusd.domain.statuses import OURS, Fact, Source

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_STATE = re.compile(r"[a-z][a-z_]{0,31}")
_DIRECTION = re.compile(r"inbound|outbound")
_PARTY = re.compile(r"\+?[A-Za-z0-9 ]{1,32}")
_UNITS = re.compile(r"\d{1,5}", re.ASCII)
_AMOUNT = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)
_NETWORK = re.compile(r"\d{2,3}", re.ASCII)
_ERROR = re.compile(r"[A-Za-z0-9_-]{0,16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRecord:
    """
    One message as Plivo's API knows it; every field but its name None where Plivo does not say it.

    Numbers are E.164. *error_code* stands as Plivo wrote it: "000" is its word for no error.
    *raw* is the JSON object that it was read from. The ``repr`` shows no number.
    """

    message_uuid: str
    state: str | None
    direction: str | None
    sender: str | None = field(repr=False)
    recipient: str | None = field(repr=False)
    message_time_us: int | None
    sent_us: int | None
    updated_us: int | None
    error_code: str | None
    units: int | None
    amount: str | None
    mcc: str | None
    mnc: str | None
    raw: bytes = field(repr=False)

    def fact(self, source: Source = "api") -> Fact:
        """
        See the record as the merge rule sees it.

        Its own time is that of the last update, which not every record has; else the message's.
        """
        return Fact(
            status=self.state,
            source=source,
            trust="api",
            at_us=self.message_time_us if self.updated_us is None else self.updated_us,
            error_code=self.error_code,
            units=self.units,
            amount=self.amount,
            mcc=self.mcc,
            mnc=self.mnc,
        )


def parse(raw: bytes) -> MessageRecord | None:
    """Read one JSON object; None when it is none, or names no message. Never raises."""
    fields = _fields(raw)
    message_uuid = _shaped(fields, "message_uuid", _UUID)
    if message_uuid is None:
        return None
    units = _shaped(fields, "units", _UNITS)
    return MessageRecord(
        message_uuid=message_uuid,
        state=_state(fields),
        direction=_shaped(fields, "message_direction", _DIRECTION),
        sender=_party(fields, "from_number"),
        recipient=_party(fields, "to_number"),
        message_time_us=times.parse(fields.get("message_time", "")),
        sent_us=times.parse(fields.get("message_sent_time", "")),
        updated_us=times.parse(fields.get("message_updated_time", "")),
        error_code=_shaped(fields, "error_code", _ERROR),
        units=None if units is None else int(units),
        amount=_shaped(fields, "total_amount", _AMOUNT),
        mcc=_shaped(fields, "mcc", _NETWORK),
        mnc=_shaped(fields, "mnc", _NETWORK),
        raw=raw,
    )


def _fields(raw: bytes) -> dict[str, str]:
    """Return the texts and numbers of a JSON object, numbers as they were written."""
    try:
        content: Any = json.loads(raw.decode("utf-8-sig"), parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: value for name, value in content.items() if isinstance(value, str)}


def _shaped(fields: dict[str, str], name: str, shape: re.Pattern[str]) -> str | None:
    value = fields.get(name)
    return value if value is not None and shape.fullmatch(value) else None


def _state(fields: dict[str, str]) -> str | None:
    """Read the status. Our own words for one mean nothing in Plivo's mouth."""
    word = fields.get("message_state", "").strip().lower()
    return word if _STATE.fullmatch(word) and word not in OURS else None


def _party(fields: dict[str, str], name: str) -> str | None:
    value = _shaped(fields, name, _PARTY)
    return None if value is None else phone.from_plivo(value)
