"""
The package in two versions: as it was built, and one that comes later.

The later one is the same package taken apart and put together again, with what a release may
bring: a higher version, one more migration of the store, and changes in the files of `/etc`.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from plivostatusd.store.database import migrations
from tests.package.built import build, native_architecture

CONF_NEWS = "# What the later version has to say of its settings."
SITE_NEWS = "# What the later version has to say of its site."
_MIGRATIONS = "usr/lib/plivostatusd/plivostatusd/store/migrations"
_MIGRATION = "CREATE TABLE what_comes_later (x INTEGER) STRICT;\n"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the package."""

    deb: Path
    version: str
    schema: int


def built() -> Version:
    """Return the package as `make deb` leaves it."""
    deb = build(native_architecture())
    return Version(deb, _dpkg_deb("--field", str(deb), "Version").strip(), len(migrations()))


def later(than: Version, folder: Path) -> Version:
    """Make a later version in *folder*."""
    tree = folder / "tree"
    _dpkg_deb("--raw-extract", str(than.deb), str(tree))
    new = Version(folder / "later.deb", f"{than.version}+later1", than.schema + 1)
    _replace(tree / "DEBIAN/control", f"Version: {than.version}\n", f"Version: {new.version}\n")
    _replace(tree / "etc/plivostatusd/plivostatusd.conf", "\n", f"\n{CONF_NEWS}\n")
    _replace(tree / "etc/nginx/sites-available/plivostatusd", "\n", f"\n{SITE_NEWS}\n")
    (tree / _MIGRATIONS / f"{new.schema:04}.sql").write_text(_MIGRATION)
    # dpkg verifies no sums when it installs; the file would tell of the former content.
    (tree / "DEBIAN/md5sums").unlink()
    _dpkg_deb("-Znone", "--root-owner-group", "--build", str(tree), str(new.deb))
    return new


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path} does not say {old!r}"
    path.write_text(text.replace(old, new, 1))


def _dpkg_deb(*arguments: str) -> str:
    done = subprocess.run(["dpkg-deb", *arguments], capture_output=True, text=True, check=True)
    return done.stdout
