"""The campaign's own parts: a plan that a seed repeats, and a verdict that sees what is wrong."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from plivostatusd.simulator.story import STORIES
from tests.fault.campaign_plan import BLOWS_A_KIND, KINDS, plan
from tests.fault.campaign_plivo import Report, Taken
from tests.fault.campaign_verdict import Kept, faults, was_found_out

TO = "+16285550001"
UUID = "7b1d2c52-86b1-4f08-9d0d-0c6a3a0a9a01"
KEPT = Kept(
    to=TO,
    status="delivered",
    uuid=UUID,
    error_code=None,
    conflict=False,
    duplicate=False,
    recorded=frozenset({("queued", 1), ("sent", 2), ("delivered", 3)}),
)
TAKEN = Taken(
    uuid=UUID,
    to=TO,
    status="delivered",
    sequence=3,
    error_code=None,
    lost=0,
    reports=tuple(Report(*each, 200) for each in (("queued", 1), ("sent", 2), ("delivered", 3))),
    forgeries=(403, None),
)
LOST = replace(TAKEN, lost=1, reports=TAKEN.reports[:2])
HEARD = frozenset({("queued", 1), ("sent", 2)})
FORGED = ("failed", 99)
UNKNOWN = replace(KEPT, status="unknown", uuid=None, recorded=frozenset())


def test_a_seed_repeats_a_plan() -> None:
    """The same seed draws the same campaign, and another seed another."""
    drawn = [plan(random.Random(seed), 300) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_a_plan_is_whole() -> None:
    """Everybody is sent one message, every story is told as often, every kind of blow falls."""
    drawn = plan(random.Random(3), 1_300)
    assert 1_300 == len(drawn.recipients) == len({*drawn.recipients})
    stories = [to[-4:] for to in drawn.recipients]
    assert {100} == {stories.count(story) for story in STORIES}
    assert len(STORIES) == len({*stories})
    assert {True, False} == {order.is_list for order in drawn.orders}
    assert len(drawn.orders) == len({order.key for order in drawn.orders})
    assert sorted(KINDS * BLOWS_A_KIND) == sorted(blow.kind for blow in drawn.blows)
    assert drawn.blows == tuple(sorted(drawn.blows, key=lambda blow: blow.after))


@pytest.mark.parametrize(
    ("kept", "taken", "answers"),
    [
        (KEPT, [TAKEN], [202]),
        (KEPT, [TAKEN], [429, 429, 202]),
        (KEPT, [TAKEN], [None]),
        (replace(KEPT, recorded=HEARD), [LOST], [202]),
        (replace(KEPT, recorded=frozenset()), [replace(TAKEN, reports=())], [None]),
        (UNKNOWN, [], [500]),
        (UNKNOWN, [], []),
        (replace(UNKNOWN, status="refused"), [], [400]),
    ],
)
def test_what_is_right(kept: Kept, taken: list[Taken], answers: list[int | None]) -> None:
    """Nothing is wrong with a message whose record is all that the daemon could have heard."""
    assert [] == [*faults(kept, taken, answers)]


@pytest.mark.parametrize(
    ("kept", "taken", "answers", "said"),
    [
        (KEPT, [TAKEN, TAKEN], [202, 202], "taken twice"),
        (KEPT, [TAKEN], [500, 202], "sent again"),
        (KEPT, [TAKEN], [None, 429, 202], "sent again"),
        (replace(KEPT, conflict=True), [TAKEN], [202], "conflict"),
        (replace(KEPT, duplicate=True), [TAKEN], [202], "conflict"),
        (replace(KEPT, status="sent"), [TAKEN], [202], "instead of"),
        (replace(KEPT, status="sent", recorded=HEARD), [LOST], [202], "instead of"),
        (UNKNOWN, [replace(TAKEN, reports=())], [None], "UUID"),
        (replace(KEPT, status="sent", recorded=HEARD), [TAKEN], [202], "acknowledged and lost"),
        (
            replace(KEPT, recorded=KEPT.recorded | {FORGED}),
            [TAKEN],
            [202],
            "never happened",
        ),
        (replace(KEPT, uuid="another"), [TAKEN], [202], "UUID"),
        (replace(KEPT, uuid=None), [TAKEN], [202], "UUID"),
        (replace(KEPT, error_code="30"), [TAKEN], [202], "instead of"),
        (KEPT, [replace(TAKEN, status="read")], [202], "instead of"),
        (KEPT, [replace(TAKEN, forgeries=(200,))], [202], "forgery"),
        (replace(UNKNOWN, status="pending"), [TAKEN], [], "acknowledged and lost"),
        (replace(UNKNOWN, status="pending"), [], [], "never taken"),
        (replace(UNKNOWN, status="refused"), [], [500], "never taken"),
        (KEPT, [], [202], "never taken"),
    ],
)
def test_what_is_wrong(
    kept: Kept, taken: list[Taken], answers: list[int | None], said: str
) -> None:
    """Whatever the daemon lost, doubled, made up or mistook is named."""
    found = [*faults(kept, taken, answers)]
    assert [] != [sentence for sentence in found if said in sentence], found


def test_what_was_found_out() -> None:
    """What no callback told of a last change was found out by asking."""
    assert [False, True] == [
        was_found_out(each, TAKEN) for each in (KEPT, replace(KEPT, recorded=HEARD))
    ]
