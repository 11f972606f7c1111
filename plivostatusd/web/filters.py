"""Which messages a query means: its parameters read as the store's `Filter`. Pure."""

from __future__ import annotations

import re
from typing import Final

from plivostatusd.domain import phone, times
from plivostatusd.store.reader import Filter
from plivostatusd.web.handler import bad_query

NAMES: Final = (
    *("status", "to", "from", "tag", "error", "carrier", "by", "since", "until", "final"),
)
_CARRIER: Final = re.compile(r"(\d{3})(?:[-/](\d{2,3}))?", re.ASCII)
_ERROR: Final = re.compile(r"\d{1,9}", re.ASCII)
_FINAL: Final = {"true": True, "1": True, "false": False, "0": False}


def messages(query: dict[str, str]) -> Filter:
    """Read what *query* says of messages. Raises `BadQuery` for what a parameter cannot hold."""
    mcc, mnc = _carrier(query)
    return Filter(
        status=query.get("status"),
        to=_number(query, "to"),
        sender=_number(query, "from"),
        tag=query.get("tag"),
        error_code=_error(query),
        mcc=mcc,
        mnc=mnc,
        sent_by=query.get("by"),
        since_us=instant(query, "since"),
        until_us=instant(query, "until"),
        final=_truth(query, "final"),
    )


def instant(query: dict[str, str], name: str) -> int | None:
    """Read an instant; the plus of its offset may have come as a blank."""
    if name not in query:
        return None
    text = query[name]
    if "T" in text:
        text = text.replace(" ", "+")
    value = times.parse(text)
    if value is None:
        bad_query(name, "expected RFC 3339, such as 2026-11-23T09:00:00Z")
    return value


def _number(query: dict[str, str], name: str) -> str | None:
    """Read a number; in a query, too, a plus that was not escaped comes as a blank."""
    if name not in query:
        return None
    number = phone.normalise_sender(query[name])
    if number is None:
        bad_query(name, "expected a number such as +14155552323")
    return number


def _carrier(query: dict[str, str]) -> tuple[str | None, str | None]:
    """Read a network: MCC-MNC, or an MCC alone for all of a country's."""
    if "carrier" not in query:
        return None, None
    match = _CARRIER.fullmatch(query["carrier"])
    if match is None:
        bad_query("carrier", "expected MCC-MNC such as 310-150, or MCC")
    return match[1], match[2]


def _error(query: dict[str, str]) -> str | None:
    if "error" in query and not _ERROR.fullmatch(query["error"]):
        bad_query("error", "expected an error code such as 30")
    return query.get("error")


def _truth(query: dict[str, str], name: str) -> bool | None:
    if name not in query:
        return None
    if query[name] not in _FINAL:
        bad_query(name, "expected true or false")
    return _FINAL[query[name]]
