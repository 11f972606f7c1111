"""The documents: what they tell a reader to type is understood, and what they link to is there."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from plivostatusd import __main__ as daemon
from plivostatusd.check import options as check
from plivostatusd.config import SETTINGS
from plivostatusd.config.table import SECTIONS
from plivostatusd.ctl.commands import SUMMARIES, command
from plivostatusd.ctl.errors import UsageError
from plivostatusd.ctl.options import read_command, read_common
from plivostatusd.simulator import command as simulator
from tests.meta.documents import DOCS, TEXTS, anchors, links, typed, words
from tests.meta.source import ROOT

# The map speaks of modules; the others speak of what was, too.
_OTHERS = {"ARCHITECTURE.md", "CHANGELOG.md", "DECISIONS.md"}
MANUALS = [path for path in TEXTS if path.name not in _OTHERS]

# What stands in capitals in a command line, and what somebody may type in its place.
PLACEHOLDERS = {
    "ID": "0192f0c8-6f7a-7cc0-8f5e-2d5d3f0a9b11",
    "UUID": "0192f0c8-6f7a-7cc0-8f5e-2d5d3f0a9b11",
    "NUMBER": "+14155552323",
    "CODE": "30",
    "…": "7d",
    "COMMAND": "list",
}


def understood(program: str, line: str) -> int:
    """Read a command line as the program would, and give the exit status for it."""
    given = [PLACEHOLDERS.get(word, word) for word in shlex.split(line)]
    try:
        if program == "plivostatusd":
            daemon.parser().parse_args(given)
        elif program == "check_plivostatus":
            check.read(given)
        else:
            _read_ctl(given)
    except SystemExit as ended:  # --help and --version, too
        return int(ended.code or 0)
    except UsageError as error:
        sys.stderr.write(error.line())
        return error.exit_status
    return 0


def _read_ctl(given: list[str]) -> None:
    if len(given) == 1 and given[0] in SUMMARIES:
        return  # it is spoken of, and what it wants besides is another matter
    options = read_common(given, version="")
    if options.command == "simulate":
        simulator.parser().parse_args(options.rest)
    else:
        read_command(command(options.command), options)


def named(path: Path) -> str:
    """Name a document as it is found."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MANUALS, ids=named)
def test_commands(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command line of ours in a document is one that the program understands."""
    for program, line in typed(path.read_text("utf-8")):
        status = understood(program, line)
        assert not status, f"{program} {line}: {capsys.readouterr().err}"


def test_commands_are_found() -> None:
    """The reader of documents finds what is typed, in blocks and in sentences."""
    block = "plivostatusd -t && ls | plivostatusctl x -\n2 3 * * * plivostatusctl y >z\n"
    text = f"Type `sudo plivostatusctl hold`:\n\n```sh\n{block}```\n"
    assert sorted(typed(text)) == [
        ("plivostatusctl", "hold"),
        ("plivostatusctl", "x -"),
        ("plivostatusctl", "y"),
        ("plivostatusd", "-t"),
    ]


@pytest.mark.parametrize("path", [each for each in TEXTS if each.suffix == ".md"], ids=named)
def test_links(path: Path) -> None:
    """Every link within the project leads to a file that is there, and to a heading of it."""
    for file, anchor in links(path):
        target = path if not file else path.parent / file
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), f"{file}#{anchor}"


@pytest.mark.parametrize("path", MANUALS, ids=named)
def test_settings(path: Path) -> None:
    """A setting that a document names is one that there is."""
    names = {row.name for row in SETTINGS}
    sections = "|".join(SECTIONS)
    for word in words(path.read_text("utf-8")):
        for name in re.findall(rf"^(?:{sections})\.[a-z_]+(?= =|$)", word):
            assert name in names, word


def test_readme_leads_to_every_document() -> None:
    """Whoever begins with README.md finds all of docs/."""
    linked = {file for file, _ in links(ROOT / "README.md")}
    assert {f"docs/{path.name}" for path in DOCS.glob("*.md")} <= linked


def test_every_command_is_somewhere() -> None:
    """README.md or docs/ name every command of plivostatusctl."""
    texts = [ROOT / "README.md", *DOCS.glob("*.md")]
    said = {
        line.split()[0]
        for path in texts
        for program, line in typed(path.read_text("utf-8"))
        if program == "plivostatusctl"
    }
    assert set() == SUMMARIES.keys() - said
