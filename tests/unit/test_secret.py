from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from plivostatusd.domain.secret import Secret

TOKEN = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFy"


@pytest.mark.parametrize(
    "show",
    [str, repr, format, "{}".format, "{!r}".format, "{:>3}".format, lambda each: f"{each:s}"],
)
def test_no_way_to_print_a_secret_shows_it(show: Callable[[Secret], str]) -> None:
    """A secret prints as three stars, however it is printed."""
    assert show(Secret(TOKEN)) == "***"


def test_what_holds_a_secret_does_not_show_it_either() -> None:
    """A record or a list with a secret in it prints without the secret."""

    @dataclass
    class Holder:
        token: Secret

    assert TOKEN not in f"{Holder(Secret(TOKEN))} {[Secret(TOKEN)]}"


def test_a_secret_is_given_to_who_asks_for_it() -> None:
    """`reveal` returns the very text."""
    assert Secret(TOKEN).reveal() == TOKEN


def test_equality_is_by_value_and_only_with_secrets() -> None:
    """Two secrets are equal when their texts are; a text is no secret."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


@pytest.mark.parametrize("text", ["", "a", "é", "\udcff", "日本"])
def test_matches_takes_any_text(text: str) -> None:
    """A stranger's text is compared whatever characters it has."""
    assert Secret(text).matches(text)
    assert not Secret(text).matches(f"{text}x")


def test_an_empty_secret_is_false() -> None:
    """`if secret` asks whether there is one."""
    assert [bool(Secret("")), bool(Secret("a"))] == [False, True]


@pytest.mark.parametrize("leave", [hash, pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_not_hashed_pickled_or_copied(leave: Callable[[Secret], object]) -> None:
    """Nothing takes a secret out of the process or into a dictionary's keys."""
    with pytest.raises(TypeError):
        leave(Secret(TOKEN))
