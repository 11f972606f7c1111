"""Steps that a signal does not cut in two."""

from __future__ import annotations

import os
import signal

import pytest

from plivostatusd.ctl.uninterrupted import Uninterrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def work(*numbers: signal.Signals, done: list[str], error: Exception | None = None) -> None:
    """Do a step, during which the signals come, and another."""
    with Uninterrupted() as uninterrupted:
        with uninterrupted.work():
            for number in numbers:
                os.kill(os.getpid(), number)
            done.append("first")
            if error is not None:
                raise error
        done.append("second")


def rest(number: signal.Signals, done: list[str]) -> None:
    """Do a step, have a signal come behind it, and do another."""
    with Uninterrupted() as uninterrupted:
        with uninterrupted.work():
            done.append("first")
        os.kill(os.getpid(), number)
        done.append("second")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_step_is_done(number: signal.Signals) -> None:
    """A signal within a step waits for its end."""
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        work(number, done=done)
    assert ["first"] == done


@pytest.mark.parametrize("number", SIGNALS)
def test_between_steps(number: signal.Signals) -> None:
    """A signal outside of steps ends all at once."""
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        rest(number, done)
    assert ["first"] == done


def test_a_second_one() -> None:
    """A second signal ends a step that lasts."""
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        work(signal.SIGINT, signal.SIGINT, done=done)
    assert [] == done


def test_an_error_is_its_own() -> None:
    """An error of the step is told, whatever signal came meanwhile."""
    done: list[str] = []
    with pytest.raises(ValueError, match="its own"):
        work(signal.SIGINT, done=done, error=ValueError("its own"))
    assert ["first"] == done


def test_handlers_are_given_back() -> None:
    """Behind the block whoever had the signals has them again."""
    before = [signal.getsignal(number) for number in SIGNALS]
    with Uninterrupted():
        assert before != [signal.getsignal(number) for number in SIGNALS]
    assert before == [signal.getsignal(number) for number in SIGNALS]
