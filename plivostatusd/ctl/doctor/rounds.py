"""
All checks at once, each in a thread of its own, and an end to it after so many seconds.

A look-up of a name cannot be interrupted, so nobody waits for a thread that is late: it ends with
the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator

from plivostatusd.ctl.doctor.check import WARNING, Check
from plivostatusd.ctl.doctor.scene import Scene

WITHIN_S = 8.5
Maker = Callable[[Scene], Iterable[Check]]


class _Begun:
    """One check under way."""

    def __init__(self, name: str, maker: Maker, scene: Scene) -> None:
        self.name = name
        self._checks: list[Check] = []
        # A daemon thread: no end of the process waits for it.
        self._thread = threading.Thread(target=self._run, args=(maker, scene), daemon=True)
        self._thread.start()

    def _run(self, maker: Maker, scene: Scene) -> None:
        try:
            self._checks = list(maker(scene))
        except Exception as error:  # noqa: BLE001 - one check's bug must not take the others away
            found = f"it could not be made: {type(error).__name__}"
            self._checks = [Check(self.name, WARNING, found)]

    def ended(self, within_s: float) -> list[Check]:
        """Give what was found, or that it took too long."""
        self._thread.join(within_s)
        if self._thread.is_alive():
            return [Check(self.name, WARNING, f"it took longer than {WITHIN_S:g} s")]
        return self._checks


def make(makers: Iterable[tuple[str, Maker]], scene: Scene) -> list[Check]:
    """Make every check, and give what was found in the makers' order."""
    return list(_made(list(makers), scene))


def _made(makers: list[tuple[str, Maker]], scene: Scene) -> Iterator[Check]:
    ends_s = time.monotonic() + WITHIN_S
    for begun in [_Begun(name, maker, scene) for name, maker in makers]:
        yield from begun.ended(max(0.0, ends_s - time.monotonic()))
