"""
The child for where atheris is not to be had: Hypothesis draws inputs, and nothing guides it.

It draws changes of the corpus's files, for the most part, and bytes out of nowhere. It ends, and
says so, as the other child does.
"""

from __future__ import annotations

import hashlib
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from itertools import count
from typing import Final, NoReturn

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz import child, target
from tests.fuzz.child import Order

EXAMPLES: Final = 500
"""Inputs that Hypothesis draws in one go; it slows down in long ones, so there are many."""

CHANGES_MAX: Final = 6
_SETTINGS: Final = settings(
    max_examples=EXAMPLES,
    phases=[Phase.generate],
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@st.composite
def changed(draw: st.DrawFn, seeds: list[bytes], words: tuple[bytes, ...]) -> bytes:
    """Draw an input of the corpus with a few changes made to it."""
    content = draw(st.sampled_from(seeds))
    pieces = st.binary(max_size=8) | st.sampled_from(words) | st.sampled_from(seeds)
    for _ in range(draw(st.integers(1, CHANGES_MAX))):
        at = draw(st.integers(0, len(content)))
        until = draw(st.integers(at, min(len(content), at + 40)) | st.just(len(content)))
        piece = draw(pieces | st.just(content[at:until] * 2))
        content = content[:at] + piece + content[until:]
    return content[: child.INPUT_BYTES_MAX]


class Trial:
    """Tries inputs until the time is up or one of them breaks something."""

    def __init__(self, order: Order, check: Callable[[bytes], None]) -> None:
        self.tried = 0
        self.is_over = False
        self.has_found = False
        self._order = order
        self._check = check
        self._ends_s = time.monotonic() + order.seconds

    def __call__(self, content: bytes) -> None:
        """Try *content*; once it is over, do nothing."""
        if self.is_over:
            return
        self.tried += 1
        signal.alarm(self._order.input_s_max)
        try:
            self._check(content)
        except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
            self._keep(content)
        finally:
            signal.alarm(0)
        self.is_over = self.has_found or time.monotonic() >= self._ends_s

    def _keep(self, content: bytes) -> None:
        self.has_found = True
        traceback.print_exc()
        name = f"crash-{hashlib.sha1(content, usedforsecurity=False).hexdigest()}"
        self._order.finds.joinpath(name).write_bytes(content)


def _take_too_long(*_: object) -> NoReturn:
    raise TimeoutError("one input takes too long")


def draw_until_over(trial: Trial, order: Order, words: tuple[bytes, ...]) -> None:
    """Feed *trial* the corpus, then what is drawn from it, as `order.seed` has it."""
    seeds = [path.read_bytes() for path in sorted(order.seeds.iterdir())] or [b""]
    for content in seeds:
        trial(content)
    inputs = changed(seeds, words) | changed(seeds, words) | st.binary(max_size=200)
    for part in count():
        if trial.is_over:
            return
        _drawn(trial, inputs, f"{order.seed}.{part}")


def _drawn(trial: Trial, inputs: st.SearchStrategy[bytes], chosen: str) -> None:
    """Try as many inputs as Hypothesis draws in one go."""

    @seed(chosen)
    @_SETTINGS
    @given(inputs)
    def draw(content: bytes) -> None:
        trial(content)

    draw()


def main() -> int:
    """Try until the time is up or something is found."""
    order = child.order()
    module = target.load(order.target)
    child.quiet()
    memory_bytes = 4 * child.MEMORY_MIB_MAX * 2**20  # addresses, of which a thread's stack is many
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    signal.signal(signal.SIGALRM, _take_too_long)
    with module.opened(order.scratch) as check:
        trial = Trial(order, check)
        draw_until_over(trial, order, module.WORDS)
    sys.stderr.write(f"stat::number_of_executed_units: {trial.tried}\n")
    return child.FOUND if trial.has_found else 0


if __name__ == "__main__":
    sys.exit(main())
