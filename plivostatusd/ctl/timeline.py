"""
A message's whole story as rows of a table, oldest first. Pure: the API's message in, rows out.

`after` counts from the moment the message was recorded; `delay` is how long what Plivo reports took
to get here by Plivo's own time of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from plivostatusd.ctl.table import Column
from plivostatusd.ctl.visible import NOTHING, visible

COLUMNS = (
    Column("when"),
    Column("after", right=True),
    Column("status"),
    Column("source"),
    Column("trust"),
    Column("Plivo's time"),
    Column("delay", right=True),
    Column("what happened"),
)
_MINUTE_S = 60.0
_HOUR_S = 3_600.0
_DAY_S = 86_400.0
_SAID = {
    ("send", "pending"): "recorded",
    ("send", "queued"): "Plivo took it",
    ("send", "refused"): "not sent",
    ("send", "unknown"): "no answer that tells",
    ("inferred", "queued"): "found in Plivo's list",
}
_SAID_BY = {
    "callback": "Plivo called back",
    "api": "Plivo was asked",
    "inferred": "found in Plivo's list",
    "operator": "settled by hand",
    "silence": "silence is the last word",
    "send": "sent",
}
_ASIDE = "kept, and does not count"


def rows(message: dict[str, Any]) -> list[list[str]]:
    """Give one row a happening: what was recorded, called, answered and called back."""
    began = instant(message.get("created_at"))
    told = [_event_row(event, message, began) for event in message.get("events") or []]
    called = instant(message.get("called_at"))
    if called is not None:
        place = next((n for n, (at, _) in enumerate(told) if at and at > called), len(told))
        told.insert(place, (called, _called_row(message, called, began)))
    return [row for _, row in told]


def summary(message: dict[str, Any]) -> list[tuple[str, str]]:
    """Say how it ended, what it cost and how long it took, as `name  value` lines."""
    return list(_summary(message))


def instant(text: object) -> datetime | None:
    """Read one of the API's instants; None for anything else."""
    try:
        read = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return read if read and read.tzinfo else None


def span(seconds: float) -> str:
    """Spell a span of time with the precision that its length deserves."""
    size = abs(seconds)
    if size < _MINUTE_S:
        return f"{seconds:.3f}s"
    if size < _HOUR_S:
        return f"{seconds / _MINUTE_S:.1f}m"
    if size < _DAY_S:
        return f"{seconds / _HOUR_S:.1f}h"
    return f"{seconds / _DAY_S:.1f}d"


def precise(text: object) -> str:
    """Spell an instant to the millisecond; anything else as it is."""
    read = instant(text)
    if read is None:
        return visible(text)
    return f"{read:%Y-%m-%d %H:%M:%S}.{read.microsecond // 1000:03d}Z"


def _event_row(
    event: dict[str, Any], message: dict[str, Any], began: datetime | None
) -> tuple[datetime | None, list[str]]:
    received = instant(event.get("received_at"))
    return received, [
        precise(event.get("received_at")),
        _between(began, received),
        visible(event.get("status")),
        visible(event.get("source")),
        visible(event.get("trust")),
        precise(event.get("at")),
        _between(instant(event.get("at")), received),
        "; ".join(_words(event, message)),
    ]


def _called_row(message: dict[str, Any], called: datetime, began: datetime | None) -> list[str]:
    attempts = message.get("attempts")
    words = "Plivo was called" if attempts == 1 else f"Plivo was called, attempt {attempts}"
    nothing = [NOTHING] * 5
    return [precise(message.get("called_at")), _between(began, called), *nothing, words]


def _words(event: dict[str, Any], message: dict[str, Any]) -> Iterator[str]:
    source, status = str(event.get("source")), str(event.get("status"))
    yield _SAID.get((source, status)) or _SAID_BY.get(source, visible(source))
    if (source, status) == ("send", "pending") and message.get("sent_by"):
        yield f"by {visible(message['sent_by'])}"
    if event.get("by"):
        yield f"by {visible(event['by'])}"
    if event.get("verified_by"):
        yield f"signed with {visible(event['verified_by'])}"
    if event.get("reason"):
        yield visible(event["reason"])
    if event.get("error_code"):
        yield f"error {visible(event['error_code'])}: {visible(event.get('error'))}"
    if event.get("aside"):
        yield f"{visible(event['aside'])}: {_ASIDE}"


def _between(since: datetime | None, until: datetime | None) -> str:
    if since is None or until is None:
        return NOTHING
    return span((until - since).total_seconds())


def _summary(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if message.get("amount") is not None:
        units = message.get("units")
        parts = "" if units is None else f" for {units} unit{'' if units == 1 else 's'}"
        yield "price", f"{visible(message['amount'])}{parts}"
    if message.get("delivery_seconds") is not None:
        yield "delivery", f"{span(message['delivery_seconds'])} from sent to delivered, says Plivo"
    if not message.get("final"):
        yield "open", "more may come"
    elif message.get("final_by") == "silence":
        yield "final", "by silence: nothing more was heard"
