"""A server that lies ends the run: what was answered with 200 is there, once, and told last."""

from __future__ import annotations

import pytest

from bench.kept import Kept, judge

A, B = "message-a", "message-b"
TOLD = [(A, "queued"), (A, "sent"), (A, "delivered"), (B, "sent")]
TRUE = Kept(TOLD, {A: "delivered", B: "sent"})


def test_the_truth() -> None:
    """Whatever order its callbacks were kept in, a server that has them all passes."""
    assert 0 == judge("ours", Kept(TOLD[::-1], TRUE.statuses), TOLD, merges=True)


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (Kept(TOLD[1:], TRUE.statuses), "1 of them are not kept, 0 are too many"),
        (Kept([], {}), "4 of them are not kept"),
        (Kept([*TOLD, TOLD[0]], TRUE.statuses), "0 of them are not kept, 1 are too many"),
        (Kept([*TOLD, ("forged", "sent")], TRUE.statuses), "1 are too many"),
        (Kept([*TOLD[1:], ("other", "sent")], TRUE.statuses), "1 of them are not kept, 1 are too"),
        (Kept(TOLD, {A: "delivered"}), "1 messages have not their status"),
        (Kept(TOLD, {A: "failed", B: "sent"}), "1 messages have not their status"),
        (Kept(TOLD, {A: "sent", B: "delivered"}), "messages have not their status"),
    ],
)
def test_a_lie(kept: Kept, why: str) -> None:
    """One callback lost, doubled or made up, or one status that nobody told, is a lie."""
    with pytest.raises(SystemExit, match=f"bench: somebody lies.*{why}"):
        judge("somebody", kept, TOLD, merges=False)


def test_an_old_status() -> None:
    """Of a server that merges, a status that was overtaken is a lie; of another it is counted."""
    old = Kept(TOLD, {A: "queued", B: "sent"})
    assert 1 == judge("a peer", old, TOLD, merges=False)
    with pytest.raises(SystemExit, match="ours lies"):
        judge("ours", old, TOLD, merges=True)


def test_more_than_was_answered() -> None:
    """Where answers may be lost, more may be kept than was answered, and never less."""
    assert 0 == judge("ours", TRUE, TOLD[:3], exactly=False, merges=True)
    with pytest.raises(SystemExit, match="lies"):
        judge("ours", Kept(TOLD[:3], TRUE.statuses), TOLD, exactly=False, merges=True)
