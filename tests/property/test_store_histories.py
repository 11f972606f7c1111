"""
Random histories of the store: whatever happens in whatever order, what is derived stays true.

A machine does at random all that the daemon does: sends, claims, answers of every kind, callbacks
on both paths, early, late, doubled, shuffled and forged, replays, cancellations, restarts, and
retention; questions at Plivo's API, inferences right and wrong, silence, and an operator's word.
After each step, and after a batch of which one job is bad, the store is audited: tallies against a
recount, every message's columns against the fold of its events, and whether who is to be asked
about is who is open to question.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from plivostatusd.domain.asking import LAST_WORD_SENT, SILENT, Patience
from plivostatusd.domain.errors import (
    NotCancellable,
    NotUnknown,
    ReplayRefused,
    TextGone,
    UnknownRef,
    UuidTaken,
)
from plivostatusd.domain.statuses import Fact
from plivostatusd.store import (
    asks,
    database,
    entries,
    findings,
    folding,
    inferring,
    nonces,
    pruning,
    receipts,
    settling,
    submissions,
    watching,
)
from plivostatusd.store.entries import Entry
from plivostatusd.store.findings import Answer, Moment
from plivostatusd.store.transaction import Transaction
from tests.unit.store_place import (
    START_US,
    arrival,
    audit_connection,
    insert_fact,
    submission,
    uuid,
)

STATUSES = st.sampled_from(
    [None, "queued", "sent", "delivered", "undelivered", "failed", "read", "brewing"]
)
NUMBERS = st.integers(0, 3)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "Sequence": st.sampled_from(["1", "2", "3"]),
        "Units": st.sampled_from(["1", "7"]),
        "TotalAmount": st.sampled_from(["0.0035", "0.0070"]),
        "ErrorCode": st.sampled_from(["000", "30"]),
        "MCC": st.just("310"),
        "QueuedTime": st.sampled_from(["2026-11-23 09:00:00", "2026-11-23 09:00:09"]),
    },
)
Callback = tuple[int | None, str | None, str, set[int], dict[str, str]]
CALLBACKS = st.tuples(
    st.none() | NUMBERS,
    STATUSES,
    st.sampled_from(["full", "url-only"]),
    st.sets(st.integers(0, 200), min_size=1, max_size=2),
    FIELDS,
)


ANSWERS = st.none() | st.builds(
    Fact("queued", "api", "api")._replace,
    status=STATUSES,
    at_us=st.sampled_from([None, 5, 9]),
    error_code=st.sampled_from([None, "000", "30"]),
    units=st.sampled_from([None, 2]),
)
PATIENCE = Patience(after_us=20, silence_final_us=60)
REFUSALS = (ReplayRefused, UnknownRef, NotCancellable, NotUnknown, TextGone, UuidTaken)
LONG_US = 1_000


class Histories(RuleBasedStateMachine):
    """One store, and everything that can happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now_us = START_US
        self.refs: list[str] = ["f" * 32]
        self.ids: list[str] = ["nobody"]
        self.claimed: list[Entry] = []

    @initialize()
    def open(self) -> None:
        """Make the store."""
        self.connection = database.connect_writer(self.folder / "status.db")
        self.connection.execute("PRAGMA synchronous = OFF")

    def teardown(self) -> None:
        """Remove the store."""
        self.connection.close()
        shutil.rmtree(self.folder)

    def run(self, *jobs: Any) -> list[Any]:
        """Run jobs in one transaction; the errors of those that refuse come back, too."""
        self.now_us += 1
        self.connection.execute("BEGIN IMMEDIATE")
        transaction = Transaction(self.connection)
        outcomes = []
        for job in jobs:
            try:
                outcomes.append(job(transaction))
            except REFUSALS as refusal:
                outcomes.append(refusal)
        transaction.write_counts()
        nonces.write(transaction)
        self.connection.execute("COMMIT")
        return outcomes

    @rule(count=st.integers(1, 2), claims=st.integers(0, 2), names_sender=st.booleans())
    def send(self, count: int, claims: int, *, names_sender: bool) -> None:
        """Record a send, and claim what is due."""
        given = submission(
            to=["+14155552323"] * count,
            sender="+14155551212" if names_sender else None,
            now_us=self.now_us,
        )
        self.run(lambda tx: submissions.accept(tx, given))
        self.refs += [intent.ref for intent in given.intents]
        self.ids += [intent.id for intent in given.intents]
        found = self.run(*[lambda tx: entries.claim(tx, self.now_us, self.now_us)] * claims)
        self.claimed += [entry for entry in found if isinstance(entry, Entry)]

    @rule(
        outcome=st.sampled_from(["accepted", "refused", "unknown", "postponed", "given back"]),
        number=NUMBERS,
    )
    def answer(self, outcome: str, number: int) -> None:
        """End a claim in one of all ways."""
        if not self.claimed:
            return
        row = self.claimed.pop().row
        jobs = {
            "accepted": lambda tx: entries.settle_accepted(tx, row, uuid(number), self.now_us),
            "refused": lambda tx: entries.settle_refused(
                tx, row, "no", self.now_us, plivo_status=400, plivo_error="bad"
            ),
            "unknown": lambda tx: entries.settle_unknown(tx, row, "lost", self.now_us, 0),
            "postponed": lambda tx: entries.postpone(tx, row, self.now_us),
            "given back": lambda tx: entries.give_back(tx, row),
        }
        self.run(jobs[outcome])

    @rule(data=st.data(), count=st.integers(1, 4))
    def call_back_on_refs(self, data: st.DataObject, count: int) -> None:
        """Receive callbacks on the paths of messages."""
        refs = st.sampled_from(self.refs[-3:] * 3 + self.refs[:1])
        self.call_back([(data.draw(refs), data.draw(CALLBACKS)) for _ in range(count)])

    @rule(callbacks=st.lists(CALLBACKS, min_size=1, max_size=4))
    def call_back_on_the_bare_path(self, callbacks: list[Callback]) -> None:
        """Receive callbacks on the path of all messages."""
        self.call_back([(None, each) for each in callbacks])

    def call_back(self, callbacks: list[tuple[str | None, Callback]]) -> None:
        """Record a batch of callbacks, each twice."""
        for ref, (number, status, trust, used, fields) in callbacks:
            given = arrival(
                message_uuid=None if number is None else uuid(number),
                status=status,
                ref=ref,
                trust=trust,
                nonces=[f"nonce-{nonce}" for nonce in used],
                digest=repr((number, status, fields)).encode().ljust(16)[-16:],
                received_us=self.now_us,
                **fields,
            )
            given = replace(given, doubtful=trust == "url-only")
            first, second = self.run(*[partial(receipts.record, arrival=given)] * 2)
            if isinstance(first, receipts.Recorded):
                assert second.cursor is None
                assert (first.message_id, first.message_status) == (
                    second.message_id,
                    second.message_status,
                )

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Cancel by hand."""
        message_id = data.draw(st.sampled_from(self.ids))
        self.run(lambda tx: entries.cancel(tx, message_id, self.now_us, "root"))

    @rule()
    def start_again(self) -> None:
        """End as by kill -9, and start."""
        self.connection.close()
        self.open()
        self.claimed.clear()
        self.run(
            lambda tx: entries.reset_clock(tx, self.now_us, 0),
            lambda tx: asks.reset_clock(tx, self.now_us, 0, 100),
        )
        while any(self.run(lambda tx: entries.recover(tx, self.now_us, self.now_us))):
            pass
        self.run(lambda tx: entries.expire(tx, self.now_us - 60, "too old", self.now_us))

    # Asking Plivo

    def moment(self, *, after_silence: bool = False) -> Moment:
        """Read the clocks."""
        careful_us = self.now_us + LONG_US * after_silence
        return Moment(now_us=self.now_us, careful_us=careful_us, steady_us=self.now_us)

    @rule(told=st.lists(ANSWERS, min_size=1, max_size=3), after_silence=st.booleans())
    def ask(self, told: list[Fact | None], *, after_silence: bool) -> None:
        """Ask about what is due, some of it long after it was heard of last."""
        moment = self.moment(after_silence=after_silence)
        (due,) = self.run(lambda tx: asks.due(tx, self.now_us, len(told)))
        for each, fact in zip(due, told, strict=False):
            if each.message_uuid is None or fact is None:
                self.run(lambda tx, r=each.row: findings.note_unanswered(tx, r, moment, PATIENCE))
            else:
                self.learn(Answer(each.message_uuid, fact, b"{}"), moment)

    @rule(number=NUMBERS, fact=ANSWERS, after_silence=st.booleans())
    def ask_about(self, number: int, fact: Fact | None, *, after_silence: bool) -> None:
        """Ask about one message, due or not."""
        answer = Answer(uuid(number), fact, None)
        self.learn(answer, self.moment(after_silence=after_silence))

    def learn(self, answer: Answer, moment: Moment) -> None:
        """Write an answer down twice: the second time it is no news."""
        first, second = self.run(
            *[lambda tx: findings.learn(tx, answer, moment, PATIENCE)] * 2,
        )
        assert second is None or not (second.is_new or second.is_silence)
        assert (first is None) == (second is None)

    @rule()
    def watch(self) -> None:
        """Take down what is open, and hurry."""
        moment = self.moment()
        (newest,) = self.run(watching.newest_row)
        self.run(lambda tx: watching.watch(tx, newest, PATIENCE, moment.now_us, moment.now_us))
        self.run(lambda tx: asks.hurry(tx, 0, 0, self.now_us))

    @rule(data=st.data(), number=NUMBERS, fact=ANSWERS)
    def infer(self, data: st.DataObject, number: int, fact: Fact | None) -> None:
        """Believe of a lost send that it is what the list tells of."""
        lost = self.connection.execute("SELECT message FROM outbox WHERE state = 'unknown'")
        rows = sorted(row for (row,) in lost)
        if rows:
            row, answer = data.draw(st.sampled_from(rows)), Answer(uuid(number), fact, b"{}")
            self.run(lambda tx: inferring.infer(tx, row, answer, self.moment()))

    @rule(refuses=st.booleans())
    def give_up(self, *, refuses: bool) -> None:
        """Report what nobody could settle, and refuse it where that is the rule."""
        (overdue,) = self.run(lambda tx: inferring.report_overdue(tx, self.now_us - 30, 2))
        for name in overdue if refuses else ():
            self.run(lambda tx, n=name: entries.refuse_unknown(tx, n, self.now_us))
        self.run(lambda tx: inferring.hurry(tx, self.now_us))

    @rule(data=st.data(), word=st.sampled_from(["sent", "not sent", "send again"]), number=NUMBERS)
    def settle(self, data: st.DataObject, word: str, number: int) -> None:
        """Take an operator's word."""
        name = data.draw(st.sampled_from(self.ids))
        again = submission(now_us=self.now_us)
        (intent,) = again.intents
        terms = replace(again, intents=())
        now_us = self.now_us
        jobs = {
            "sent": lambda tx: settling.settle_sent(tx, name, uuid(number), now_us, "root"),
            "not sent": lambda tx: settling.settle_not_sent(tx, name, now_us, "root"),
            "send again": lambda tx: settling.send_again(tx, name, intent.id, intent.ref, terms),
        }
        (done,) = self.run(jobs[word])
        if word == "send again" and done is True:
            self.ids.append(intent.id)
            self.refs.append(intent.ref)

    @rule()
    def take_back(self) -> None:
        """Take a send back whose COMMIT failed."""
        given = submission(now_us=self.now_us, key="k")
        self.run(lambda tx: submissions.accept(tx, given))
        self.run(lambda tx: submissions.withdraw(tx, given))

    @rule()
    def forget(self) -> None:
        """Let retention do its work."""
        for step in (pruning.blank_texts, pruning.delete_messages, pruning.delete_unnamed_events):
            self.run(partial(step, before_us=self.now_us - 80))

    @rule()
    def fail(self) -> None:
        """Lose a batch."""
        self.connection.execute("BEGIN IMMEDIATE")
        transaction = Transaction(self.connection)
        submissions.accept(transaction, submission(now_us=self.now_us))
        try:
            insert_fact(transaction, "bad", None)
        except sqlite3.IntegrityError:
            self.connection.execute("ROLLBACK")

    @invariant()
    def audit(self) -> None:
        """Compare what is derived with what it is derived from."""
        if hasattr(self, "connection"):
            audit_connection(self.connection)
            self.audit_outbox()
            self.audit_asks()

    def audit_outbox(self) -> None:
        """A message waits in the outbox exactly as long as its status is one of waiting."""
        execute = self.connection.execute
        rows = execute(
            "SELECT current_status, state FROM messages LEFT JOIN outbox ON row = message"
            " WHERE ref IS NOT NULL"
        )
        for status, state in rows:
            if state is None:
                assert status not in {"pending", "unknown"}
            elif state != "claimed":
                assert state == status

    def audit_asks(self) -> None:
        """Nobody asks why a message is silent that is final; who is contradicted is asked about."""
        transaction = Transaction(self.connection)
        asked = dict(transaction.execute("SELECT message, urgency FROM asks"))
        for row, final in transaction.execute("SELECT row, final FROM messages").fetchall():
            assert not (final and asked.get(row) in {SILENT, LAST_WORD_SENT})
            assert row in asked or not folding.facts_of(transaction, row).contested


Histories.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestHistories = pytest.mark.takes(15)(Histories.TestCase)
TestHistories = pytest.mark.timeout(600)(Histories.TestCase)  # a failure is made small at leisure
