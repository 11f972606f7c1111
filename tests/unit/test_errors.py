from __future__ import annotations

import inspect

import pytest

from plivostatusd.domain import errors
from plivostatusd.domain.errors import BadSend, BadSignature, Refusal, StartRefused, StatusdError

EVERY = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, StatusdError)
]
REFUSALS = [error for error in EVERY if issubclass(error, Refusal)]


@pytest.mark.parametrize("error", EVERY)
def test_the_tree_is_drawn(error: type[StatusdError]) -> None:
    """Every error stands in the tree at the top of the module, a refusal with its answer."""
    assert errors.__doc__ is not None
    line = next(line for line in errors.__doc__.splitlines() if error.__name__ in line.split())
    if issubclass(error, Refusal) and error is not Refusal:
        assert str(error.http_status) in line.split()


@pytest.mark.parametrize("error", REFUSALS)
def test_refusals_name_themselves(error: type[Refusal]) -> None:
    """No two refusals share a slug, and each has a title."""
    assert [error] == [other for other in REFUSALS if other.slug == error.slug]
    assert error.title
    assert error.http_status in range(400, 600)


def test_a_refusal_without_words() -> None:
    """A refusal says its title, unless it is given something better to say."""
    assert errors.StoreUnavailable().detail == errors.StoreUnavailable.title
    told = errors.LimitReached("used up", retry_after_s=7)
    assert (str(told), told.detail, told.retry_after_s) == ("used up", "used up", 7)


def test_a_bad_signature_says_why_to_the_log_alone() -> None:
    """Which check failed is the reason; what the sender may see is the title."""
    error = BadSignature("mismatch")
    assert error.reason == "mismatch"
    assert "mismatch" not in error.title


def test_a_bad_send_says_everything() -> None:
    """Each problem of a send is in its text."""
    error = BadSend((("to", "is required"), ("text", "is required")))
    assert str(error) == "to: is required; text: is required"
    assert error.problems == (("to", "is required"), ("text", "is required"))


def test_a_refused_start_says_what_to_type() -> None:
    """A refused start ends with the command to type, where there is one."""
    assert str(StartRefused("The port is taken")) == "The port is taken"
    error = StartRefused("It is not ours", command="chown plivostatusd status.db")
    assert str(error) == "It is not ours. Type: chown plivostatusd status.db"
    assert error.command == "chown plivostatusd status.db"
