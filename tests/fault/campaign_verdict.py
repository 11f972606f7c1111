"""
Whether a daemon's record of a campaign is Plivo's truth, message by message. Pure.

`faults` names everything that is wrong with one message, and the less that is said the better.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.fault.campaign_plivo import Taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A message as the daemon keeps it, and the callbacks that it has recorded of it."""

    to: str
    status: str
    uuid: str | None
    error_code: str | None
    conflict: bool
    duplicate: bool
    recorded: frozenset[tuple[str, int]]


def faults(kept: Kept, taken: Sequence[Taken], answers: Sequence[int | None]) -> Iterator[str]:
    """
    Say what is wrong with one message.

    *taken* is what Plivo took for its recipient, and *answers* those to each call that sent it.
    """
    if len(taken) > 1:
        yield "taken twice"
    if sum(answer != 429 for answer in answers) > 1:
        yield f"sent again after an answer that was no 429: {answers}"
    if kept.conflict or kept.duplicate:
        yield "a conflict, or a duplicate at Plivo"
    yield from _faults_of_taken(kept, taken[0]) if taken else _faults_of_untaken(kept, answers)


def _faults_of_untaken(kept: Kept, answers: Sequence[int | None]) -> Iterator[str]:
    """Plivo has refused it, has failed, or was never reached by a call that was cut off."""
    if kept.recorded:
        yield f"recorded, and never taken: {sorted(kept.recorded)}"
    if kept.status != "unknown" and (kept.status, 400 in answers) != ("refused", True):
        yield f"{kept.status}, but it was never taken"


def _faults_of_taken(kept: Kept, truth: Taken) -> Iterator[str]:
    acknowledged = {(each.status, each.sequence) for each in truth.reports if each.answer == 200}
    if not acknowledged <= kept.recorded:
        yield f"acknowledged and lost: {sorted(acknowledged - kept.recorded)}"
    if any(sequence > truth.sequence for _, sequence in kept.recorded):
        yield f"recorded, and never happened: {sorted(kept.recorded)}"
    if not {*truth.forgeries} <= {403, None}:
        yield f"a forgery was answered {sorted(map(str, truth.forgeries))}"
    if kept.uuid != truth.uuid:
        yield f"its UUID is {kept.uuid}, and {truth.uuid} at Plivo"
    told = (kept.status, kept.error_code)
    if told != (truth.status, truth.error_code):
        yield f"{told} instead of {(truth.status, truth.error_code)}"


def was_found_out(kept: Kept, truth: Taken) -> bool:
    """Say whether no callback told of a message's last change: the API did."""
    return truth.sequence not in {sequence for _, sequence in kept.recorded}
