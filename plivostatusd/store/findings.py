"""
What Plivo's API says, written into the store inside a transaction.

An answer that says what an earlier one said makes no second event: a message that is asked about
for days must not grow a history of nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from plivostatusd.domain import statuses
from plivostatusd.domain.asking import Standing
from plivostatusd.domain.statuses import Fact, Fold
from plivostatusd.store import asks, folding
from plivostatusd.store.folding import Evidence

if TYPE_CHECKING:
    from plivostatusd.domain.asking import Patience
    from plivostatusd.store.folding import Found
    from plivostatusd.store.transaction import Transaction


class Answer(NamedTuple):
    """What Plivo says of one message. *fact* is None when it says that it has none."""

    message_uuid: str
    fact: Fact | None
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class Learnt:
    """What one answer changed: the message's status before and after, and in which manner."""

    message_id: str
    message_uuid: str | None
    before: str
    after: str
    is_new: bool
    is_silence: bool = False
    error_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When something is written: *now_us* for the record, *steady_us* for what is planned."""

    now_us: int
    careful_us: int
    steady_us: int


def learn(
    transaction: Transaction, answer: Answer, moment: Moment, patience: Patience
) -> Learnt | None:
    """Write *answer* down, and plan the next question; None when no message has this UUID."""
    message = folding.by_uuid(transaction, answer.message_uuid)
    if message is None or message.message_uuid != answer.message_uuid:
        return None
    before = message.status
    is_new = answer.fact is not None and not _is_known(transaction, message, answer.fact)
    if answer.fact is not None and is_new:
        evidence = Evidence(
            received_us=moment.now_us, message_uuid=answer.message_uuid, raw=answer.raw
        )
        folding.add_event(transaction, message, answer.fact, evidence)
    return _plan(transaction, message, before, moment, patience, is_new=is_new)


def note_unanswered(
    transaction: Transaction, row: int, moment: Moment, patience: Patience
) -> Learnt | None:
    """Plan the next question about a message of which there is no answer; None when it is gone."""
    message = folding.find_row(transaction, row)
    if message is None:
        return None
    return _plan(transaction, message, message.status, moment, patience, is_new=False)


def _is_known(transaction: Transaction, message: Found, fact: Fact) -> bool:
    """Say whether Plivo's API has said this before, its time of it apart."""
    plain = fact._replace(at_us=None)
    facts = folding.facts_of(transaction, message.row).facts
    return any(each._replace(at_us=None) == plain for each in facts)


def _plan(  # noqa: PLR0913 - what happened, and under which rules
    transaction: Transaction,
    message: Found,
    before: str,
    moment: Moment,
    patience: Patience,
    *,
    is_new: bool,
) -> Learnt:
    """Plan the next question, or say that silence is the last word."""
    whole = folding.facts_of(transaction, message.row)
    silent_us = max(0, moment.careful_us - folding.heard_us(transaction, message))
    is_silence = patience.is_silent_for_good(Standing.of(whole), silent_us)
    if is_silence:
        whole = _fall_silent(transaction, message, moment)
    asked = 1 + _asked(transaction, message.row)
    ask = patience.next(Standing.of(whole), asked=asked, silent_us=silent_us)
    asks.plan(transaction, message.row, ask, moment.steady_us, asked)
    return Learnt(
        message_id=message.id,
        message_uuid=message.message_uuid,
        before=before,
        after=message.status,
        is_new=is_new,
        is_silence=is_silence,
        error_code=whole.error_code,
    )


def _asked(transaction: Transaction, row: int) -> int:
    found = transaction.one("SELECT asked FROM asks WHERE message = ?", (row,))
    return int(found[0]) if found else 0


def _fall_silent(transaction: Transaction, message: Found, moment: Moment) -> Fold:
    fact = Fact(status=statuses.SENT, source=statuses.SILENCE, trust="local")
    evidence = Evidence(received_us=moment.now_us, message_uuid=message.message_uuid)
    folding.add_event(transaction, message, fact, evidence)
    return folding.facts_of(transaction, message.row)
