"""The spool: callbacks that SQLite has not taken yet."""

from __future__ import annotations

from collections.abc import Iterator

from plivostatusd.ctl.doctor.check import Check, Named
from plivostatusd.ctl.doctor.scene import Scene

NAME = "spool"
_SAY = Named(NAME)


def check(scene: Scene) -> Iterator[Check]:
    """Ask the daemon, or count the files."""
    told = scene.told
    if not told:
        yield from _from_outside(scene)
        return
    records = int(told.get("spool_records") or 0)
    why = (told.get("ready") or {}).get("spool empty")
    if why:
        yield _SAY.fault(why, "journalctl -u plivostatusd -g 'batch_failed|spool' -n 20")
    elif records:
        yield _SAY.warning(
            f"{records} callbacks in it cannot be read or drained",
            "journalctl -u plivostatusd -g spool -n 20",
        )
    else:
        yield _SAY.ok("empty")


def _from_outside(scene: Scene) -> Iterator[Check]:
    config = scene.config
    if config is None:
        yield _SAY.warning("not looked at")
        return
    folder = config.store.path.parent / "spool"
    try:
        files = [each for each in folder.iterdir() if each.is_file() and "reserve" not in each.name]
        size = sum(each.stat().st_size for each in files)
    except FileNotFoundError:
        yield _SAY.ok("none yet")
    except OSError as error:
        yield _SAY.warning(f"{folder} cannot be looked at: {error.strerror}")
    else:
        yield _SAY.ok(
            f"{size:,} bytes in {len(files)} files; what is in them is drained at the start"
        )
