"""
The outbox inside a transaction: a send's whole life from intent to settled.

    (nothing) --accept--> pending --claim--> claimed --settle--> (nothing)
                             ^                  |
                             +---- postpone ----+---> unknown --a callback on its ref--> (nothing)

The intent is committed before Plivo is called, and so is the claim: whatever is found `claimed` at
a start was being called when the last process ended, and nobody knows whether Plivo heard it.

Instants named *steady* are of the clock that nobody sets (host/clock.py): what is due, and what has
waited too long, is told by them. All others are the wall clock's, for the record.

What ends a claim may be run twice (after a COMMIT that reported an error and worked all the same):
the second time finds the entry no longer claimed, and changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from plivostatusd.domain import statuses
from plivostatusd.domain.errors import NotCancellable
from plivostatusd.domain.statuses import Fact
from plivostatusd.store import asks, binding, folding, watching
from plivostatusd.store.folding import Evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plivostatusd.store.folding import Found
    from plivostatusd.store.transaction import Transaction

DAY_US: Final = 86_400_000_000
ENTRIES_PER_JOB: Final = 500
WAIT_US_MAX: Final = 7 * DAY_US
"""The longest `send.retry_for`: no entry waits longer for its next call, nor for a look at it."""
STATES: Final = ("pending", "claimed", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A claimed send: all that the call to Plivo needs. *first_tried_us* is a steady instant."""

    row: int
    id: str
    ref: str
    to: str
    sender: str | None
    text: str
    options: Mapping[str, Any]
    sent_by: str | None
    attempt: int
    first_tried_us: int


def tally_of(state: str) -> str:
    """Name the tally of a state."""
    return f"outbox.{state}"


def claim(transaction: Transaction, now_us: int, steady_us: int) -> Entry | int | None:
    """Claim the entry that is due first; else the steady instant when one will be, or None."""
    row = transaction.one(
        "SELECT message, due_at FROM outbox WHERE state = 'pending'"
        " ORDER BY due_at, message LIMIT 1"
    )
    if row is None:
        return None
    if row[1] > steady_us:
        return int(row[1])
    transaction.execute(
        "UPDATE outbox SET state = 'claimed', claimed_at = ?1, attempts = attempts + 1,"
        " first_tried_at = coalesce(first_tried_at, ?2) WHERE message = ?3",
        (now_us, steady_us, row[0]),
    )
    transaction.move(tally_of("pending"), tally_of("claimed"))
    return _entry(transaction, row[0])


def _entry(transaction: Transaction, row: int) -> Entry:
    columns = transaction.execute(
        "SELECT id, ref, recipient_number, sender_number, message_body, options, sent_by,"
        " attempts, first_tried_at FROM messages JOIN outbox ON outbox.message = messages.row"
        " WHERE row = ?",
        (row,),
    ).fetchone()
    message_id, ref, to, sender, text, options, sent_by, attempts, first_tried_us = columns
    return Entry(
        row=row,
        id=message_id,
        ref=ref,
        to=to,
        sender=sender,
        text=text,
        options=json.loads(options) if options else {},
        sent_by=sent_by,
        attempt=attempts,
        first_tried_us=first_tried_us,
    )


def give_back(transaction: Transaction, row: int) -> bool:
    """Undo a claim that no call followed; False when there is none."""
    if state_of(transaction, row) != "claimed":
        return False
    if _was_called_back(transaction, row):
        forget(transaction, row)
        return True
    transaction.execute(
        "UPDATE outbox SET state = 'pending', attempts = attempts - 1,"
        " first_tried_at = CASE attempts WHEN 1 THEN NULL ELSE first_tried_at END"
        " WHERE message = ?",
        (row,),
    )
    transaction.move(tally_of("claimed"), tally_of("pending"))
    return True


def settle_accepted(
    transaction: Transaction, row: int, message_uuid: str, now_us: int
) -> str | None:
    """Plivo took it; a remark for the log comes back, as `bind` gives it."""
    if state_of(transaction, row) != "claimed":
        return None
    message = folding.by_row(transaction, row)
    remark = bind(transaction, message, message_uuid, now_us)
    fact = Fact(status=statuses.QUEUED, source="send", trust="api")
    aside = remark if remark == binding.DUPLICATE_AT_PLIVO else None
    evidence = Evidence(received_us=now_us, message_uuid=message_uuid, aside=aside)
    folding.add_event(transaction, message, fact, evidence)
    forget(transaction, row)
    return remark


def bind(
    transaction: Transaction,
    message: Found,
    message_uuid: str,
    now_us: int,
    *,
    spare_id: str | None = None,
) -> str | None:
    """Say that *message* is Plivo's *message_uuid*, on proof; a remark for the log comes back."""
    bound = binding.bind(transaction, message, message_uuid, now_us, spare_id=spare_id)
    if bound.freed is not None:
        _reopen(transaction, bound.freed.row)
    return bound.remark


