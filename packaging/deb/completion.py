"""
Completions of the commands for bash and zsh, made by shtab from the parsers themselves.

plivostatusctl reads its command line in two steps, for the sake of its start-up time; here the
commands' parsers hang under one, as shtab wants it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Final

import shtab

from deb.manual import arguments, command_parser
from plivostatusd import __main__ as daemon
from plivostatusd.check import options as check
from plivostatusd.ctl import options as ctl
from plivostatusd.ctl.commands import SUMMARIES

SHELLS: Final = ("bash", "zsh")
PROGRAMS: Final = ("plivostatusd", ctl.PROGRAM, check.PROGRAM)
_FILES: Final = {"FILE", "PATH"}


def script(program: str, shell: str) -> str:
    """Return what *shell* sources to complete the words of *program*."""
    make = {"plivostatusd": daemon.parser, ctl.PROGRAM: _whole, check.PROGRAM: check.parser}
    parser = make[program]()
    _say_which_are_files(arguments(parser))
    return str(shtab.complete(parser, shell))


def _whole() -> argparse.ArgumentParser:
    """Return plivostatusctl's parser with a parser for each command below it."""
    parser = argparse.ArgumentParser(ctl.PROGRAM, description=ctl.ABOUT)
    ctl.add_common(parser)
    parser.add_argument("--version", action="store_true", help="show the version")
    below = parser.add_subparsers(dest="command")
    for name, summary in SUMMARIES.items():
        made, _ = command_parser(name)
        _say_which_are_files(arguments(made))
        made.description = summary
        below.add_parser(name, help=summary, description=summary, parents=[made], add_help=False)
    return parser


def _say_which_are_files(actions: Iterable[argparse.Action]) -> None:
    for action in actions:
        if action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
