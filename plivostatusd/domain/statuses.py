"""
The words for what became of a message, their ranks, and the one merge rule.

A message is the set of its facts, folded. The fold is commutative, associative and idempotent:
late, doubled and shuffled callbacks end in the same message. Pure; called by the store for
callbacks, for Plivo's answers and for whatever an operator settles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

Source = Literal["callback", "api", "inferred", "operator", "silence", "send"]
Trust = Literal["local", "url-only", "full", "api"]

PENDING: Final = "pending"
UNKNOWN: Final = "unknown"
REFUSED: Final = "refused"
QUEUED: Final = "queued"
SENT: Final = "sent"
DELIVERED: Final = "delivered"
SILENCE: Final = "silence"

RANK_UNRECOGNISED: Final = 2
RANK_OUTCOME: Final = 4
RANKS: Final = {
    PENDING: 0,
    UNKNOWN: 1,
    REFUSED: 1,
    QUEUED: 2,
    SENT: 3,
    DELIVERED: RANK_OUTCOME,
    "undelivered": RANK_OUTCOME,
    "failed": RANK_OUTCOME,
    "rejected": RANK_OUTCOME,
    "read": 5,
}
OUTCOMES: Final = frozenset(status for status, place in RANKS.items() if place == RANK_OUTCOME)
OURS: Final = frozenset({PENDING, UNKNOWN, REFUSED})
TRUST_RANKS: Final[dict[str, int]] = {"local": 0, "url-only": 1, "full": 2, "api": 3}
_DELIVERED: Final = frozenset({DELIVERED, "read"})
_OVERRULING: Final = frozenset({"api", "operator"})
_NO_ERROR: Final = frozenset({"", "000"})
_NEVER_US: Final = -(1 << 63)


def rank(status: str) -> int:
    """Place *status* on the way from recorded to read; a word that we do not know counts as 2."""
    return RANKS.get(status, RANK_UNRECOGNISED)


def known_error(code: str | None) -> str | None:
    """Read an error code: the empty one and `000` say that nothing went wrong, which is None."""
    return None if code is None or code in _NO_ERROR else code


class Fact(NamedTuple):
    """
    What the merge rule sees of one event. `at_us` is Plivo's own time, None where it gave none.

    `status` is None for an event that does not say one. A tuple, because a history is made of rows
    and folded anew for each callback.
    """

    status: str | None
    source: str
    trust: str
    sequence: int | None = None
    at_us: int | None = None
    error_code: str | None = None
    reason: str | None = None
    units: int | None = None
    amount: str | None = None
    mcc: str | None = None
    mnc: str | None = None

    @property
    def said(self) -> str:
        """The status; an event that does not say one still says that Plivo has the message."""
        return self.status or QUEUED

    @property
    def is_plivos(self) -> bool:
        """Say whether Plivo said this, by callback, by its API or by taking the message."""
        return self.source in {"callback", "api", "inferred"} or (
            self.source == "send" and self.trust == "api" and self.status != REFUSED
        )


def _key(fact: Fact) -> tuple[object, ...]:
    """Order facts: the greatest wins. What follows the status only breaks exact ties."""
    status, source, trust, sequence, at_us, error_code, reason, units, amount, mcc, mnc = fact
    said = status or QUEUED
    return (
        RANKS.get(said, RANK_UNRECOGNISED),
        source in _OVERRULING,
        TRUST_RANKS.get(trust, 0),
        -1 if sequence is None else sequence,
        _NEVER_US if at_us is None else at_us,
        said,
        error_code or "",
        reason or "",
        source,
        -1 if units is None else units,
        amount or "",
        mcc or "",
        mnc or "",
    )


_NOTHING: Final = Fact(status=None, source="send", trust="local")


@dataclass(frozen=True)
class Fold:
    """
    What a set of facts comes to. Every property is a function of the set alone.

    `|` joins two folds, so that a part of a history can be folded before the rest.
    """

    facts: frozenset[Fact]

    def __or__(self, other: Fold) -> Fold:
        return Fold(self.facts | other.facts)

    @cached_property
    def _ordered(self) -> list[Fact]:
        """The facts that have a rank, least first: silence has none."""
        return sorted((fact for fact in self.facts if fact.source != SILENCE), key=_key)

    @property
    def _winner(self) -> Fact:
        return self._ordered[-1] if self._ordered else _NOTHING

    @property
    def status(self) -> str:
        """The message's one status."""
        return self._winner.said

    @property
    def initial_status(self) -> str | None:
        """The status of the least of Plivo's events; None before Plivo said anything."""
        return next((fact.said for fact in self._ordered if fact.is_plivos), None)

    @property
    def status_timestamp_us(self) -> int | None:
        """Plivo's own time of the winning event."""
        return self._winner.at_us

    @property
    def error_code(self) -> str | None:
        """The error code of the winning event; None where it says that nothing went wrong."""
        return known_error(self._winner.error_code)

    @property
    def reason(self) -> str | None:
        """Why a message of ours is refused or unknown: the winning event's words."""
        return self._winner.reason or None

    @property
    def conflict(self) -> bool:
        """Say whether more than one distinct outcome (rank 4) was reported."""
        outcomes = {fact.status for fact in self._ordered if fact.status in OUTCOMES}
        return len(outcomes) > 1

    @property
    def contested(self) -> bool:
        """Say whether outcomes contradict each other, and nobody who overrules has said which."""
        return self.conflict and not any(
            fact.source in _OVERRULING and rank(fact.said) >= RANK_OUTCOME for fact in self._ordered
        )

    @property
    def doubted(self) -> bool:
        """Say whether an outcome rests on signatures alone that do not cover what was said."""
        return self._winner.trust == "url-only" and rank(self.status) >= RANK_OUTCOME

    @property
    def final_by(self) -> str | None:
        """`status`, or `silence` for a `sent` that stayed the last word; None while it is open."""
        if rank(self.status) >= RANK_OUTCOME or self.status == REFUSED:
            return "status"
        silent = any(fact.source == SILENCE for fact in self.facts)
        return SILENCE if silent and self.status == SENT else None

    @property
    def final(self) -> bool:
        """Say whether nothing more is expected."""
        return self.final_by is not None

    @property
    def units(self) -> int | None:
        """How many parts Plivo counted, from the greatest event that says so."""
        return next((f.units for f in reversed(self._ordered) if f.units is not None), None)

    @property
    def amount(self) -> str | None:
        """What Plivo charged in all, as it wrote it, from the greatest event that says so."""
        return next((f.amount for f in reversed(self._ordered) if f.amount), None)

    @property
    def delivery_ms(self) -> int | None:
        """How long delivery took by Plivo's own times, `SentTime` to `DeliveryReportTime`."""
        if self.status not in _DELIVERED:
            return None
        sent_us, delivered_us = self._reported_us(SENT), self._reported_us(DELIVERED)
        if sent_us is None or delivered_us is None or delivered_us < sent_us:
            return None
        return (delivered_us - sent_us) // 1_000

    def _reported_us(self, status: str) -> int | None:
        """Give Plivo's own time of *status*, as its callbacks said it; the latest of several."""
        times = [
            fact.at_us
            for fact in self.facts
            if fact.status == status and fact.source == "callback" and fact.at_us is not None
        ]
        return max(times, default=None)

    @property
    def mcc(self) -> str | None:
        """The mobile country code, from the greatest event that carries one."""
        return next((f.mcc for f in reversed(self._ordered) if f.mcc), None)

    @property
    def mnc(self) -> str | None:
        """The mobile network code, from the greatest event that carries one."""
        return next((f.mnc for f in reversed(self._ordered) if f.mnc), None)


def fold(facts: Iterable[Fact]) -> Fold:
    """Fold a history, in whatever order and however often its events are given."""
    return Fold(frozenset(facts))
