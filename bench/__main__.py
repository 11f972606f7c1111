"""
`make bench`: what is claimed about speed, measured beside what a user would run instead.

README.md says how. A whole run writes RESULTS.md and plots/; one of parts prints what it found.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path

from . import at_rest, latency, machine, overload, page, prepared, rounds, sends, sent
from .prepared import Stock
from .processes import Cores, simulator
from .results import BARE, REFS, Results
from .rounds import Rates
from .servers import KINDS, OURS, Kind, Place, Running

SEED = 20261130
# On a disk, whatever /tmp may be; the Filesystem Hierarchy Standard keeps it over restarts.
FOLDER = Path("/var/tmp")  # noqa: S108 - a folder of our own is made in it
HERE = Path(__file__).parent
KEPT = HERE.parent / "build" / "bench.json"

PARTS = ("rest", "bare", "refs", "latency", "overload", "sends")


def main() -> int:
    """Measure everything; 0 when each 200 was found where it should be."""
    options = _options()
    if options.draw:
        _write(Results.read(KEPT), options.into)
        return 0
    cores = Cores.take()
    with tempfile.TemporaryDirectory(prefix="plivostatusd-bench-", dir=FOLDER) as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as a user of its own
        results = Results(machine.describe(folder))
        print("\n".join(results.machine.values()), flush=True)
        _Run(folder, cores, options, results).all()
    results.write(KEPT)
    if set(PARTS) <= set(options.only):
        _write(results, options.into)
    else:
        print("\nThis was no whole run: RESULTS.md and plots/ are left as they were.")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count (default 7)")
    parser.add_argument(
        "--requests", type=int, default=12_000, help="callbacks in a round (default 12000)"
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure (default all)"
    )
    parser.add_argument(
        "--into", type=Path, default=HERE, help="folder of RESULTS.md and plots/ (default bench/)"
    )
    parser.add_argument(
        "--draw", action="store_true", help="write them anew from what the last run found"
    )
    return parser.parse_args()


def _write(results: Results, folder: Path) -> None:
    """Write page and plots. Matplotlib takes a second to load, and only this needs it."""
    from . import plots

    plots.draw(results, folder / "plots")
    page.write(results, folder / "RESULTS.md")
    print(f"\nwritten: {folder / 'RESULTS.md'}, {folder / 'plots'}")


class _Run:
    """One run, part by part; each part has servers and stores of its own."""

    def __init__(
        self, folder: Path, cores: Cores, options: argparse.Namespace, results: Results
    ) -> None:
        self._folder, self._cores, self._results = folder, cores, results
        self._rounds: int = options.rounds
        self._requests: int = options.requests
        self._only: Sequence[str] = options.only

    def all(self) -> None:
        """Measure what was asked for, in the order in which one part needs another."""
        parts: Mapping[str, Callable[[], None]] = {
            "rest": self._rest,
            "bare": self._bare,
            "refs": self._refs,
            "latency": self._open_loop,
            "sends": self._sends,
        }
        wanted = {"latency" if part == "overload" else part for part in self._only}
        for name, measure in parts.items():
            if name in wanted:
                measure()

    def _rest(self) -> None:
        self._results.rest = at_rest.measure(self._made("rest"), self._cores)
        print(page.of_rest(self._results.rest), flush=True)

    def _bare(self) -> None:
        source = random.Random(SEED)
        with self._servers("bare", KINDS) as running:
            self._rates(BARE, running, lambda: prepared.of_new_messages(self._requests, source))

    def _refs(self) -> None:
        source = random.Random(SEED)
        size = self._requests // len(prepared.STATUSES)
        with self._servers("refs", KINDS) as running:
            messages = sent.through(running[OURS].process, size * (self._rounds + 1))
            parts = (messages[at : at + size] for at in range(0, len(messages), size))
            self._rates(REFS, running, lambda: prepared.of_sent_messages(next(parts), source))

    def _rates(
        self, path: str, running: Mapping[str, Running], make: Callable[[], Iterator[bytes]]
    ) -> None:
        batches = (make() for _ in range(self._rounds + 1))
        _show_forgeries(running)
        stale: dict[str, int] = {}
        played = list(rounds.play_rounds(running, batches, self._folder, stale))[1:]
        rates = Rates(
            path,
            {name: [each[name] for each in played] for name in running},
            {name: server.process.shared_mib for name, server in running.items()},
            stale,
        )
        self._results.rates[path] = rates
        print(page.of_rates(rates), flush=True)

    def _open_loop(self) -> None:
        kinds = [kind for kind in KINDS if kind.stores]
        stock, told = Stock(random.Random(SEED + 1)), latency.Told()
        with self._servers("open", kinds) as running:
            tops = {name: self._top(name, server, stock, told) for name, server in running.items()}
            if "latency" in self._only:
                self._results.latency = latency.measure(running, tops, stock, told)
                print(page.of_latency(self._results.latency), flush=True)
            if "overload" in self._only:
                self._results.overload = overload.measure(running, tops, stock, told)
                print(page.of_overload(self._results.overload), flush=True)
            latency.judge_all(running, told)

    def _sends(self) -> None:
        with self._servers("top", [KINDS[0]]) as running:
            top = self._top(OURS, running[OURS], Stock(random.Random(SEED + 2)), latency.Told())
        self._results.sends = sends.measure(self._made("sends"), self._cores, top)
        print(page.of_sends(self._results.sends), flush=True)

    def _top(self, name: str, server: Running, stock: Stock, told: latency.Told) -> float:
        """Give the rate that a server takes: as found before, else by two rounds here."""
        if rates := self._results.rates.get(BARE):
            return rates.top(name)
        found = 0.0
        for _ in range(2):  # the first to warm up
            requests = stock.take(name, self._requests)
            prepared.write(requests, self._folder / "requests")
            found = rounds.play(name, server.process, self._folder / "requests").per_second
            told.setdefault(name, []).extend(map(prepared.fact_of, requests))
        return found

    def _made(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(mode=0o755)
        return folder

    @contextmanager
    def _servers(self, part: str, kinds: Sequence[Kind]) -> Iterator[dict[str, Running]]:
        """Run servers for the length of a block, and remove their stores afterwards."""
        folder = self._made(part)
        with ExitStack() as stack:
            api_url = stack.enter_context(simulator(folder, self._cores.load))
            running = {}
            for number, kind in enumerate(kinds):
                place = Place(self._made(f"{part}/{number}"), self._cores.server, api_url)
                running[kind.name] = stack.enter_context(kind.run(place))
            yield running
        shutil.rmtree(folder)


def _show_forgeries(running: Mapping[str, Running]) -> None:
    """Show a forged callback to each that verifies; nothing of it may be kept."""
    for name, server in running.items():
        if not server.kept:
            continue
        status = rounds.ask(server.process, prepared.forged())
        if status != HTTPStatus.FORBIDDEN:
            raise SystemExit(f"bench: {name} answers {status} to a forged callback")


if __name__ == "__main__":
    sys.exit(main())
