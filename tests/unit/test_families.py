"""An account whose callbacks are all signed by V2 alone is noticed, and not asked to death."""

from __future__ import annotations

from plivostatusd.domain.families import ALL_V2, CONFIRM_EVERY_S, Families


def by_v2_alone(families: Families, count: int) -> list[bool]:
    """Count callbacks that V2 alone has signed."""
    return [families.note(has_v3=False) for _ in range(count)]


def test_a_habit_is_said_once() -> None:
    """So many in a row make a habit; it is news at that moment, and not again."""
    told = by_v2_alone(Families(), 3 * ALL_V2)
    assert ([False] * (ALL_V2 - 1), [True]) == (told[: ALL_V2 - 1], told[ALL_V2 - 1 : ALL_V2])
    assert not any(told[ALL_V2:])


def test_one_with_v3_breaks_the_habit() -> None:
    """A single callback with V3 shows that the account has it: the count begins anew."""
    families = Families()
    by_v2_alone(families, ALL_V2 - 1)
    assert not families.note(has_v3=True)
    assert not any(by_v2_alone(families, ALL_V2 - 1))
    assert families.note(has_v3=False)
    assert not families.note(has_v3=True)
    assert families.admit(0.0)
    assert families.admit(0.0)


def test_before_it_is_a_habit_each_is_confirmed() -> None:
    """Until V2 alone is the habit, every doubtful outcome is worth a question."""
    families = Families()
    by_v2_alone(families, ALL_V2 - 1)
    assert all(families.admit(5.0) for _ in range(10))


def test_then_one_now_and_then() -> None:
    """Where it is the habit one a minute is confirmed, the first at once."""
    families = Families()
    by_v2_alone(families, ALL_V2)
    times_s = [0.0, 1.0, CONFIRM_EVERY_S - 0.1, CONFIRM_EVERY_S, 61.0, 500.0, 501.0]
    assert [True, False, False, True, False, True, False] == [
        families.admit(at_s) for at_s in times_s
    ]
