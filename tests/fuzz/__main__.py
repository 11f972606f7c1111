"""
`make fuzz`: every target for some time, one after the other, and what was found.

Ends with 1 when anything was, or when a run failed, and names each find's file. A person then
mends the product, and checks the file in as tests/data/fuzz/TARGET/found-WHAT.
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
from importlib.metadata import version
from pathlib import Path

from tests.fuzz import target
from tests.fuzz.run import ENGINES, Result, best_engine, run

FINDS = Path("build", "fuzz")


def main() -> int:
    """Run what the command line asks for."""
    options = _options()
    seed = options.seed or random.SystemRandom().randrange(1, 2**31)
    print(f"{_engine(options.engine)}; SEED={seed}, {options.seconds_each} s a target", flush=True)
    results = []
    for name in options.targets:
        result = run(
            name,
            engine=options.engine,
            seed=seed,
            seconds=options.seconds_each,
            finds=options.finds,
        )
        print(result, flush=True)
        if result.has_failed:
            _tell(result)
        results.append(result)
    return 1 if any(result.has_failed for result in results) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", default=target.NAMES, metavar="TARGET")
    parser.add_argument("--seed", type=int, default=0, help="0, the default, chooses one")
    parser.add_argument("--seconds-each", type=int, default=60)
    parser.add_argument("--engine", choices=ENGINES, default=best_engine())
    parser.add_argument("--finds", type=Path, default=FINDS, help="folder for what is found")
    return parser.parse_args()


def _engine(name: str) -> str:
    """Say by what inputs are made."""
    if name == "atheris":
        return f"fuzzing by atheris {version(name)}, guided by coverage"
    why = "as asked"
    if best_engine() == name:
        here = f"{platform.python_implementation()} {platform.python_version()}"
        why = f"as atheris is not installed for {here} on {platform.machine()}"
    return f"fuzzing by hypothesis {version(name)}, drawn and not guided by coverage, {why}"


def _tell(result: Result) -> None:
    print(result.said)
    for path in result.finds:
        print(f"FOUND {path}")
        print(f"  mend it, and check it in: tests/data/fuzz/{result.order.target}/found-WHAT")
    if not result.finds:
        print("FAILED without an input that was found")


if __name__ == "__main__":
    sys.exit(main())
