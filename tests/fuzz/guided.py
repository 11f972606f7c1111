"""
The child that lets atheris guide it: inputs that reach new code are kept and changed further.

Coverage is that of the product, of the libraries that read bytes for it, and of the targets' own
oracles, so that what they tell apart is told apart here too.
"""

from __future__ import annotations

import sys
from typing import Final

import atheris

from tests.fuzz import child, target
from tests.fuzz.child import Order

INSTRUMENTED: Final = ["plivostatusd", "tornado", "email", "tests"]


def arguments(order: Order) -> list[str]:
    """Spell *order* for libFuzzer."""
    return [
        sys.argv[0],
        f"-seed={order.seed}",
        f"-max_total_time={order.seconds}",
        f"-max_len={child.INPUT_BYTES_MAX}",
        f"-timeout={order.input_s_max}",
        f"-rss_limit_mb={child.MEMORY_MIB_MAX}",
        f"-artifact_prefix={order.finds}/",
        f"-dict={order.words}",
        # Made as small as they can be, inputs would lose all that the next change could use.
        "-reduce_inputs=0",
        "-print_final_stats=1",
        str(order.grown),
        str(order.seeds),
    ]


def main() -> None:
    """Fuzz until the time is up or something is found; libFuzzer ends the process."""
    order = child.order()
    with atheris.instrument_imports(include=INSTRUMENTED):
        module = target.load(order.target)
        child.quiet()
    with module.opened(order.scratch) as check:
        atheris.Setup(arguments(order), check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
