"""
What a callback says: decoded pairs in, a `Report` out. Pure, and never refuses.

Whoever calls has proved the request genuine first. A field that is missing, or that does not look
as Plivo's pages say it looks, is None here and stays readable in the raw request that is kept
beside the event.

V3 signs names and values, sorted, with nothing between them: a holder of a captured request may
move the boundary between a name and a value, and must not win a field by it. So the shapes hold
digits and fixed lengths: a letter cannot be borrowed from the name behind, and a digit cannot be
cut off, because it would begin a name that does not sort there. `_status` and `_message_uuid` need
more than a shape. An alphanumeric sender may gain the digits of `MCC`; nothing rests on it.

Source: plivo.com/docs/messaging/api/message/message-status-callbacks, read 2026-11.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from plivostatusd.domain import phone, times
from plivostatusd.domain.statuses import OURS, RANK_OUTCOME, RANKS, SENT, Fact, rank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plivostatusd.domain.signature import Pair
    from plivostatusd.domain.statuses import Source

_UUID = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_STATUS = re.compile(r"[a-z][a-z_]{0,31}", re.ASCII)
_SEQUENCE = re.compile(rb"\d{1,9}")
_UNITS = re.compile(rb"\d{1,5}")
_AMOUNT = re.compile(rb"\d{1,9}(?:\.\d{1,9})?")
_NETWORK = re.compile(rb"\d{2,3}")
_ERROR = re.compile(rb"\d{0,9}")
_PLIVOS = frozenset(RANKS) - OURS


@dataclass(slots=True, kw_only=True)
class Report:
    """
    What one callback says of one message; every field None where it does not say it.

    Nobody changes one; but a frozen class takes three times as long to make.
    """

    message_uuid: str | None
    status: str | None
    sender: str | None
    recipient: str | None
    sequence: int | None
    at_us: int | None
    sent_us: int | None
    delivered_us: int | None
    error_code: str | None
    units: int | None
    amount: str | None
    mcc: str | None
    mnc: str | None

    def fact(self, source: Source, trust: str) -> Fact:
        """See the report as the merge rule sees it."""
        return Fact(
            status=self.status,
            source=source,
            trust=trust,
            sequence=self.sequence,
            at_us=self.at_us,
            error_code=self.error_code,
            units=self.units,
            amount=self.amount,
            mcc=self.mcc,
            mnc=self.mnc,
        )


def _word(value: bytes | None, shape: re.Pattern[bytes]) -> str | None:
    return value.decode("ascii") if value is not None and shape.fullmatch(value) else None


def _number(value: bytes | None, shape: re.Pattern[bytes]) -> int | None:
    return int(value) if value is not None and shape.fullmatch(value) else None


class _Terms(NamedTuple):
    """What thousands of reports say alike, read once."""

    error_code: str | None
    units: int | None
    amount: str | None
    mcc: str | None
    mnc: str | None


@lru_cache(1_024)
def _terms(
    error_code: bytes | None,
    units: bytes | None,
    amount: bytes | None,
    mcc: bytes | None,
    mnc: bytes | None,
) -> _Terms:
    return _Terms(
        _word(error_code, _ERROR),
        _number(units, _UNITS),
        _word(amount, _AMOUNT),
        _word(mcc, _NETWORK),
        _word(mnc, _NETWORK),
    )


def _text(fields: Mapping[bytes, bytes], name: bytes) -> str:
    return fields.get(name, b"").decode("utf-8", "replace")


def _time(fields: Mapping[bytes, bytes], name: bytes) -> int | None:
    value = fields.get(name)
    return times.parse(value.decode("utf-8", "replace")) if value else None


def _status(fields: Mapping[bytes, bytes], recipient: str | None) -> str | None:
    """
    Read the status; a word that we do not know, only beside a readable `To`.

    A boundary moved to within the word would swallow `To`, the name that sorts next. No word of
    Plivo's begins with another one, so those need no such witness. Our own words mean nothing in
    Plivo's mouth.
    """
    word = _text(fields, b"Status").strip().lower()
    if word in _PLIVOS:
        return word
    is_new = recipient is not None and word not in OURS and _STATUS.fullmatch(word)
    return word if is_new else None


def _message_uuid(fields: Mapping[bytes, bytes]) -> str | None:
    """
    Read the message's UUID, unless it may be its parent's.

    `ParentMessageUUID` ends in this field's name. Passing its value off as this one's leaves no
    parent, and the true name within another field.
    """
    uuid = _word(fields.get(b"MessageUUID"), _UUID)
    if uuid is None or b"ParentMessageUUID" in fields:
        return uuid
    others = (name + value for name, value in fields.items() if name != b"MessageUUID")
    return None if any(b"MessageUUID" in other for other in others) else uuid


def parse(pairs: Sequence[Pair]) -> Report:
    """Read decoded *pairs*; of a repeated name the first counts."""
    fields = dict(pairs[::-1])
    recipient = phone.normalise(_text(fields, b"To"))
    status = _status(fields, recipient)
    sent_us = _time(fields, b"SentTime")
    delivered_us = _time(fields, b"DeliveryReportTime")
    # Plivo's own time of this status: which field says it depends on how far the message is.
    at_us = None
    if status is not None and rank(status) >= RANK_OUTCOME:
        at_us = delivered_us
    elif status == SENT:
        at_us = sent_us
    if at_us is None:
        at_us = _time(fields, b"QueuedTime")
    if at_us is None:
        at_us = _time(fields, b"MessageTime")
    get = fields.get
    terms = _terms(get(b"ErrorCode"), get(b"Units"), get(b"TotalAmount"), get(b"MCC"), get(b"MNC"))
    return Report(
        message_uuid=_message_uuid(fields),
        status=status,
        sender=phone.normalise_sender(_text(fields, b"From")),
        recipient=recipient,
        sequence=_number(get(b"Sequence"), _SEQUENCE),
        at_us=at_us,
        sent_us=sent_us,
        delivered_us=delivered_us,
        error_code=terms.error_code,
        units=terms.units,
        amount=terms.amount,
        mcc=terms.mcc,
        mnc=terms.mnc,
    )
