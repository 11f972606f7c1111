"""The command line of `check_plivostatus`, with the option letters that all plug-ins share."""

from __future__ import annotations

import argparse
from pathlib import Path

from plivostatusd.check import ranges
from plivostatusd.check.measures import MEASURES
from plivostatusd.ctl.options import Parser
from plivostatusd.ctl.since import moment

PROGRAM = "check_plivostatus"
READY = "ready"
TIMEOUT_S = 10.0
_TIMEOUT_S_MAX = 600.0
_ABOUT = """\
Check plivostatusd: by default whether it is ready for callbacks and sends.

With -w or -c, what --check names is held against them. A RANGE is 10 (alert below 0 or
above 10), 10: (below 10), ~:10 (above 10), 10:20 (outside) or @10:20 (inside).
"""
_EXITS = """\
Exit status: 0 OK; 1 WARNING; 2 CRITICAL, also when the daemon cannot be reached;
3 UNKNOWN: the command line is wrong, or the daemon wants a token.
"""


def parser() -> Parser:
    """Make the parser."""
    made = Parser(PROGRAM, usage="", description=_ABOUT, epilog=_EXITS)
    made.add_argument("-V", "--version", action="store_true", help="show the version, then exit")
    made.add_argument(
        "-v",
        "--verbose",
        action="count",
        help="taken, as by every plug-in; there is no more to say",
    )
    where = made.add_argument_group("where the daemon is (by default as its configuration says)")
    where.add_argument("--socket", metavar="PATH", help="the local API's Unix socket")
    where.add_argument("--url", metavar="URL", help="the local API over TCP, http://HOST:PORT")
    where.add_argument("--token-file", metavar="FILE", help="holds the token to show over TCP")
    where.add_argument("--config", metavar="FILE", help="the daemon's configuration")
    made.add_argument(
        "--check",
        choices=(READY, *MEASURES),
        default=READY,
        help="what to check: " + ", ".join((READY, *MEASURES)) + f" ({READY})",
    )
    made.add_argument(
        "-w", "--warning", type=_range, metavar="RANGE", help="warn outside of this range"
    )
    made.add_argument(
        "-c", "--critical", type=_range, metavar="RANGE", help="critical outside of this range"
    )
    made.add_argument(
        "--since",
        type=moment,
        default="24h",
        metavar="WHEN",
        help="delivery-ratio: of messages not older than 30m, 2h, 7d, or RFC 3339 (24h)",
    )
    made.add_argument(
        "-t",
        "--timeout",
        type=_timeout,
        default=TIMEOUT_S,
        metavar="SECONDS",
        help=f"give up after so long ({TIMEOUT_S:g})",
    )
    made.add_argument(
        "--textfile",
        type=Path,
        metavar="PATH",
        help="write the daemon's metrics there, for node_exporter's textfile collector",
    )
    return made


def read(words: list[str]) -> argparse.Namespace:
    """
    Read the command line.

    Raises:
        UsageError: it makes no sense.
        SystemExit: after `--help` was printed.
    """
    made = parser()
    options = made.parse_args(words)
    if options.socket and options.url:
        made.error("--socket and --url exclude each other")
    is_judging = options.warning is not None or options.critical is not None
    if is_judging and options.check == READY:
        made.error("-w and -c want --check " + "|".join(MEASURES))
    if options.textfile and (is_judging or options.check != READY):
        made.error("--textfile checks nothing else")
    return options


def _range(text: str) -> ranges.Range:
    try:
        return ranges.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _timeout(text: str) -> float:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _TIMEOUT_S_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {_TIMEOUT_S_MAX:g}")
    return float(text)
