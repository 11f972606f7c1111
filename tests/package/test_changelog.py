"""debian/changelog, made from CHANGELOG.md."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deb.changelog import ChangelogError, debian_changelog
from plivostatusd import __version__
from tests.package.built import ROOT

NOW = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
WHO = "Some Body <body@example.com>"

RELEASED = """\
# Changelog

Words for whoever reads it.

## [Unreleased]

## [0.2.0] - 2026-11-30

### Added
- Something with `code`, told at such a length that it has to go on in the line below the one that
  it began in.
- More.

### Fixed
- A fault.

## [0.1.0] - 2026-11-01

### Added
- The beginning.
"""

DEBIAN = """\
plivostatusd (0.2.0) unstable; urgency=medium

  [ Added ]
  * Something with `code`, told at such a length that it has to go on in the
    line below the one that it began in.
  * More.

  [ Fixed ]
  * A fault.

 -- Some Body <body@example.com>  Mon, 30 Nov 2026 00:00:00 +0000

plivostatusd (0.1.0) unstable; urgency=medium

  [ Added ]
  * The beginning.

 -- Some Body <body@example.com>  Sun, 01 Nov 2026 00:00:00 +0000
"""


def made(text: str, version: str) -> str:
    """Return the Debian changelog for *text*."""
    return debian_changelog(text, version=version, now=NOW, maintainer=WHO)


def test_releases() -> None:
    """Each release is an entry with its own date, its lines folded as Debian does."""
    assert made(RELEASED, "0.2.0") == DEBIAN


def test_what_is_not_released() -> None:
    """Unreleased changes stand on top, under the version that is to be, with the date given."""
    text = RELEASED.replace("## [Unreleased]\n", "## [Unreleased]\n\n### Changed\n- News.\n")
    head, _, rest = made(text, "0.3.0").partition("\n -- ")
    assert head == "plivostatusd (0.3.0) UNRELEASED; urgency=medium\n\n  [ Changed ]\n  * News.\n"
    assert rest.startswith(f"{WHO}  Tue, 01 Dec 2026 09:30:00 +0000\n\nplivostatusd (0.2.0)")


@pytest.mark.parametrize(
    ("text", "version", "problem"),
    [
        (RELEASED, "0.3.0", "newest release is 0.2.0, and __version__ is 0.3.0"),
        (
            RELEASED.replace("## [Unreleased]\n", "## [Unreleased]\n\n### Fixed\n- News.\n"),
            "0.2.0",
            "0.2.0 is released: raise __version__",
        ),
        ("# Changelog\n", "0.1.0", "has no entry"),
        ("## [0.1.0]\n\n### Added\n- It.\n", "0.1.0", "is not '## [VERSION] - YYYY-MM-DD'"),
        ("## 0.1.0 - 2026-11-01\n", "0.1.0", "is not '## [VERSION] - YYYY-MM-DD'"),
        ("## [Unreleased] - 2026-11-01\n", "0.1.0", "is not '## [VERSION] - YYYY-MM-DD'"),
    ],
)
def test_two_stories(text: str, version: str, problem: str) -> None:
    """A version that does not fit the changelog is refused, with what to change."""
    with pytest.raises(ChangelogError) as caught:
        made(text, version)
    assert problem in str(caught.value)


def test_ours(tmp_path: Path) -> None:
    """Debian's own parser reads what is made of CHANGELOG.md, and every item is in it."""
    source = (ROOT / "CHANGELOG.md").read_text("utf-8")
    changelog = tmp_path / "changelog"
    changelog.write_text(made(source, __version__))
    done = subprocess.run(
        ["dpkg-parsechangelog", "--all", "-l", changelog],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert f"\nVersion: {__version__}\n" in done.stdout
    items = sum(line.startswith("- ") for line in source.splitlines())
    assert items == sum(line.startswith("   * ") for line in done.stdout.splitlines())
