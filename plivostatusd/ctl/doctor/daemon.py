"""The daemon: does it answer, and can it work."""

from __future__ import annotations

from collections.abc import Iterator

from plivostatusd.ctl.doctor.check import Check, Named
from plivostatusd.ctl.doctor.scene import Scene
from plivostatusd.ctl.errors import CtlError, Refused
from plivostatusd.ctl.target import USUAL_SOCKET

NAME = "daemon"
_SAY = Named(NAME)


def check(scene: Scene) -> Iterator[Check]:
    """Ask it what it is, and what it waits for."""
    told = scene.daemon()
    if isinstance(told, Refused):
        yield _SAY.warning(f"it answers, and does not tell: {told.detail}", _fix(scene, told.hint))
        return
    if isinstance(told, CtlError):
        start = "systemctl start plivostatusd; journalctl -u plivostatusd -n 20"
        yield _SAY.fault(told.detail, start)
        return
    ready = told.get("ready") or {}
    faults = {name: fault for name, fault in ready.items() if fault and name not in _ELSEWHERE}
    if told.get("held") and faults.get(_OUTBOX) == told["held"]:
        del faults[_OUTBOX]
        yield _SAY.warning(
            f"it hands nothing to Plivo: {told['held']}",
            "plivostatusctl list --status pending, then plivostatusctl release",
        )
    for name, fault in faults.items():
        yield _SAY.fault(
            f"not ready: {name}: {fault}", "journalctl -u plivostatusd -p warning -n 20"
        )
    if not faults:
        yield _SAY.ok(f"it runs (process {told.get('pid')}) and takes callbacks and sends")


_OUTBOX = "outbox moving"


def _fix(scene: Scene, hint: str) -> str:
    """Without a Unix socket nobody is an operator, whatever they type."""
    config = scene.config
    by_socket = bool(scene.run.client.address.socket)
    if by_socket or config is None or any(each.is_unix for each in config.api.listen):
        return hint
    listed = ", ".join(map(str, config.api.listen))
    return f"[api] listen = {listed}, unix:{USUAL_SOCKET}"


_ELSEWHERE = ("spool empty", "disk free")