def _reopen(transaction: Transaction, row: int) -> None:
    """
    Look again for a send that was believed to be another one: it is not settled after all.

    Unless Plivo called back on it, which proves that Plivo has it, if not as what.
    """
    found = transaction.one(
        "SELECT created_at, coalesce((SELECT CAST(value AS INTEGER) FROM facts WHERE name = ?2),"
        " (SELECT max(received_at) FROM events WHERE message = messages.row"
        " AND status = 'unknown' AND source = 'send')) FROM messages WHERE row = ?1",
        (row, _called(row)),
    )
    if found is None or found[1] is None or state_of(transaction, row) is not None:
        return
    if _was_called_back(transaction, row):
        return
    transaction.execute(
        "INSERT INTO outbox (message, state, accepted_at, due_at, attempts, first_tried_at,"
        " claimed_at) VALUES (?1, 'unknown', ?2, ?3, 1, ?3, ?3)",
        (row, *found),
    )
    transaction.move(None, tally_of("unknown"))


def forget_inferred(transaction: Transaction, row: int) -> None:
    """Take an entry out that is settled by an inference: should that prove wrong, look again."""
    transaction.execute(
        "INSERT OR REPLACE INTO facts SELECT ?1, claimed_at FROM outbox WHERE message = ?2",
        (_called(row), row),
    )
    forget(transaction, row)


def _called(row: int) -> str:
    """Name the fact that holds when Plivo was called for a send."""
    return f"called {row}"


def settle_refused(  # noqa: PLR0913 - one argument a column
    transaction: Transaction,
    row: int,
    reason: str,
    now_us: int,
    *,
    plivo_status: int | None = None,
    plivo_error: str | None = None,
) -> None:
    """It is not sent and will not be: Plivo said no, or it could not be reached in time."""
    if state_of(transaction, row) != "claimed":
        return
    refuse(transaction, row, reason, now_us, trust="local" if plivo_status is None else "api")
    if plivo_status is not None:
        folding.note_refusal(transaction, row, plivo_status, plivo_error)


def refuse(  # noqa: PLR0913 - one argument a column
    transaction: Transaction,
    row: int,
    reason: str,
    now_us: int,
    *,
    source: statuses.Source = "send",
    trust: statuses.Trust = "local",
    by: str | None = None,
) -> None:
    """End an entry as refused; *by* is the operator whose word that is."""
    message = folding.by_row(transaction, row)
    fact = Fact(status=statuses.REFUSED, source=source, trust=trust, reason=reason)
    folding.add_event(transaction, message, fact, Evidence(received_us=now_us, verified_by=by))
    forget(transaction, row)


def refuse_unknown(transaction: Transaction, message_id: str, now_us: int) -> None:
    """Give up on a send whose outcome nobody found out, as the configuration says."""
    message = folding.by_id(transaction, message_id)
    if message is not None and state_of(transaction, message.row) == "unknown":
        reason = "nobody could find out whether Plivo took it"
        by = "send.unknown_then"
        refuse(transaction, message.row, reason, now_us, source="operator", by=by)


def settle_unknown(
    transaction: Transaction, row: int, reason: str, now_us: int, look_us: int
) -> str:
    """
    The call's outcome is not known; the message's status comes back: a callback may know.

    *look_us* is the steady instant from which on Plivo's list may be asked.
    """
    message = folding.by_row(transaction, row)
    if state_of(transaction, row) != "claimed":
        return message.status
    fact = Fact(status=statuses.UNKNOWN, source="send", trust="local", reason=reason)
    folding.add_event(transaction, message, fact, Evidence(received_us=now_us))
    if _was_called_back(transaction, row):
        forget(transaction, row)
    else:
        transaction.execute(
            "UPDATE outbox SET state = 'unknown', due_at = ? WHERE message = ?", (look_us, row)
        )
        transaction.move(tally_of("claimed"), tally_of("unknown"))
    return message.status


def postpone(transaction: Transaction, row: int, due_us: int) -> bool:
    """
    It provably never reached Plivo: it is due again at the steady instant *due_us*.

    False when Plivo called back on it all the same: then it is settled.
    """
    state = state_of(transaction, row)
    if state != "claimed":
        return state is not None
    if _was_called_back(transaction, row):
        forget(transaction, row)
        return False
    transaction.execute(
        "UPDATE outbox SET state = 'pending', due_at = ? WHERE message = ?", (due_us, row)
    )
    transaction.move(tally_of("claimed"), tally_of("pending"))
    return True


def found_at_plivo(transaction: Transaction, row: int) -> bool:
    """
    Settle the entry of which a callback speaks: True when one was waiting.

    A claimed one is left: its call is on its way, and settles it.
    """
    if state_of(transaction, row) in {None, "claimed"}:
        return False
    forget(transaction, row)
    return True


def state_of(transaction: Transaction, row: int) -> str | None:
    """Say how far an entry is; None when it is settled."""
    entry = transaction.one("SELECT state FROM outbox WHERE message = ?", (row,))
    return entry[0] if entry else None


def _was_called_back(transaction: Transaction, row: int) -> bool:
    """Say whether Plivo called back, which proves that it has the message."""
    found = transaction.one(
        "SELECT 1 FROM events WHERE message = ? AND source = 'callback' LIMIT 1", (row,)
    )
    return found is not None


