"""
The parts of the manual pages that are made from the program: settings, options, commands.

Pure. The pages' sources are packaging/man/*.scd; a line @SETTINGS@, @OPTIONS@ or @COMMANDS@ in
them stands for what is made here, in scdoc(5)'s notation.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable, Iterator

from plivostatusd import __main__ as daemon
from plivostatusd.check import options as check
from plivostatusd.config import Setting
from plivostatusd.config.setting import rows
from plivostatusd.config.table import SECTIONS
from plivostatusd.ctl import options as ctl
from plivostatusd.ctl.commands import SUMMARIES, command
from plivostatusd.simulator import command as simulator


def page(name: str, source: str) -> str:
    """Return the page *name* (`plivostatusd.8`) with its made parts in it."""
    made = {"@SETTINGS@": settings, "@COMMANDS@": commands, "@OPTIONS@": _options_of(name)}
    for mark, make in made.items():
        if mark in source:
            source = source.replace(mark, make().rstrip("\n"))
    return source


def settings() -> str:
    """Describe every setting of the table, by section."""
    parts = []
    for section, declared in SECTIONS.items():
        parts.append(f"## [{section}]\n\n{escaped(' '.join((declared.__doc__ or '').split()))}")
        parts += [_setting(row) for row in rows(section, declared)]
    return "\n\n".join(parts) + "\n"


def options(parser: argparse.ArgumentParser) -> str:
    """Describe every option and argument of *parser*."""
    return "\n".join(_option(action) for action in arguments(parser)) + "\n"


def commands() -> str:
    """Describe every command of plivostatusctl, with the options that are its own."""
    common = {_name(action) for action in arguments(ctl.common_parser(version=""))}
    parts = []
    for name in SUMMARIES:
        parser, words = command_parser(name)
        parts += [f"## {name} {words}".strip(), _prose(parser.description or "")]
        parts += [_option(each) for each in arguments(parser) if _name(each) not in common]
    return "\n\n".join(parts) + "\n"


def command_parser(name: str) -> tuple[argparse.ArgumentParser, str]:
    """Return the parser of plivostatusctl's command *name*, and what stands behind the name."""
    if name == "simulate":
        return simulator.parser(), ""
    module = command(name)
    return ctl.command_parser(name, module), module.WORDS


def arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield what *parser* takes, less --help and what is not shown."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public list of them
        hidden = action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction)  # noqa: SLF001 - no public name either
        if not hidden:
            yield action


def escaped(text: str) -> str:
    """Write *text* so that scdoc shows it as it is."""
    return re.sub(r"([\\*_<>#~`\[\]|.-])", r"\\\1", text)


def parser_of(name: str) -> argparse.ArgumentParser:
    """Return the parser of the program that the page *name* is about."""
    if name == "plivostatusd.8":
        return daemon.parser()
    if name == "check_plivostatus.1":
        return check.parser()
    return ctl.common_parser(version="")


def _options_of(name: str) -> Callable[[], str]:
    return lambda: options(parser_of(name))


def _setting(row: Setting) -> str:
    said = f"Required. {row.about}" if row.is_required else row.about
    lines = [said if row.is_reloadable else f"{said} Takes effect after a restart."]
    lines.append(f"Value: {row.kind.expected}.")
    if row.default:
        lines.append(f"Default: {row.default}.")
    if row.sample:
        lines.append(f"Example: {row.key} = {row.sample}")
    return f"*{escaped(row.key)}*\n\t" + "++\n".join(map(escaped, lines))


def _option(action: argparse.Action) -> str:
    return f"{_spelling(action)}\n\t{escaped(_help(action))}\n"


def _name(action: argparse.Action) -> str:
    return action.option_strings[-1] if action.option_strings else action.dest


def _spelling(action: argparse.Action) -> str:
    value = _value(action)
    if not action.option_strings:
        return f"_{escaped(value)}_"
    flags = ", ".join(f"*{escaped(flag)}*" for flag in action.option_strings)
    return f"{flags} _{escaped(value)}_" if action.nargs != 0 else flags


def _value(action: argparse.Action) -> str:
    if isinstance(action.metavar, str):
        return action.metavar
    return "|".join(map(str, action.choices)) if action.choices else action.dest.upper()


def _help(action: argparse.Action) -> str:
    if isinstance(action, argparse._VersionAction):  # noqa: SLF001 - argparse names it no other way
        return "show the version, then exit"
    return (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")


def _prose(text: str) -> str:
    """Show paragraphs as such, and what is indented as it is written."""
    shown = []
    for paragraph in text.strip().split("\n\n"):
        if paragraph.startswith(" "):
            shown.append(f"```\n{textwrap.dedent(paragraph)}\n```")
        else:
            shown.append(escaped(" ".join(paragraph.split())))
    return "\n\n".join(shown)
