"""The sandbox: is the daemon confined as its unit is shipped."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plivostatusd.ctl.doctor.check import Check, Named
from plivostatusd.ctl.doctor.command import said
from plivostatusd.ctl.doctor.scene import Scene

NAME = "sandbox"
_SAY = Named(NAME)
_UNIT = "plivostatusd.service"
_WANTED = {"NoNewPrivileges": ("yes",), "ProtectSystem": ("strict",), "PrivateTmp": ("yes",)}
_SHOWN = ("LoadState", "MainPID", "DropInPaths", *_WANTED)


def check(scene: Scene) -> Iterator[Check]:
    """Look at the unit's settings where it runs the daemon, and at the process itself."""
    told = scene.told
    if told.get("uid") == 0:
        yield _SAY.warning(
            "the daemon runs as root", "run it by the package's unit: systemctl start plivostatusd"
        )
        return
    shown = said("systemctl", "show", _UNIT, f"--property={','.join(_SHOWN)}")
    settings = dict(line.split("=", 1) for line in shown.out.splitlines() if "=" in line)
    if shown.status != 0 or settings.get("LoadState") != "loaded":
        yield _SAY.ok("no unit of systemd runs it: nothing to look at")
        return
    if told and settings.get("MainPID") != str(told.get("pid")):
        yield _SAY.warning("the daemon that answers is not the unit's", f"systemctl status {_UNIT}")
        return
    loose = [name for name, good in _WANTED.items() if settings.get(name) not in good]
    if loose:
        where = settings.get("DropInPaths") or "the unit"
        yield _SAY.warning(
            f"{', '.join(loose)} is not as shipped (see {where})", f"systemctl cat {_UNIT}"
        )
    else:
        yield _SAY.ok(f"the unit confines it as shipped{_exposure()}")


def _exposure() -> str:
    """Give the mark that systemd itself sets, from 0 (safe) to 10, where it sets one."""
    told = said("systemd-analyze", "security", "--no-pager", _UNIT)
    match = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told.out)
    return f" (exposure {match[1]} of 10)" if match else ""