def forget(transaction: Transaction, row: int) -> None:
    """Take an entry out of the outbox: it is settled. How often Plivo was called stays known."""
    watching.catch_up(transaction, row)
    sql = "DELETE FROM outbox WHERE message = ? RETURNING state, attempts, claimed_at"
    for state, attempts, called_us in transaction.execute(sql, (row,)).fetchall():
        transaction.move(tally_of(state), None)
        if attempts:
            folding.note_calls(transaction, row, attempts, called_us)


def cancel(transaction: Transaction, message_id: str, now_us: int, by: str) -> bool:
    """
    Cancel a pending message; False when there is no such message.

    Raises `NotCancellable` when it is past pending.
    """
    message = folding.by_id(transaction, message_id)
    if message is None:
        return False
    if state_of(transaction, message.row) != "pending":
        raise NotCancellable
    refuse(transaction, message.row, "cancelled", now_us, source="operator", by=by)
    return True


def recover(transaction: Transaction, now_us: int, look_us: int) -> list[str]:
    """
    At a start: what was claimed becomes unknown, for nobody knows whether Plivo heard it.

    Ids of some of them come back; call again until there are none.
    """
    rows = transaction.execute(
        "SELECT row, id FROM outbox JOIN messages ON row = message WHERE state = 'claimed' LIMIT ?",
        (ENTRIES_PER_JOB,),
    ).fetchall()
    for row, _ in rows:
        settle_unknown(transaction, row, "the daemon ended during the call", now_us, look_us)
    return [message_id for _, message_id in rows]


def expire(transaction: Transaction, before_us: int, reason: str, now_us: int) -> list[str]:
    """
    Refuse pending entries accepted before the steady instant *before_us*; their ids come back.

    Some of them: call again until there are none.
    """
    # In the order they were recorded, so that those which are too young need not be looked at.
    oldest = transaction.execute(
        "SELECT row, id, accepted_at FROM outbox NOT INDEXED CROSS JOIN messages ON row = message"
        " WHERE state = 'pending' ORDER BY message LIMIT ?",
        (ENTRIES_PER_JOB,),
    )
    rows = [(row, message_id) for row, message_id, at_us in oldest.fetchall() if at_us < before_us]
    for row, _ in rows:
        refuse(transaction, row, reason, now_us)
    return [message_id for _, message_id in rows]


def reset_clock(transaction: Transaction, steady_us: int, drift_us: int) -> None:
    """
    Make steady instants of the last process's clock ones of this process's, now at *steady_us*.

    *drift_us* is what lies between the two clocks; nothing can be due further ahead than any wait.
    """
    if abs(drift_us) > asks.DRIFT_US_MIN:
        transaction.execute(
            "UPDATE outbox SET accepted_at = accepted_at + ?1, due_at = due_at + ?1,"
            " first_tried_at = first_tried_at + ?1",
            (drift_us,),
        )
    transaction.execute(
        "UPDATE outbox SET accepted_at = min(accepted_at, ?1), due_at = min(due_at, ?2),"
        " first_tried_at = min(first_tried_at, ?1)"
        " WHERE accepted_at > ?1 OR due_at > ?2 OR first_tried_at > ?1",
        (steady_us, steady_us + WAIT_US_MAX),
    )


def void(transaction: Transaction, reason: str, now_us: int) -> int:
    """
    Make every entry unknown, for another process may have settled it since; how many come back.

    When Plivo was called for one that had not been, if it was, nobody knows: soon after it was
    recorded, most likely.
    """
    rows = transaction.execute(
        "SELECT message, state FROM outbox WHERE state <> 'unknown' ORDER BY message"
    ).fetchall()
    settled = {row for row, _ in rows if _was_called_back(transaction, row)}
    for row in settled:
        forget(transaction, row)
    rows = [each for each in rows if each[0] not in settled]
    for row, state in rows:
        fact = Fact(status=statuses.UNKNOWN, source="send", trust="local", reason=reason)
        message = folding.by_row(transaction, row)
        folding.add_event(transaction, message, fact, Evidence(received_us=now_us))
        transaction.move(tally_of(state), tally_of("unknown"))
    transaction.execute(
        "UPDATE outbox SET state = 'unknown', due_at = 0, first_tried_at = ?1, accepted_at = ?1,"
        " claimed_at = coalesce(claimed_at,"
        " (SELECT created_at FROM messages WHERE row = message)) WHERE state <> 'unknown'",
        (now_us,),
    )
    return len(rows)


def open_count(transaction: Transaction) -> int:
    """Count the entries that are not settled."""
    return sum(transaction.tally(tally_of(state)) for state in STATES)


def hold(transaction: Transaction, why: str | None) -> None:
    """Remember across restarts why the outbox is held; None: it is not."""
    if why is not None:
        transaction.execute("INSERT OR REPLACE INTO facts VALUES ('held', ?)", (why,))
    else:
        transaction.execute("DELETE FROM facts WHERE name = 'held'")


def held(transaction: Transaction) -> str | None:
    """Say why the outbox is held; None when it is not."""
    row = transaction.one("SELECT value FROM facts WHERE name = 'held'")
    return row[0] if row else None
