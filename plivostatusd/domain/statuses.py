"""
The words for what became of a message, their ranks, and the one merge rule.

A message is the set of its facts, folded. The fold is commutative, associative and idempotent:
late, doubled and shuffled callbacks end in the same message. Pure; called by the store for
callbacks, for Plivo's answers and for whatever an operator settles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

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


class Fold(NamedTuple):
    """
    What a set of facts comes to. Every field is a function of the set alone.

    `|` joins two folds, so that a part of a history can be folded before the rest. A tuple, because
    one is made for each callback.
    """

    facts: frozenset[Fact]
    initial_status: str | None
    """The status of the least of Plivo's events; None before Plivo said anything."""
    status: str
    """The message's one status: that of the greatest event, which wins."""
    status_timestamp_us: int | None
    """Plivo's own time of the winning event."""
    error_code: str | None
    """The error code of the winning event; None where it says that nothing went wrong."""
    reason: str | None
    """Why a message of ours is refused or unknown: the winning event's words."""
    conflict: bool
    """More than one distinct outcome (rank 4) was reported."""
    final: bool
    """Nothing more is expected."""
    final_by: str | None
    """`status`, or `silence` for a `sent` that stayed the last word; None while it is open."""
    units: int | None
    """How many parts Plivo counted, from the greatest event that says so; so with the next ones."""
    amount: str | None
    """What Plivo charged in all, as it wrote it."""
    mcc: str | None
    """The mobile country code."""
    mnc: str | None
    """The mobile network code."""
    delivery_ms: int | None
    """How long delivery took by Plivo's own times, `SentTime` to `DeliveryReportTime`."""
    contested: bool
    """Outcomes contradict each other, and nobody who overrules has said which."""
    doubted: bool
    """An outcome rests on signatures alone that do not cover what was said."""

    def __or__(self, other: Fold) -> Fold:
        return fold(self.facts | other.facts)

    @property
    def columns(self) -> tuple[Any, ...]:
        """What a message's row says: the fields from `initial_status` to `delivery_ms`."""
        return self[1:14]


def fold(facts: Iterable[Fact]) -> Fold:
    """Fold a history, in whatever order and however often its events are given."""
    known = frozenset(facts)
    ordered = _ordered(known)
    winner = ordered[-1] if ordered else _NOTHING
    status = winner.status or QUEUED
    is_outcome = RANKS.get(status, RANK_UNRECOGNISED) >= RANK_OUTCOME
    conflict = is_outcome and _contradicts_itself(ordered)
    final_by = None
    if is_outcome or status == REFUSED:
        final_by = "status"
    elif status == SENT and len(ordered) < len(known):
        final_by = SILENCE
    initial_status, units, amount, mcc, mnc = _carried(ordered)
    return Fold(
        known,
        initial_status,
        status,
        winner.at_us,
        known_error(winner.error_code),
        winner.reason or None,
        conflict,
        final_by is not None,
        final_by,
        units,
        amount,
        mcc,
        mnc,
        _delivery_ms(known) if status in _DELIVERED else None,
        conflict and not _is_overruled(ordered),
        is_outcome and winner.trust == "url-only",
    )


def _ordered(facts: frozenset[Fact]) -> list[Fact]:
    """Give the facts that have a rank, least first: silence has none."""
    ranked = [fact for fact in facts if fact.source != SILENCE]
    if len(ranked) > 1:
        ranked.sort(key=_key)
    return ranked


def _carried(
    ordered: list[Fact],
) -> tuple[str | None, int | None, str | None, str | None, str | None]:
    """Give Plivo's first status; and units, amount, mcc, mnc of the greatest with such a one."""
    initial_status = units = amount = mcc = mnc = None
    for fact in ordered:
        if initial_status is None and fact.is_plivos:
            initial_status = fact.said
        if fact.units is not None:
            units = fact.units
        amount = fact.amount or amount
        mcc = fact.mcc or mcc
        mnc = fact.mnc or mnc
    return initial_status, units, amount, mcc, mnc


def _contradicts_itself(ordered: list[Fact]) -> bool:
    return len({fact.status for fact in ordered if fact.status in OUTCOMES}) > 1


def _is_overruled(ordered: list[Fact]) -> bool:
    """Say whether somebody whose word counts for more has told the outcome."""
    return any(fact.source in _OVERRULING and rank(fact.said) >= RANK_OUTCOME for fact in ordered)


def _delivery_ms(facts: frozenset[Fact]) -> int | None:
    sent_us, delivered_us = _reported_us(facts, SENT), _reported_us(facts, DELIVERED)
    if sent_us is None or delivered_us is None or delivered_us < sent_us:
        return None
    return (delivered_us - sent_us) // 1_000


def _reported_us(facts: frozenset[Fact], status: str) -> int | None:
    """Give Plivo's own time of *status*, as its callbacks said it; the latest of several."""
    times = [
        fact.at_us
        for fact in facts
        if fact.status == status and fact.source == "callback" and fact.at_us is not None
    ]
    return max(times, default=None)
