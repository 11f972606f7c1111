"""Plivo's API: is it reached, are the credentials good, and does our clock agree with Plivo's."""

from __future__ import annotations

from collections.abc import Iterator

from plivostatusd.ctl.doctor.check import Check, Named
from plivostatusd.ctl.doctor.scene import Scene

NAME = "credentials"
CLOCK = "clock"
_SAY, _CLOCK = Named(NAME), Named(CLOCK)
_SET_CLOCK = "timedatectl set-ntp true; timedatectl timesync-status"
AHEAD_S_WORTH_SAYING = 5.0
AHEAD_S_MAX = 60.0
"""Half of what matching a lost send with Plivo's list allows for (two minutes)."""


def credentials(scene: Scene) -> Iterator[Check]:
    """Say how Plivo takes the account's id and token."""
    answer = scene.plivo()
    config = scene.config
    if config is None or answer.is_unasked:
        yield _SAY.warning(f"not tried: {answer.why}", "sudo plivostatusctl doctor")
        return
    where = config.plivo.api_url
    if answer.status is None:
        yield _SAY.fault(f"{where} cannot be reached: {answer.why}", f"curl -v {where}/")
    elif answer.status == 200:  # noqa: PLR2004 - HTTP's OK
        yield _SAY.ok(f"{where} takes {config.plivo.auth_id} and its token")
    else:
        yield _refused(answer.status, where)


def _refused(status: int, where: str) -> Check:
    console = "compare plivo.auth_id and the first token with Plivo's console"
    said = f"{where} answers {status}"
    if status in {401, 404}:
        return _SAY.fault(f"{said}: account or token is wrong", console)
    if status == 402:  # noqa: PLR2004 - HTTP's Payment Required
        return _SAY.fault(f"{said}: no credit", "add credit in Plivo's console")
    if status == 403:  # noqa: PLR2004 - HTTP's Forbidden
        return _SAY.fault(
            f"{said}: is this host in the account's list of allowed addresses?", console
        )
    return _SAY.warning(f"{said}: try again in a minute", f"curl -v {where}/")


def clock(scene: Scene) -> Iterator[Check]:
    """Compare our clock with the Date of Plivo's answer."""
    ahead_s = scene.plivo().ahead_s
    if ahead_s is None:
        yield _CLOCK.warning("not compared: Plivo's API gave no time", _SET_CLOCK)
        return
    word = "ahead of" if ahead_s > 0 else "behind"
    said = f"{abs(ahead_s):.0f} s {word} Plivo's"
    if abs(ahead_s) > AHEAD_S_MAX:
        yield _CLOCK.fault(said, _SET_CLOCK)
    elif abs(ahead_s) > AHEAD_S_WORTH_SAYING:
        yield _CLOCK.warning(said, _SET_CLOCK)
    else:
        yield _CLOCK.ok("it agrees with Plivo's")
