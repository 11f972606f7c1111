"""
Plivo's error codes explained: what happened, whose fault, charged or not, what to do. Pure data.

The list is incomplete, as Plivo's own table could be read only in part; a code that is not here
says so. Whose fault it is and what to do are our reading of what the code means.
Source: plivo.com/docs/messaging/troubleshooting/error-codes, Plivo's "Introducing SMS Error Codes",
its support pages and API reference, read 2026-11. Not from Plivo itself: those in SECOND_HAND.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

DELIVERED: Final = "delivered"
FAILED: Final = "failed"
UNDELIVERED: Final = "undelivered"

SENDER: Final = "the sender"
RECIPIENT: Final = "the recipient"
CARRIER: Final = "the carrier"
PLIVO: Final = "Plivo"
ACCOUNT: Final = "the account's owner"
NOBODY: Final = "nobody"
UNTOLD: Final = "unknown"

WHERE_TO_LOOK: Final = "https://plivo.com/docs/messaging/troubleshooting/error-codes"


class Explanation(NamedTuple):
    """One code. *ends* is the status that it always comes with; None where it may be either."""

    name: str
    meaning: str
    fault: str
    advice: str
    ends: str | None = None


CODES: Final[dict[str, Explanation]] = {
    "000": Explanation("Success", "no error", NOBODY, "Nothing is to be done", DELIVERED),
    "10": Explanation(
        "Invalid message",
        "invalid message: the carrier refused the content",
        SENDER,
        "Look at the text: blank, too long, or with characters the carrier does not take",
    ),
    "20": Explanation(
        "Network error",
        "network error: a temporary fault at the delivering carrier",
        CARRIER,
        "Send it again later",
    ),
    "30": Explanation(
        "Spam detected",
        "spam detected: the carrier's filter, or too many messages from a long code",
        SENDER,
        "Do not repeat it as it is: change the text, or register the sender (10DLC, toll-free,"
        " short code) for this kind of traffic",
    ),
    "40": Explanation(
        "Invalid source number",
        "invalid source number: malformed, not enabled for SMS, or not on the account",
        SENDER,
        "Look at 'from' and at send.from; the number must be the account's and able to send SMS",
    ),
    "50": Explanation(
        "Invalid destination number",
        "invalid destination number: malformed, not able to receive SMS, or a landline",
        SENDER,
        "Correct the number, or take it off the list",
    ),
    "60": Explanation(
        "Loop detected",
        "loop detected: automatic replies or a routing loop",
        CARRIER,
        "See whether two machines answer each other; if not, ask Plivo's support",
    ),
    "70": Explanation(
        "Destination permanently unavailable",
        "destination permanently unavailable: the number is inactive",
        RECIPIENT,
        "Take the number off the list",
    ),
    "80": Explanation(
        "Destination temporarily unavailable",
        "destination temporarily unavailable: switched off or out of coverage",
        RECIPIENT,
        "Send it again later",
    ),
    "90": Explanation(
        "No route available",
        "no route available to the destination's network",
        PLIVO,
        "Send it again later; if it stays so, ask Plivo's support",
    ),
    "100": Explanation(
        "Prohibited by carrier",
        "prohibited by the destination's carrier",
        CARRIER,
        "See what the country asks of senders (registered sender, template); repeating it as it"
        " is does not help",
    ),
    "110": Explanation(
        "Message too long",
        "message too long: over 1,600 GSM or 737 Unicode characters",
        SENDER,
        "Shorten the text, or send it in parts",
    ),
    "120": Explanation("MMS too large", "MMS larger than 5 MB", SENDER, "Shrink the media", FAILED),
    "130": Explanation(
        "Unsupported media",
        "unsupported media in an MMS",
        SENDER,
        "Convert the media to a format that MMS takes",
        FAILED,
    ),
    "140": Explanation(
        "Media processing failed",
        "media of an MMS could not be processed",
        SENDER,
        "See that each of media_urls can be fetched from the internet, then send it again",
        FAILED,
    ),
    "200": Explanation(
        "Blocked by STOP",
        "blocked by STOP: the recipient opted out",
        RECIPIENT,
        "Do not send to this number until its owner opts in again (START)",
        FAILED,
    ),
    "201": Explanation(
        "US toll-free to Canada blocked",
        "US toll-free numbers cannot reach Canada",
        SENDER,
        "Send from another kind of number",
    ),
    "300": Explanation(
        "Failed to dispatch message",
        "Plivo could not hand the message over",
        PLIVO,
        "Send it again; if it stays so, ask Plivo's support",
        FAILED,
    ),
    "420": Explanation(
        "Message expired",
        "message expired in Plivo's queue",
        SENDER,
        "Send it anew; a longer message_expiry or a slower pace (send.per_second) prevents it",
        FAILED,
    ),
    "450": Explanation(
        "Destination country barred",
        "destination country barred in the account's Geo Permissions",
        ACCOUNT,
        "Enable the country in Plivo's console, Geo Permissions",
        FAILED,
    ),
    "900": Explanation(
        "Insufficient credit",
        "insufficient credit",
        ACCOUNT,
        "Top up the account (auto-recharge prevents it), then send it anew",
        FAILED,
    ),
    "910": Explanation(
        "Account disabled", "account disabled", ACCOUNT, "Ask Plivo's support why", FAILED
    ),
    "1000": Explanation(
        "Unknown error",
        "unknown error: neither Plivo nor the carrier says why",
        UNTOLD,
        "Send it again once; if it stays so, ask Plivo's support, with the MessageUUID",
    ),
    "2403": Explanation(
        "message_url answered HTTP 403",
        "of incoming messages: the account's own message_url answered 403",
        ACCOUNT,
        "See why that URL refuses Plivo; no outgoing message bears this code",
        UNDELIVERED,
    ),
}

SECOND_HAND: Final = frozenset({"130", "140", "300", "910", "2403"})
"""Codes that are known from others' copies of Plivo's pages, or from a single remark."""

_CHARGED: Final = {
    DELIVERED: "yes",
    FAILED: "no: it was stopped within Plivo",
    UNDELIVERED: "yes: the carrier had taken it",
    None: "yes when undelivered (the carrier had taken it),"
    " no when failed (it was stopped within Plivo)",
}


def meaning(code: str | None) -> str | None:
    """Say in words what *code* means; None stays None, and an unknown one says that it is."""
    if code is None:
        return None
    return CODES[code].meaning if code in CODES else _unknown(code)


def charged(code: str, status: str | None = None) -> str:
    """
    Say whether a message that ended as *status* with *code* costs something.

    Source: Plivo's "Introducing SMS Error Codes": failed is not charged, undelivered is.
    """
    known = CODES.get(code)
    ends = status if status in {FAILED, UNDELIVERED} else known and known.ends
    return _CHARGED[ends]


def explained(code: str, status: str | None = None) -> dict[str, Any]:
    """Give all that is known of *code*, for a message that ended as *status*, as JSON has it."""
    known = CODES.get(code)
    return {
        "code": code,
        "known": known is not None,
        "name": known.name if known else None,
        "meaning": meaning(code),
        "fault": known.fault if known else UNTOLD,
        "charged": charged(code, status),
        "advice": known.advice if known else f"Look it up: {WHERE_TO_LOOK}",
        "second_hand": code in SECOND_HAND,
    }


def _unknown(code: str) -> str:
    return f"error {code}, which this version does not know"
