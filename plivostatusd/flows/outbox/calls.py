"""One call to Plivo, and what became of it written down."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final, assert_never

from plivostatusd.domain import phone, retry
from plivostatusd.flows.outbox.probing import RETRY_FOR_PASSED
from plivostatusd.log import get_logger
from plivostatusd.plivo.call import SendCall
from plivostatusd.plivo.outcome import (
    Accepted,
    AccountRefused,
    NotSent,
    Outcome,
    Refused,
    Unknown,
)
from plivostatusd.store import entries

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivostatusd.flows.outbox.answers import Answers
    from plivostatusd.flows.outbox.ledger import Ledger
    from plivostatusd.flows.outbox.probing import Probing
    from plivostatusd.flows.outbox.terms import Api, Gauges, Terms
    from plivostatusd.flows.pace import Pace
    from plivostatusd.store.entries import Entry

log = get_logger()

HELD_BACK_S_MAX: Final = 1.0
_FORBIDDEN: Final = 403
_NAMES: Final[dict[type[Outcome], str]] = {
    Accepted: "accepted",
    Refused: "refused",
    AccountRefused: "account_refused",
    NotSent: "not_sent",
    Unknown: "unknown",
}
OUTCOMES: Final = tuple(_NAMES.values())
"""Every word of `sends_total{outcome}`."""


class Calls:
    """Calls Plivo for claimed entries. `api` and `terms` may be replaced between calls."""

    def __init__(  # noqa: PLR0913 - it is composed of these, once, by the outbox
        self,
        *,
        ledger: Ledger,
        api: Api,
        terms: Terms,
        gauges: Gauges,
        pace: Pace,
        answers: Answers,
        probing: Probing,
        now_us: Callable[[], int],
        steady_us: Callable[[], int],
    ) -> None:
        self.api = api
        self.terms = terms
        self._ledger = ledger
        self._gauges = gauges
        self._pace = pace
        self._answers = answers
        self._probing = probing
        self._now_us = now_us
        self._steady_us = steady_us

    async def make(self, entry: Entry) -> float | None:
        """Call Plivo for *entry* and settle it; in how many seconds it is due again, or None."""
        started_s, api = time.monotonic(), self.api
        outcome = await self._ask(api, entry)
        seconds = time.monotonic() - started_s
        name = _NAMES[type(outcome)]
        self._gauges.send_tried(name, seconds)
        if isinstance(outcome, AccountRefused) and api is not self.api:
            outcome = NotSent("the credentials were replaced during the call", retry_after_s=0.0)
        due_in_s = await self._settle(entry, outcome)
        log.info(
            "send_settled" if due_in_s is None else "send_postponed",
            message_id=entry.id,
            outcome=name,
            attempt=entry.attempt,
            seconds=round(seconds, 3),
            sent_by=entry.sent_by,
            plivo_status=getattr(outcome, "http_status", None),
            reason=getattr(outcome, "reason", None),
        )
        if due_in_s is None:
            self._answers.tell(entry.id)
        return due_in_s

    async def _ask(self, api: Api, entry: Entry) -> Outcome:
        try:
            return await api.send(_send_call(entry, self.terms.public_url))
        except Exception:
            log.exception("send_failed", message_id=entry.id)
            return Unknown("this program failed during the call")

    async def _settle(self, entry: Entry, outcome: Outcome) -> float | None:
        match outcome:
            case Accepted(message_uuid=uuid):
                await self._accept(entry, uuid)
            case Refused(http_status=status, error=error):
                await self._refuse(entry, f"Plivo refused it ({status})", status, error)
            case AccountRefused():
                return await self._refuse_account(entry, outcome)
            case NotSent():
                return await self._postpone(entry, outcome)
            case Unknown(reason=reason):
                await self._leave_unknown(entry, reason)
            case _:
                assert_never(outcome)
        return None

    async def _leave_unknown(self, entry: Entry, reason: str) -> None:
        now_us = self._now_us()
        look_us = self._steady_us() + self.terms.look_after_us
        await self._ledger.write(
            lambda tx: entries.settle_unknown(tx, entry.row, reason, now_us, look_us)
        )

    async def _accept(self, entry: Entry, message_uuid: str) -> None:
        now_us = self._now_us()
        remark = await self._ledger.write(
            lambda tx: entries.settle_accepted(tx, entry.row, message_uuid, now_us)
        )
        if remark is not None:
            log.error(remark, message_id=entry.id, hint=f"plivostatusctl show {entry.id}")

    async def _refuse(
        self, entry: Entry, reason: str, status: int | None = None, error: str | None = None
    ) -> None:
        now_us = self._now_us()
        await self._ledger.write(
            lambda tx: entries.settle_refused(
                tx, entry.row, reason, now_us, plivo_status=status, plivo_error=error
            )
        )

    async def _refuse_account(self, entry: Entry, outcome: AccountRefused) -> float | None:
        """401 and 402 mean the account; a 403 does only when a call that costs nothing meets it."""
        status = outcome.http_status
        if status == _FORBIDDEN and not isinstance(await self.api.probe(), AccountRefused):
            await self._refuse(entry, f"Plivo refused it ({status})", status, outcome.error)
            return None
        self._probing.begin(f"Plivo refuses the account ({status})")
        due_us = self._steady_us()
        pending = await self._ledger.write(lambda tx: entries.postpone(tx, entry.row, due_us))
        return 0.0 if pending else None

    async def _postpone(self, entry: Entry, outcome: NotSent) -> float | None:
        told_s = outcome.retry_after_s
        if outcome.throttled:
            self._pace.hold_back(
                HELD_BACK_S_MAX if told_s is None else min(told_s, HELD_BACK_S_MAX)
            )
        jitter = random.random()  # noqa: S311 - spreads retries, hides nothing
        delay_s = retry.delay_s(entry.attempt, random=jitter, told_s=told_s)
        due_us = self._steady_us() + int(delay_s * 1_000_000)
        if due_us > entry.first_tried_us + self.terms.retry_for_us:
            await self._refuse(entry, f"{RETRY_FOR_PASSED}: {outcome.reason}")
            return None
        pending = await self._ledger.write(lambda tx: entries.postpone(tx, entry.row, due_us))
        return delay_s if pending else None


def _send_call(entry: Entry, public_url: str) -> SendCall:
    options = dict(entry.options)
    media = tuple(options.pop("media_urls", ()))
    return SendCall(
        src=None if entry.sender is None else phone.for_plivo(entry.sender),
        dst=phone.for_plivo(entry.to),
        text=entry.text,
        url=f"{public_url}/plivo/{entry.ref}/status",
        media_urls=media,
        **options,
    )
