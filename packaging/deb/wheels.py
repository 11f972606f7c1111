"""
The wheels that the package is made of: which, for which Pythons, and where they are kept.

    python -m deb.wheels ARCH

downloads into build/wheels/ARCH what requirements/runtime.txt locks, by hash, and nothing when it
is there already. The one step of building that needs the network.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

PYTHONS: Final = ("3.11", "3.13")
"""Debian 12's and Debian 13's. `Depends:` in debian/control admits these and no other."""

MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
"""Debian's name of each architecture there is a package for, and that of the wheels."""

GLIBC_MAX: Final = "2.28"
"""The newest C library that a wheel may ask for; debian/control depends on it."""

_ROOT: Final = Path(__file__).parents[2]
# Every spelling of "a C library no newer than that" which a wheel may bear.
_MANYLINUX: Final = ("manylinux2014", "manylinux_2_17", "manylinux_2_24", "manylinux_2_28")


def folder(arch: str) -> Path:
    """Return where the wheels for *arch* are kept."""
    return _ROOT / "build" / "wheels" / arch


def ready(wheels: Path, lock: Path) -> list[Path]:
    """
    Return the wheels in the folder *wheels*, sorted.

    Raises:
        FileNotFoundError: they are not what *lock* names; the text is the command to type.
    """
    if not _is_fresh(wheels, lock):
        raise FileNotFoundError(f"{wheels} is not what {lock} locks; type: packaging/setup-dev deb")
    return sorted(wheels.glob("*.whl"))


def fetch(arch: str) -> None:
    """Download the wheels for *arch*, for all Pythons; all of them, or it raises."""
    lock = _ROOT / "requirements" / "runtime.txt"
    if _is_fresh(folder(arch), lock):
        return
    made = folder(arch).with_name(f"{arch}.new")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    for python in PYTHONS:
        subprocess.run(_download(arch, python, lock, made), check=True)  # noqa: S603 - pip, by us
    _stamp(made).write_text(_digest(lock))
    shutil.rmtree(folder(arch), ignore_errors=True)
    made.rename(folder(arch))


def _download(arch: str, python: str, lock: Path, target: Path) -> list[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    command += ["download", "-qq", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    command += ["--dest", str(target), "--requirement", str(lock)]
    command += ["--implementation", "cp", "--python-version", python]
    for abi in (f"cp{python.replace('.', '')}", "abi3", "none"):
        command += ["--abi", abi]
    for system in _MANYLINUX:
        command += ["--platform", f"{system}_{MACHINES[arch]}"]
    return command


def _is_fresh(wheels: Path, lock: Path) -> bool:
    stamp = _stamp(wheels)
    return stamp.exists() and stamp.read_text() == _digest(lock)


def _stamp(wheels: Path) -> Path:
    return wheels / "stamp"


def _digest(lock: Path) -> str:
    said = "\n".join([*PYTHONS, *_MANYLINUX, lock.read_text()])
    return hashlib.sha256(said.encode()).hexdigest()


def main() -> int:
    """Run the command."""
    if len(sys.argv) != len(("deb.wheels", "ARCH")) or sys.argv[1] not in MACHINES:
        sys.stderr.write(f"usage: python -m deb.wheels {'|'.join(MACHINES)}\n")
        return 64
    fetch(sys.argv[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
