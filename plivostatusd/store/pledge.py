"""
What somebody is told once an outcome is known: a future for those who are called in great numbers.

Whoever waits is called at once, by whoever tells, and not in a later turn of the event loop: a
batch of outcomes is told, logged and answered in one go. An `asyncio.Future` costs three times as
much, most of it for turns of the loop. Made and used on the event loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Generic, Protocol, TypeVar

from plivostatusd.log import get_logger

T = TypeVar("T")

log = get_logger()


class Told(Protocol):
    """What hears a job's outcome: a future, or a pledge."""

    def done(self) -> bool:
        """Say whether it has heard one, or wants none any more."""

    def set_result(self, result: Any, /) -> None:
        """Hear what the job returned."""

    def set_exception(self, error: BaseException, /) -> None:
        """Hear why it did not."""


class Pledge(Generic[T]):
    """An outcome that will be told once: a result, or an error. Nobody can cancel it."""

    __slots__ = ("_callbacks", "_error", "_is_done", "_result")

    def __init__(self) -> None:
        self._callbacks: list[Callable[[Pledge[T]], object]] = []
        self._result: T
        self._error: BaseException | None = None
        self._is_done = False

    def done(self) -> bool:
        """Say whether it is told."""
        return self._is_done

    def result(self) -> T:
        """Give the result, or raise the error; it is told."""
        assert self._is_done
        if self._error is not None:
            raise self._error
        return self._result

    def exception(self) -> BaseException | None:
        """Give the error, if that is what was told."""
        assert self._is_done
        return self._error

    def set_result(self, result: T) -> None:
        """Tell that it went well."""
        self._result = result
        self._tell()

    def set_exception(self, error: BaseException) -> None:
        """Tell that it did not."""
        self._error = error
        self._tell()

    def add_done_callback(self, callback: Callable[[Pledge[T]], object]) -> None:
        """Have *callback* called with this when it is told: at once if it is, else in that call."""
        if self._is_done:
            self._call(callback)
        else:
            self._callbacks.append(callback)

    def _tell(self) -> None:
        assert not self._is_done
        self._is_done = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            self._call(callback)

    def _call(self, callback: Callable[[Pledge[T]], object]) -> None:
        """Call *callback*; its bug must not keep others of the same batch from being told."""
        try:
            callback(self)
        except Exception:
            log.exception("answer_failed")

    def __await__(self) -> Generator[None, None, T]:
        """Wait until it is told; the result is the same as that of `result`."""
        if not self._is_done:
            told = asyncio.Event()
            self.add_done_callback(lambda _: told.set())
            yield from told.wait().__await__()
        return self.result()
