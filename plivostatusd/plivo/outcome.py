"""
What became of one call to Plivo, in words that a flow can act on without knowing HTTP.

Promises that :class:`NotSent` rests on a fact (no byte of the request was handed to a socket, or
Plivo answered 429) and never on the name of an exception; whatever is not certain is
:class:`Unknown`. Flows may import it.

The ``error`` of a refusal is Plivo's own text, shortened, with our token taken out. It may repeat
numbers or the message, so it belongs in the local API's reply and in the store, never in a log
line: that is why no ``repr`` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from plivostatusd.plivo.query import Page
from plivostatusd.plivo.record import MessageRecord


@dataclass(frozen=True, slots=True)
class Accepted:
    """Plivo has queued the message under *message_uuid*."""

    message_uuid: str
    api_id: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """
    Plivo refuses this message, and would again: any 4xx not named elsewhere.

    Also 202 when the only thing in it is an invalid number, and 400 when the SDK's own check
    refused in Plivo's place.
    """

    http_status: int
    error: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AccountRefused:
    """401, 402 or 403: the account, not the message. With 403 the caller asks ``probe()``."""

    http_status: int
    error: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request provably never reached Plivo, or Plivo put it off with 429 (*throttled*)."""

    reason: str
    retry_after_s: float | None = None
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """
    Plivo may have taken the message: a lost answer, 1xx, 3xx, 408, 5xx, or 2xx with garbage.

    For a question: there is no answer that can be used (any 4xx not named elsewhere too). Nothing
    is learnt, and nothing is lost by asking again later.
    """

    reason: str
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class Reachable:
    """The probe was answered: Plivo is there and knows the account."""


@dataclass(frozen=True, slots=True)
class Found:
    """Plivo knows the message, and this is what it says of it."""

    record: MessageRecord


@dataclass(frozen=True, slots=True)
class Absent:
    """
    Plivo says, as JSON, that it has no such message (404).

    Also when the name asked for cannot be one of Plivo's: then nobody was asked. A 404 in any
    other shape is :class:`Unknown`: it is some other server's, or a wrong ``api_url``.
    """


@dataclass(frozen=True, slots=True)
class Listed:
    """
    One page, newest first, and where the list goes on; *next* is None at its end.

    *unreadable* counts the rows that name no message: a row that cannot be read may be the one
    that is looked for, so "exactly one fits" holds only when there is none.
    """

    records: tuple[MessageRecord, ...]
    next: Page | None = None
    unreadable: int = 0


def why(outcome: AccountRefused | NotSent | Unknown) -> str:
    """Say in words why there is no answer that can be used."""
    if isinstance(outcome, AccountRefused):
        return f"Plivo refuses the account ({outcome.http_status})"
    return outcome.reason


Outcome = Accepted | Refused | AccountRefused | NotSent | Unknown
Probe = Reachable | AccountRefused | NotSent | Unknown
Finding = Found | Absent | AccountRefused | NotSent | Unknown
Listing = Listed | AccountRefused | NotSent | Unknown
