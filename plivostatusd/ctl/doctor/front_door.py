"""The front door: a signed probe by public_url, which the daemon sends to itself."""

from __future__ import annotations

from collections.abc import Iterator

from plivostatusd.ctl.by_hand import do
from plivostatusd.ctl.doctor.check import Check, Named
from plivostatusd.ctl.doctor.scene import Scene
from plivostatusd.ctl.errors import CtlError

NAME = "front door"
_SAY = Named(NAME)


def check(scene: Scene) -> Iterator[Check]:
    """Have a probe sent, and say how it ended."""
    if not scene.told:
        yield _SAY.warning("not probed: the daemon does that, and is not asked")
        return
    scene.wait_for_nginx()
    try:
        told = do(scene.run, "/doctor/probe")
    except CtlError as error:
        yield _SAY.warning(f"not probed: {error.detail}", error.hint)
        return
    if told.get("successful"):
        yield _SAY.ok(str(told.get("found")))
    elif not told.get("reachable"):
        yield _SAY.warning(str(told.get("found")), str(told.get("fix")))
    else:
        yield _SAY.fault(str(told.get("found")), str(told.get("fix")))
