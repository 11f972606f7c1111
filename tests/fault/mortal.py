"""
A daemon that kills itself at one step of a send's way, as `kill -9` would: a child for tests.

    python -m tests.fault.mortal STEP -c FILE

Steps are those between which a crash can fall: when the intent is committed; when it is claimed;
when Plivo's answer is there; when that is written down. The daemon is the real one; each step is an
edge of it at which the process ends itself before anything more happens.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from plivostatusd.__main__ import main
from plivostatusd.flows.courtesy import Courtesy
from plivostatusd.flows.outbox.calls import Calls
from plivostatusd.flows.outbox.intake import Intake
from plivostatusd.plivo.api import PlivoApi
from plivostatusd.store import rolls

STEPS = ("intent committed", "claimed", "answered", "settled")
LISTED = "list in part"
"""A step of a list's way alone: it is accepted, and one step of its roll is written out."""


def die() -> None:
    """End as by kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def after(owner: type, name: str, times: int = 1) -> None:
    """Die once the coroutine method *name* has done its work *times*."""
    method: Callable[..., Any] = getattr(owner, name)
    left = itertools.count(times - 1, -1)

    async def last(*args: Any, **options: Any) -> Any:
        done = await method(*args, **options)
        if not next(left):
            die()
        return done

    setattr(owner, name, last)


def before(owner: type, name: str) -> None:
    """Die instead of calling the coroutine method *name*."""

    async def never(*_args: Any, **_options: Any) -> None:
        die()

    setattr(owner, name, never)


def arm(step: str) -> None:
    """Put the end at *step*."""
    if step == "intent committed":
        after(Intake, "accept")
        before(PlivoApi, "send")
    elif step == "claimed":
        before(PlivoApi, "send")
    elif step == "answered":
        after(PlivoApi, "send")
    elif step == "settled":
        after(Calls, "_settle")
    elif step == LISTED:
        rolls.STEP_ALONE = rolls.STEP  # type: ignore[misc]  # this process is there to die in it
        after(Courtesy, "give_way", times=2)  # before it is parsed, and behind its first step
        before(PlivoApi, "send")
    else:
        raise ValueError(step)


if __name__ == "__main__":
    arm(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
