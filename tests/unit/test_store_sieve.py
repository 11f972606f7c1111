"""The sieve: certain of what it says no to."""

from __future__ import annotations

import random

from plivostatusd.store.sieve import FULL, Sieve


def test_an_empty_one_holds_nothing() -> None:
    """Before anything is put in, nothing may be in it."""
    sieve = Sieve()
    assert not any(sieve.may_hold(one) for one in (0, 1, (1 << 64) - 1))


def test_what_was_put_in_is_found(chance: random.Random) -> None:
    """Of what was put in it never says no, wherever its bits are."""
    hashes = [0, 1, (1 << 64) - 1, *(chance.getrandbits(64) for _ in range(5_000))]
    sieve = Sieve()
    sieve.add(hashes)
    assert all(sieve.may_hold(one) for one in hashes)
    assert len(hashes) == sieve.held


def test_of_most_others_it_says_no(chance: random.Random) -> None:
    """Of what was not put in it says perhaps seldom, and of one in seven when it is full."""
    sieve = Sieve()
    sieve.add(chance.getrandbits(64) for _ in range(20_000))
    doubted = sum(sieve.may_hold(chance.getrandbits(64)) for _ in range(20_000))
    assert doubted < 20
    places_taken = 2 * FULL / (1 << 25)
    assert 0.1 < (1 - 2.718281828**-places_taken) ** 2 < 1 / 6
