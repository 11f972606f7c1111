"""
The command line: options that stand before or after the command, and errors in one line.

argparse ends with 2 and prints its usage over a bad command line; here that is exit 64 (sysexits)
and one sentence. Options are never abbreviated, so that a new one can break no script.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from plivostatusd.ctl.commands import SUMMARIES, Command
from plivostatusd.ctl.errors import UsageError

PROGRAM = "plivostatusctl"
_WIDTH = 79
_HELP_COLUMN = 26
ABOUT = "Send messages through plivostatusd and see what became of them."
EXITS = """\
Exit status: 0 good; 1 not found, refused or failed; 64 wrong command line; 69 the
daemon cannot be reached. 'send' ends with 0 once the message is recorded (nothing
may repeat it then), 1 when it was refused, 69 when no answer told whether it was
recorded, and 75 only when nothing was recorded and it may be tried again.

With --json, errors are one JSON object a line on standard error.
"""


class Help(argparse.RawDescriptionHelpFormatter):
    """Help of one width everywhere; asking for the terminal's would cost an import of shutil."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=_HELP_COLUMN, width=_WIDTH)


class Parser(argparse.ArgumentParser):
    """An argparse parser that raises `UsageError` where argparse would print and exit."""

    def __init__(self, prog: str, *, usage: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog,
            usage=f"{prog} [OPTIONS] {usage}".rstrip(),
            description=description,
            epilog=epilog or None,
            formatter_class=Help,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise what was wrong with the command line."""
        raise UsageError(
            f"{self.prog.removeprefix(PROGRAM).strip()}: {message}".lstrip(": "),
            hint=f"See {self.prog} --help",
        )


def read_common(words: Sequence[str], *, version: str) -> argparse.Namespace:
    """
    Read what stands before the command; `command` and the untouched `rest` come back with it.

    Raises:
        UsageError: the command line is wrong.
        SystemExit: after `--help` or `--version` was printed.
    """
    listed = "\n".join(f"  {name:<10} {summary}" for name, summary in SUMMARIES.items())
    parser = common_parser(version=version, about=f"{ABOUT}\n\ncommands:\n{listed}")
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if not options.words:
        parser.error("a command is wanted: " + ", ".join(SUMMARIES))
    options.command, *options.rest = options.words
    return options


def read_command(command: Command, options: argparse.Namespace) -> argparse.Namespace:
    """
    Read what stands after the command, on top of what stood before it.

    Raises:
        UsageError: the command line is wrong.
        SystemExit: after `--help` was printed.
    """
    parser = command_parser(options.command, command)
    parser.parse_intermixed_args(options.rest, options)
    if options.socket and options.url:
        parser.error("--socket and --url exclude each other")
    if options.json and "csv" in options and options.csv:
        parser.error("--json and --csv exclude each other")
    return options


def common_parser(*, version: str, about: str = ABOUT) -> Parser:
    """Make the parser of what stands before the command, without the command."""
    parser = Parser(PROGRAM, usage="COMMAND ...", description=about, epilog=EXITS)
    add_common(parser)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {version}")
    return parser


def command_parser(name: str, command: Command) -> Parser:
    """Make the parser of what stands after the command called *name*."""
    parser = Parser(
        f"{PROGRAM} {name}", usage=command.WORDS, description=(command.__doc__ or "").strip()
    )
    add_common(parser)
    command.add_arguments(parser)
    return parser


def add_csv(parser: argparse.ArgumentParser) -> None:
    """Declare `--csv`, for commands whose result is a table."""
    parser.add_argument("--csv", action="store_true", help="write CSV, with a line of titles")


def add_common(parser: argparse.ArgumentParser) -> None:
    """Declare the options that every command takes."""
    group = parser.add_argument_group("where the daemon is")
    group.add_argument("--socket", metavar="PATH", help="the local API's Unix socket")
    group.add_argument("--url", metavar="URL", help="the local API over TCP, http://HOST:PORT")
    group.add_argument("--token-file", metavar="FILE", help="holds the token to show over TCP")
    group.add_argument(
        "-c", dest="config", metavar="FILE", help="the daemon's configuration, to find its API"
    )
    parser.add_argument("--json", action="store_true", help="write JSON")
