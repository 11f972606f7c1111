"""The daemon: does it answer, and can it work."""

from __future__ import annotations

from collections.abc import Iterator

from plivostatusd.ctl.doctor.check import Check, Named
from plivostatusd.ctl.doctor.scene import Scene
from plivostatusd.ctl.errors import CtlError, Refused

NAME = "daemon"
_SAY = Named(NAME)


def check(scene: Scene) -> Iterator[Check]:
    """Ask it what it is, and what it waits for."""
    told = scene.daemon()
    if isinstance(told, Refused):
        yield _SAY.warning(f"it answers, and does not tell: {told.detail}", told.hint)
        return
    if isinstance(told, CtlError):
        start = "systemctl start plivostatusd; journalctl -u plivostatusd -n 20"
        yield _SAY.fault(told.detail, start)
        return
    ready = told.get("ready") or {}
    faults = {name: fault for name, fault in ready.items() if fault and name not in _ELSEWHERE}
    for name, fault in faults.items():
        yield _SAY.fault(
            f"not ready: {name}: {fault}", "journalctl -u plivostatusd -p warning -n 20"
        )
    if not faults:
        yield _SAY.ok(f"it runs (process {told.get('pid')}) and is ready")


_ELSEWHERE = ("spool empty", "disk free")
