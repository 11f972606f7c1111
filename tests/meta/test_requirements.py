"""The locked lists in requirements/ say what is installed, all of it, and agree with each other."""

from __future__ import annotations

import configparser
import re
from importlib.metadata import requires

import pytest
from packaging.markers import Marker

from tests.meta.source import ROOT

LISTS = ("runtime", "build", "test", "api", "bench")


def pins(name: str) -> dict[str, str]:
    """Return version and marker of each package of a list, with its hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return dict(line.split("==", 1) for line in lines)


def is_for_here(pin: str) -> bool:
    """Say whether a pin is for this interpreter and machine; some are for others alone."""
    marker = pin.partition(";")[2].partition("--hash")[0]
    return not marker or Marker(marker).evaluate()


@pytest.mark.parametrize("name", LISTS)
def test_every_pin_has_hashes(name: str) -> None:
    """Nothing is installed whose content is not known beforehand."""
    for package, rest in pins(name).items():
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", rest), package


def test_lists_agree() -> None:
    """The tests run with the very files that the daemon is run with, and some more."""
    everything = pins("test")
    for name in ("runtime", "build"):
        for package, rest in pins(name).items():
            assert rest.split() == everything[package].split(), package
    for name in ("api", "bench"):
        for package, rest in pins(name).items():
            ours = everything.get(package, rest)
            assert ours.split()[0] == rest.split()[0], package


def test_every_dependency_is_locked() -> None:
    """Each dependency in setup.cfg is in the run-time list."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    wanted = settings["options"]["install_requires"].split("\n")
    names = {line.split()[0] for line in wanted if line and not line.startswith("#")}
    assert names
    assert set() == names - set(pins("runtime"))


def test_extras_are_pinned_as_such() -> None:
    """A dependency that is asked for with an extra is locked with it, or old pips pass the pin."""
    everything = pins("test")
    names = {name.partition("[")[0] for name, pin in everything.items() if is_for_here(pin)}
    wanted = {
        match[0]
        for name in names
        for line in requires(name) or ()
        if (match := re.match(r"[\w.-]+\[[\w,-]+\]", line)) and "extra ==" not in line
    }
    assert wanted
    assert set() == {each for each in wanted if each.partition("[")[0] in names} - set(everything)
