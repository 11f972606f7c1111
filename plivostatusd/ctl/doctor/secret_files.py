"""The files that hold secrets: closed to others."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from plivostatusd.config import Config
from plivostatusd.config.tokens import STORED
from plivostatusd.ctl.doctor.check import Check, Named
from plivostatusd.ctl.doctor.scene import Scene
from plivostatusd.ctl.doctor.tokens import token_file

NAME = "secret files"
_SAY = Named(NAME)


def check(scene: Scene) -> Iterator[Check]:
    """Look at each file and its folder."""
    config = scene.config
    files = [STORED / "auth_token", STORED / "api_token"]
    if config is not None:
        files = [*_files(config, scene.config_path)]
    found = [check for file in dict.fromkeys(files) for check in _one(file)]
    looked = [file for file in files if _is_there(file)]
    if found:
        yield from found
    elif looked:
        yield _SAY.ok(f"{len(looked)} looked at, each closed to other users")
    else:
        yield _SAY.ok("none to be seen from here")


def _files(config: Config, path: Path) -> Iterator[Path]:
    if config.plivo.auth_token:
        yield path
    yield token_file(config)
    if config.plivo.main_auth_token_file:
        yield config.plivo.main_auth_token_file
    yield config.api.token_file or STORED / "api_token"


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:
        return False


def _one(file: Path) -> Iterator[Check]:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except FileNotFoundError:
        return
    except OSError:
        yield _SAY.warning(f"{file} cannot be looked at by this user", "sudo plivostatusctl doctor")
        return
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        yield _SAY.fault(f"{file} is open to every user ({mode:04o})", f"chmod 0600 {file}")
    elif mode & stat.S_IWGRP:
        yield _SAY.warning(f"{file} is writable for its group ({mode:04o})", f"chmod g-w {file}")
    folder = file.parent
    try:
        if stat.S_IMODE(folder.stat().st_mode) & stat.S_IWOTH and not _is_sticky(folder):
            yield _SAY.fault(f"{folder} is writable for every user", f"chmod o-w {folder}")
    except OSError:
        return


def _is_sticky(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_ISVTX)
