"""
What Plivo's API says of one message: a JSON object in, a `MessageRecord` out. Pure.

Strict where a callback is strict, and by the same rules, because it goes through the callback's
own parser: what is missing or looks wrong is None and stays readable in the raw object. Read by
this package alone; flows use what comes out.

Source: plivo.com/docs/messaging/api/message/retrieve-a-message, read 2026-11.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from plivostatusd.domain import callback, times
from plivostatusd.domain.statuses import Fact, Source

_AS_CALLED_BACK = {
    # The API's names for what callbacks carry under others.
    "message_uuid": b"MessageUUID",
    "message_state": b"Status",
    "from_number": b"From",
    "to_number": b"To",
    "message_sent_time": b"SentTime",
    "error_code": b"ErrorCode",
    "units": b"Units",
    "total_amount": b"TotalAmount",
    "mcc": b"MCC",
    "mnc": b"MNC",
}
_DIRECTIONS = frozenset({"inbound", "outbound"})


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
    said = callback.parse(
        (called, fields[name].encode("utf-8", "replace"))
        for name, called in _AS_CALLED_BACK.items()
        if name in fields
    )
    if said.message_uuid is None:
        return None
    direction = fields.get("message_direction")
    return MessageRecord(
        message_uuid=said.message_uuid,
        state=said.status,
        direction=direction if direction in _DIRECTIONS else None,
        sender=said.sender,
        recipient=said.recipient,
        message_time_us=times.parse(fields.get("message_time", "")),
        sent_us=said.sent_us,
        updated_us=times.parse(fields.get("message_updated_time", "")),
        error_code=said.error_code,
        units=said.units,
        amount=said.amount,
        mcc=said.mcc,
        mnc=said.mnc,
        raw=raw,
    )


def is_message_uuid(text: str) -> bool:
    """Say whether *text* can be Plivo's name of a message. What cannot must not get into a URL."""
    return callback.parse([(b"MessageUUID", text.encode("utf-8", "replace"))]).message_uuid == text


def _fields(raw: bytes) -> dict[str, str]:
    """Return the texts and numbers of a JSON object, numbers as they were written."""
    try:
        content: Any = json.loads(raw, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: value for name, value in content.items() if isinstance(value, str)}
