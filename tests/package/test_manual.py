"""The manual: every option, command and setting is in it, and its sources are good scdoc."""

from __future__ import annotations

import re
import subprocess
from itertools import product
from typing import get_args

import pytest

from deb import manual
from plivostatusd import __main__ as daemon
from plivostatusd.check import verdict
from plivostatusd.check.measures import MEASURES
from plivostatusd.config import SETTINGS
from plivostatusd.ctl import options as ctl
from plivostatusd.ctl.commands import SUMMARIES
from plivostatusd.ctl.errors import DONE, FAILED, INTERRUPTED, TRY_AGAIN, UNAVAILABLE, USAGE
from plivostatusd.domain.statuses import Trust
from tests.package.built import ROOT

PAGES = (
    "check_plivostatus.1",
    "plivostatusctl.1",
    "plivostatusd.conf.5",
    "plivostatusd-webhook.7",
    "plivostatusd.8",
)


def shown(name: str) -> str:
    """Return the page as a reader sees it, in lines that are never folded."""
    source = (ROOT / "packaging" / "man" / f"{name}.scd").read_text("utf-8")
    text = manual.page(name, source)
    page = subprocess.run(["scdoc"], input=text, capture_output=True, text=True, check=True).stdout
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-rLL=4000n", "-P-bcou"],
        input=page,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.replace("\u2010", "-").replace("\u2212", "-").replace("\u2019", "'")


@pytest.mark.parametrize("name", PAGES)
def test_pages(name: str) -> None:
    """Each page is made without complaint, names its subject, and leaves no mark unfilled."""
    text = shown(name)
    assert re.search(rf"^NAME\n +{re.escape(name.rpartition('.')[0])} - ", text, re.MULTILINE)
    assert not re.search("@[A-Z]+@", text)


def test_there_are_no_other_pages() -> None:
    """No page is left out of these tests."""
    assert {f"{name}.scd" for name in PAGES} == {
        path.name for path in (ROOT / "packaging" / "man").iterdir()
    }


def test_every_setting() -> None:
    """plivostatusd.conf(5) says of each setting what it is, its values and its default."""
    text = shown("plivostatusd.conf.5")
    for row in SETTINGS:
        said = re.search(rf"^ {{7}}{row.key}\n((?: {{11}}.*\n)+)", text, re.MULTILINE)
        assert said, row.name
        assert " ".join(row.about.split()[:4]) in text
        assert f"Value: {row.kind.expected}." in text
        assert not row.default or f"Default: {row.default}." in text, row.name


@pytest.mark.parametrize("name", ["plivostatusd.8", "plivostatusctl.1", "check_plivostatus.1"])
def test_every_option(name: str) -> None:
    """Each page of a program has every option of it, with its explanation."""
    text = shown(name)
    for action in manual.arguments(manual.parser_of(name)):
        spelled = re.escape(", ".join(action.option_strings))
        assert re.search(rf"^ +{spelled}\b", text, re.MULTILINE)


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_command(name: str) -> None:
    """plivostatusctl(1) has each command, every option of its own, and an example of it."""
    text = shown("plivostatusctl.1")
    said = re.search(rf"^   {name}\b.*\n((?:(?:    .*)?\n)+)", text, re.MULTILINE)
    assert said, name
    examples = text.partition("\nEXAMPLES\n")[2]
    assert re.search(rf"plivostatusctl {name}\b", examples), "there is no example of it"
    parser, _ = manual.command_parser(name)
    common = {*ctl.common_parser(version="")._option_string_actions}
    for action in manual.arguments(parser):
        if action.option_strings and action.option_strings[-1] not in common:
            assert re.search(rf"^ {{7}}.*{action.option_strings[-1]}\b", said[1], re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        (
            "plivostatusd.8",
            (
                *(daemon.OK, daemon.USAGE, daemon.UNAVAILABLE),
                *(daemon.SOFTWARE, daemon.CONFIGURATION),
            ),
        ),
        (
            "plivostatusctl.1",
            (DONE, FAILED, USAGE, UNAVAILABLE, TRY_AGAIN, INTERRUPTED),
        ),
        (
            "check_plivostatus.1",
            (verdict.OK, verdict.WARNING, verdict.CRITICAL, verdict.UNKNOWN),
        ),
    ],
)
def test_every_exit_status(name: str, statuses: tuple[int, ...]) -> None:
    """Each page of a program says what each exit status of it means."""
    text = shown(name).partition("\nEXIT STATUS\n")[2]
    for status in statuses:
        assert re.search(rf"^ {{7}}{status}\n {{11}}\w", text, re.MULTILINE), status


def test_trust_and_headers() -> None:
    """plivostatusd-webhook(7) explains each grade of trust and each header of a signature."""
    text = shown("plivostatusd-webhook.7")
    for trust in get_args(Trust):
        assert re.search(rf"^ {{7}}{trust}\n {{11}}\w", text, re.MULTILINE), trust
    for family, whose in product(("V2", "V3"), ("", "Ma-")):
        assert f"X-Plivo-Signature-{whose}{family} " in text
        assert f"X-Plivo-Signature-{family}-Nonce" in text


def test_every_check() -> None:
    """check_plivostatus(1) explains whatever --check takes."""
    text = shown("check_plivostatus.1")
    for name in MEASURES:
        assert re.search(rf"^ {{7}}{name}\n {{11}}\w", text, re.MULTILINE), name


def test_escapes() -> None:
    """What scdoc would take for its own notation is shown as it stands."""
    text = "a_b *c* \\d [--e] #f ~g `h` |i <j> .k -l"
    source = f"x(1)\n\n# NAME\n\n{manual.escaped(text)}\n"
    page = subprocess.run(
        ["scdoc"], input=source, capture_output=True, text=True, check=True
    ).stdout
    done = subprocess.run(
        ["groff", "-man", "-Tascii", "-P-bcou"],
        input=page,
        capture_output=True,
        text=True,
        check=True,
    )
    assert text in done.stdout
