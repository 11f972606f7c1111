"""
Root file systems of Debian 12 and 13, made once by mmdebstrap and kept in build/.

Owns build/rootfs-SUITE-DIGEST, where the digest is of all that it was made of but the mirror's
packages themselves; an older recipe's is deleted when a new one is made. Half a minute each, the
only part of these tests that uses the network. The package under test is not in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.package.built import ROOT

SUITES = {"bookworm": 12, "trixie": 13}

# What a Debian server has, what the package recommends, and what else the walks type.
INCLUDE = (
    *("systemd", "systemd-sysv", "dbus", "python3", "procps", "iproute2", "adduser"),
    *("nginx", "curl", "ca-certificates", "openssl", "ssl-cert"),
    *("needrestart", "unattended-upgrades"),
)
_MADE_BY = ("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase")


class CannotBoot(AssertionError):
    """What these tests are about cannot be done here; the sentence says what to do."""


@cache
def root_of(suite: str) -> Path:
    """
    Return the root file system of *suite*, made now unless it is there.

    Raises `CannotBoot`.
    """
    recipe = [*_MADE_BY, f"--include={','.join(INCLUDE)}", suite]
    digest = hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:12]
    root = ROOT / "build" / f"rootfs-{suite}-{digest}"
    root.parent.mkdir(exist_ok=True)
    with (root.parent / f"rootfs-{suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            _make(recipe, root, suite)
    return root


def _make(recipe: list[str], root: Path, suite: str) -> None:
    for old in root.parent.glob(f"rootfs-{suite}-*"):
        shutil.rmtree(old)
    unfinished = root.with_name(f"{root.name}-unfinished")
    done = subprocess.run(
        [*recipe, unfinished, _mirror()], capture_output=True, text=True, check=False
    )
    if done.returncode:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise CannotBoot(f"mmdebstrap could not make {suite}:\n{done.stderr}")
    unfinished.rename(root)


def _mirror() -> str:
    """Return Debian's mirror, as this machine's own sources have it."""
    form = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(SUITE) $(COMPONENT)"]
    wanted = ["Created-By: Packages", "Origin: Debian", "Component: main"]
    done = subprocess.run([*form, *wanted], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        uri, suite, _ = line.split()
        if suite.partition("-")[2] == "" and "security" not in uri:
            return uri
    raise CannotBoot("no mirror of Debian in this machine's apt sources: type apt-get update")


def check_host() -> None:
    """
    Look whether this machine can boot another.

    Raises `CannotBoot`.
    """
    if os.geteuid() != 0:
        raise CannotBoot("booting systemd in a container wants root: sudo make test")
    for program in ("systemd-nspawn", "mmdebstrap", "nsenter", "unshare", "setpriv"):
        if shutil.which(program) is None:
            raise CannotBoot(f"there is no {program} here: type packaging/setup-dev test, as root")
