"""
Plivo's error codes in words. Pure data; a code that is not here says so.

The list is incomplete: Plivo's own table could be read only in part.
Source: plivo.com/docs/messaging/troubleshooting/error-codes, Plivo's "Introducing SMS Error Codes"
and its support pages, read 2026-11.
"""

from __future__ import annotations

from typing import Final

MEANINGS: Final = {
    "10": "invalid message: the carrier refused the content",
    "20": "network error: a temporary fault at the delivering carrier",
    "30": "spam detected: the carrier's filter, or too many messages from a long code",
    "40": "invalid source number: malformed, not enabled for SMS, or not on the account",
    "50": "invalid destination number: malformed, not able to receive SMS, or a landline",
    "60": "loop detected: automatic replies or a routing loop",
    "70": "destination permanently unavailable: the number is inactive",
    "80": "destination temporarily unavailable: switched off or out of coverage",
    "90": "no route available to the destination's network",
    "100": "prohibited by the destination's carrier",
    "110": "message too long",
    "120": "MMS larger than 5 MB",
    "130": "unsupported media in an MMS",
    "140": "media of an MMS could not be processed",
    "200": "blocked by STOP: the recipient opted out",
    "201": "US toll-free numbers cannot reach Canada",
    "300": "Plivo could not hand the message over",
    "420": "message expired in Plivo's queue",
    "450": "destination country barred in the account's Geo Permissions",
    "900": "insufficient credit",
    "910": "account disabled",
    "1000": "unknown error: neither Plivo nor the carrier says why",
}


def meaning(code: str | None) -> str | None:
    """Explain *code*; None stays None, and a code that is not in the table says so."""
    if code is None:
        return None
    return MEANINGS.get(code, f"error {code}, which this version does not know")
