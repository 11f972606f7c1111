"""
What one call asks Plivo to send: a frozen record, made by the outbox and read by the client.

Its ``repr`` shows neither text nor numbers nor the callback's secret URL, so it may end up in a
traceback.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SendCall:
    """
    One message to one recipient: for a list Plivo does not say which UUID belongs to whom.

    Exactly one of *src* and *powerpack_uuid* is set. *url* is what Plivo calls back.
    *message_expiry* is in seconds.
    """

    src: str | None
    dst: str
    text: str | None
    url: str
    type: str = "sms"
    powerpack_uuid: str | None = None
    media_urls: tuple[str, ...] = ()
    message_expiry: int | None = None
    dlt_entity_id: str | None = None
    dlt_template_id: str | None = None
    dlt_template_category: str | None = None

    def __repr__(self) -> str:
        return f"SendCall(type={self.type!r})"
