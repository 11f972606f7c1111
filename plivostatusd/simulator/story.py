"""The thirteen stories, as a table: what a number's last four digits make of a message. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Answer(enum.Enum):
    """How the call that sends the message is answered."""

    ACCEPTED = enum.auto()
    AFTER_CALLBACK = enum.auto()
    DROPPED = enum.auto()
    LIMITED_ONCE = enum.auto()
    BROKEN = enum.auto()
    REFUSED = enum.auto()


class Manner(enum.Enum):
    """How the status changes are reported."""

    IN_ORDER = enum.auto()
    SILENT = enum.auto()
    SHUFFLED = enum.auto()
    AMONG_FORGERIES = enum.auto()


@dataclass(frozen=True, slots=True)
class Step:
    """One change of status, so many of Plivo's seconds after the message was taken."""

    after_s: float
    status: str
    error_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What becomes of a message, and how the sender hears of it."""

    digits: str
    summary: str
    steps: tuple[Step, ...]
    answer: Answer = Answer.ACCEPTED
    manner: Manner = Manner.IN_ORDER


_QUEUED = Step(0.2, "queued")
_SENT = Step(1.0, "sent")
_DELIVERED = (_QUEUED, _SENT, Step(2.0, "delivered"))

_TABLE = (
    Story(digits="0001", summary="queued, sent, delivered", steps=_DELIVERED),
    Story(
        digits="0002",
        summary="undelivered with error 30",
        steps=(_QUEUED, _SENT, Step(2.0, "undelivered", "30")),
    ),
    # 420 is "expired in Plivo's queue": such a message is never sent.
    Story(
        digits="0003", summary="failed with error 420", steps=(_QUEUED, Step(2.0, "failed", "420"))
    ),
    Story(digits="0004", summary="rejected", steps=(_QUEUED, _SENT, Step(2.0, "rejected"))),
    Story(digits="0005", summary="sent, then silence", steps=(_QUEUED, _SENT)),
    Story(
        digits="0006",
        summary="no callback at all; the API knows delivered",
        steps=_DELIVERED,
        manner=Manner.SILENT,
    ),
    Story(
        digits="0007",
        summary="takes the message, then drops the connection without an answer",
        steps=_DELIVERED,
        answer=Answer.DROPPED,
    ),
    Story(
        digits="0008",
        summary="callbacks doubled and shuffled",
        steps=_DELIVERED,
        manner=Manner.SHUFFLED,
    ),
    Story(
        digits="0009",
        summary="the first callback arrives before the API's answer",
        steps=_DELIVERED,
        answer=Answer.AFTER_CALLBACK,
    ),
    Story(
        digits="0010",
        summary="429 once a number, then fine",
        steps=_DELIVERED,
        answer=Answer.LIMITED_ONCE,
    ),
    Story(digits="0011", summary="500 without taking it", steps=(), answer=Answer.BROKEN),
    Story(digits="0012", summary="400", steps=(), answer=Answer.REFUSED),
    Story(
        digits="0013",
        summary="forged callbacks between the genuine ones",
        steps=_DELIVERED,
        manner=Manner.AMONG_FORGERIES,
    ),
)

STORIES = {story.digits: story for story in _TABLE}


def story_of(number: str) -> Story:
    """Find the story of a recipient; any ending that has none is told as 0001."""
    return STORIES.get(number[-4:], STORIES["0001"])
