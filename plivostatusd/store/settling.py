"""
An operator's word on a send whose outcome nobody could find out, inside a transaction.

Each word is an event of source `operator` that says who gave it. None of them is final before
Plivo's: whatever Plivo reports later on the message's own ref overrules it, as the merge rule says.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from plivostatusd.domain import statuses
from plivostatusd.domain.errors import NotUnknown, TextGone, UuidTaken
from plivostatusd.domain.message import Draft
from plivostatusd.domain.statuses import Fact
from plivostatusd.store import entries, folding, submissions
from plivostatusd.store.folding import Evidence
from plivostatusd.store.submissions import Intent

if TYPE_CHECKING:
    from plivostatusd.store.folding import Found
    from plivostatusd.store.submissions import Submission
    from plivostatusd.store.transaction import Transaction


def settle_sent(
    transaction: Transaction, message_id: str, message_uuid: str, now_us: int, by: str
) -> bool:
    """
    Plivo has it, as *message_uuid*; False when there is no such message.

    Raises `NotUnknown` and `UuidTaken`, both before anything is written.
    """
    message = _unknown(transaction, message_id)
    if message is None:
        return False
    other = folding.by_uuid(transaction, message_uuid)
    if other is not None and other.is_ours and other.row != message.row:
        raise UuidTaken
    entries.bind(transaction, message, message_uuid, now_us)
    fact = Fact(status=statuses.QUEUED, source="operator", trust="local")
    evidence = Evidence(received_us=now_us, message_uuid=message_uuid, verified_by=by)
    folding.add_event(transaction, message, fact, evidence)
    entries.forget(transaction, message.row)
    return True


def settle_not_sent(transaction: Transaction, message_id: str, now_us: int, by: str) -> bool:
    """It was not sent; False when there is no such message. Raises `NotUnknown`."""
    message = _unknown(transaction, message_id)
    if message is None:
        return False
    reason = f"not sent, says {by}"
    entries.refuse(transaction, message.row, reason, now_us, source="operator", by=by)
    return True


def send_again(
    transaction: Transaction, message_id: str, new_id: str, ref: str, terms: Submission
) -> bool:
    """
    Send it once more, whatever became of the first; False when there is no such message.

    *new_id* and *ref* are the new message's; *terms* is a submission without intents. Raises
    `NotUnknown`, `TextGone` and `LimitReached`, all before anything is written.
    """
    message = _unknown(transaction, message_id)
    if message is None:
        return False
    intent = Intent(id=new_id, ref=ref, draft=_draft(transaction, message.row))
    submission = replace(terms, intents=(intent,))
    submissions.check_limits(transaction, submission)
    by = submission.sent_by
    reason = f"sent again as {new_id}, says {by}"
    entries.refuse(transaction, message.row, reason, submission.now_us, source="operator", by=by)
    submissions.record_intent(transaction, intent, submission, resend_of=message.id)
    return True


def _unknown(transaction: Transaction, message_id: str) -> Found | None:
    message = folding.by_id(transaction, message_id)
    if message is not None and entries.state_of(transaction, message.row) != "unknown":
        raise NotUnknown
    return message


def _draft(transaction: Transaction, row: int) -> Draft:
    to, sender, text, tag, options = transaction.execute(
        "SELECT recipient_number, sender_number, message_body, tag, options FROM messages"
        " WHERE row = ?",
        (row,),
    ).fetchone()
    if text is None:
        raise TextGone
    return Draft(
        to=to, sender=sender, text=text, tag=tag, options=json.loads(options) if options else {}
    )
