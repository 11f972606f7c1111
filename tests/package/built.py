"""
Building the package as `make deb` does, and looking into it with dpkg's own tools.

`make test` has built both before; then this finds them there. Nothing here uses the network.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator
from email import message_from_string
from email.message import Message
from functools import cache, cached_property
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parents[2]
ARCHITECTURES = ("amd64", "arm64")


def build(arch: str, **environ: str) -> Path:
    """Run packaging/build-deb, and return the package that it leaves."""
    done = subprocess.run(
        [ROOT / "packaging" / "build-deb"],
        cwd=ROOT,
        env={**os.environ, "ARCH": arch, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@cache
def native_architecture() -> str:
    """Return Debian's name of this machine's architecture."""
    done = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


class Package:
    """One .deb: what it says of itself, what is in it, and the same unpacked."""

    def __init__(self, path: Path, unpacked: Path) -> None:
        self.path = path
        self.arch = path.stem.rpartition("_")[2]
        self.wheels = ROOT / "build" / "wheels" / self.arch
        self._unpacked = unpacked

    @cached_property
    def control(self) -> Message:
        """The fields of control."""
        return message_from_string(_dpkg_deb("--field", self.path).decode())

    @cached_property
    def root(self) -> Path:
        """The package's files, unpacked without being installed."""
        _dpkg_deb("--extract", self.path, self._unpacked)
        return self._unpacked

    @cached_property
    def members(self) -> dict[str, tarfile.TarInfo]:
        """What the package installs, by its path without the first slash."""
        with tarfile.open(fileobj=BytesIO(_dpkg_deb("--fsys-tarfile", self.path))) as archive:
            return {each.name.removeprefix("./"): each for each in archive}

    def scripts(self) -> Path:
        """Unpack what dpkg keeps for itself, the maintainer scripts among it."""
        target = self._unpacked.with_name("control")
        if not target.exists():
            _dpkg_deb("--control", self.path, target)
        return target

    def text(self, name: str) -> str:
        """Return what an installed file says."""
        return (self.root / name).read_text("utf-8")

    def compiled(self) -> Iterator[Path]:
        """Give every compiled module."""
        yield from sorted(self.root.rglob("*.so"))


def _dpkg_deb(*arguments: str | Path) -> bytes:
    command = ["dpkg-deb", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True).stdout
