"""The completions, sourced and asked by the shells that they are for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deb import completion
from deb.manual import arguments, command_parser
from plivostatusd.ctl.commands import SUMMARIES

CTL = "plivostatusctl"
CHECK = "check_plivostatus"


@pytest.fixture(params=completion.PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    """Return each program in turn."""
    return str(request.param)


def offered(tmp_path: Path, *words: str) -> list[str]:
    """Return what bash offers for the last of *words*."""
    script = tmp_path / "completion"
    script.write_text(completion.script(words[0], "bash"))
    function = f"_shtab_{words[0]}"
    ask = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"\n'
        f'{function} "$1" "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"\n'
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", ask, "bash", script, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_commands(tmp_path: Path) -> None:
    """The first word of plivostatusctl is one of its commands."""
    assert offered(tmp_path, CTL, "re") == ["release", "reconcile", "rebuild", "replay"]


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_command(tmp_path: Path, name: str) -> None:
    """Each command is offered, and behind it every option that its parser takes."""
    assert name in offered(tmp_path, CTL, name[:1])
    parser, _ = command_parser(name)
    long = {flag for action in arguments(parser) for flag in action.option_strings}
    assert {flag for flag in long if flag.startswith("--")} <= {
        *offered(tmp_path, CTL, name, "--"),
    }


def test_values(tmp_path: Path) -> None:
    """Where an option takes one of a few words, these are offered."""
    assert offered(tmp_path, CTL, "stats", "--per", "c") == ["country", "carrier"]
    assert offered(tmp_path, CHECK, "--check", "un") == ["unknown-sends"]


def test_options_of_a_command(tmp_path: Path) -> None:
    """A command's own options are offered behind it, and another's are not."""
    assert offered(tmp_path, CTL, "send", "--dlt-e") == ["--dlt-entity-id"]
    assert offered(tmp_path, CTL, "list", "--dlt-e") == []
    assert offered(tmp_path, CTL, "simulate", "--pa") == ["--paging"]


def test_options_before_the_command(tmp_path: Path) -> None:
    """What every command takes is offered before it as well."""
    assert offered(tmp_path, CTL, "--so") == ["--socket"]
    assert offered(tmp_path, "plivostatusd", "--re") == ["--restore"]


def test_files(tmp_path: Path) -> None:
    """Where an option wants a file, files are offered."""
    (tmp_path / "backup.db").touch()
    assert offered(tmp_path, "plivostatusd", "--restore", "back") == ["backup.db"]
    assert offered(tmp_path, CTL, "backup", "back") == ["backup.db"]
    assert offered(tmp_path, CTL, "replay", "--cursor-file", "back") == ["backup.db"]
    assert offered(tmp_path, CHECK, "--textfile", "back") == ["backup.db"]


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_shells_can_read_it(tmp_path: Path, program: str, shell: str) -> None:
    """Each script is good syntax for its shell, and names the program's options."""
    script = tmp_path / "completion"
    script.write_text(completion.script(program, shell))
    subprocess.run([shell, "-n", script], check=True)
    assert "--version" in script.read_text()
