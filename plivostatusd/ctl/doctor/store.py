"""The store: whole, of what size, and how much disk is left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plivostatusd.ctl.doctor.check import Check, Named
from plivostatusd.ctl.doctor.scene import Scene
from plivostatusd.ctl.errors import CtlError

NAME = "store"
_STORE, _DISK = Named(NAME), Named("disk")
_STEP = 1024
_MIB = _STEP * _STEP
WAL_BYTES_MAX = 256 * _MIB
"""The log is cut to 16 MiB at each checkpoint; far more means that some reader never ends."""
FREE_BYTES_FEW = 512 * _MIB


def check(scene: Scene) -> Iterator[Check]:
    """Have the daemon look it over; without it, only from outside."""
    if not scene.told:
        yield from _from_outside(scene)
        return
    told = scene.asked("/doctor/store")
    if isinstance(told, CtlError):
        yield _STORE.warning(f"the daemon does not tell of it: {told.detail}", told.hint)
        return
    yield _integrity(told)
    yield from _log(told)
    yield from _disk(told.get("free_bytes"), int(told.get("free_bytes_min") or 0), told["path"])


def _integrity(told: dict[str, Any]) -> Check:
    path, size = told["path"], _size(told.get("bytes"))
    if told.get("fault"):
        fix = told.get("fix") or f"plivostatusd --restore {path} --salvage, with the daemon stopped"
        return _STORE.fault(f"{path}: {told['fault']}", fix)
    if not told.get("finished"):
        return _STORE.ok(f"{path}, {size}: sound as far as it could be looked over in time")
    return _STORE.ok(f"{path}, {size}: sound")


def _log(told: dict[str, Any]) -> Iterator[Check]:
    if (told.get("wal_bytes") or 0) > WAL_BYTES_MAX:
        yield _STORE.warning(
            f"its write-ahead log has grown to {_size(told['wal_bytes'])}: a reader never ends",
            f"fuser -v {told['path']}",
        )


def _disk(free: int | None, least: int, path: str) -> Iterator[Check]:
    look = f"df -h {Path(path).parent}"
    if free is None:
        yield _DISK.warning("nobody can say how much of it is free", look)
    elif free < least:
        yield _DISK.fault(f"{_size(free)} free, and the daemon wants {_size(least)}", look)
    elif free < FREE_BYTES_FEW:
        yield _DISK.warning(f"{_size(free)} free", look)
    else:
        yield _DISK.ok(f"{_size(free)} free")


def _from_outside(scene: Scene) -> Iterator[Check]:
    """The file is opened by nobody but the daemon: files of root's would lock it out."""
    config = scene.config
    if config is None:
        yield _STORE.warning("not looked at: neither daemon nor configuration say where it is")
        return
    path = config.store.path
    try:
        size = path.stat().st_size
        status = os.statvfs(path.parent)
    except FileNotFoundError:
        yield _STORE.ok(f"{path} is not there yet; the first start makes it")
        return
    except OSError as error:
        yield _STORE.warning(f"{path} cannot be looked at: {error.strerror}")
        return
    yield _STORE.ok(f"{path}, {_size(size)}; not looked over, as the daemon is not asked")
    yield from _disk(status.f_bavail * status.f_frsize, config.store.spool_reserve, str(path))


def _size(size: int | None) -> str:
    if size is None:
        return "of unknown size"
    shown, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if shown < _STEP:
            break
        shown, unit = shown / _STEP, larger
    return f"{shown:.0f} {unit}" if unit == "B" else f"{shown:.1f} {unit}"
