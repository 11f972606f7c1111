"""`make api-check`: schemathesis asks a running daemon what its document allows, or not."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.api.asking import ask_around


def main() -> int:
    """Ask as the command line says; the exit status is the worse of schemathesis's."""
    parser = argparse.ArgumentParser(prog="make api-check")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 2**31))
    parser.add_argument("--examples", type=int, default=25, help="of each operation")
    options = parser.parse_args()
    status = 0
    for by_tcp in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            told = asyncio.run(
                ask_around(
                    Path(folder), seed=options.seed, examples=options.examples, by_tcp=by_tcp
                )
            )
        print(told.report, flush=True)
        status = max(status, told.status)
    return status


if __name__ == "__main__":
    sys.exit(main())
