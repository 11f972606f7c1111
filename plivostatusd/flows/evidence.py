"""
Everything known of one message, gathered for somebody who has to be convinced.

It promises to change nothing: what Plivo is asked here is shown, and not recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plivostatusd.domain import evidence
from plivostatusd.store.spooled import request_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plivostatusd.domain.evidence import Checked
    from plivostatusd.domain.signature import Signed, Verifier
    from plivostatusd.plivo.outcome import Finding
    from plivostatusd.store.reader import Reader, Record

BLANK = b"\0"


@dataclass(frozen=True, slots=True)
class Kept:
    """One event with its bytes: *request* and *checked* are a callback's, unless blanked."""

    record: Record
    raw: bytes | None
    request: Signed | None
    checked: list[Checked]

    @property
    def is_blanked(self) -> bool:
        """Say whether the bytes were forgotten."""
        return self.record["raw"] is not None and self.raw is None


@dataclass(frozen=True, slots=True)
class Gathered:
    """A message's row, its events, and what Plivo says of it now; *finding* None: not asked."""

    message: Record
    events: list[Kept]
    finding: Finding | None
    asked_us: int


class Evidence:
    """
    Gathers from the store, and from Plivo by *ask*.

    *verifier* gives the keys and URLs that are configured now, which a reload may replace.
    """

    def __init__(
        self,
        reader: Reader,
        verifier: Callable[[], Verifier],
        ask: Callable[[str], Awaitable[Finding]],
        *,
        now_us: Callable[[], int],
    ) -> None:
        self._reader = reader
        self._verifier = verifier
        self._ask = ask
        self._now_us = now_us

    async def gather(self, message_id: str, *, asks: bool) -> Gathered | None:
        """
        Gather what is known of one message by our id or Plivo's; None when there is none.

        Raises `StoreUnavailable`.
        """
        message = await self._reader.message(message_id)
        if message is None:
            return None
        events = [self._kept(row) for row in await self._reader.raw_events_of(message["row"])]
        finding = None
        if asks and message["message_uuid"] is not None:
            finding = await self._ask(message["message_uuid"])
        return Gathered(message, events, finding, self._now_us())

    def _kept(self, record: Record) -> Kept:
        raw: bytes | None = record["raw"]
        if raw is None or raw[:1] in {b"", BLANK}:
            return Kept(record, None, None, [])
        if record["source"] != "callback":
            return Kept(record, raw, None, [])
        request = request_of(raw)
        verifier = self._verifier()
        return Kept(record, raw, request, evidence.check(request, verifier.keys, verifier.urls))
