"""The configuration: is it good, and is it what the daemon goes by."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from plivostatusd.config import Config, ConfigError, Loaded
from plivostatusd.ctl.doctor.check import Check, Named
from plivostatusd.ctl.doctor.scene import Scene
from plivostatusd.ctl.doctor.tokens import keys_of, not_loaded

NAME = "configuration"
_SAY = Named(NAME)
_CLOSED = "may not be read by this user"
"""As config/file.py says it of a file that is there: no fault of the configuration's."""


def check(scene: Scene) -> Iterator[Check]:
    """Read it as `plivostatusd -t` does, and compare it with what is in force."""
    path = scene.config_path
    test = shlex.join(["plivostatusd", "-t", "-c", str(path)])
    if path.exists() and not os.access(path, os.R_OK):
        yield _SAY.warning(f"{path} may not be read by this user", "sudo plivostatusctl doctor")
        return
    loaded = scene.loaded()
    if isinstance(loaded, ConfigError):
        if any(_CLOSED in problem.found for problem in loaded.problems):
            yield _SAY.warning(
                f"{path} names files that this user may not read", "sudo plivostatusctl doctor"
            )
            return
        count = len(loaded.problems)
        more = f" (and {count - 1} more)" if count > 1 else ""
        yield _SAY.fault(f"{loaded.problems[0]}{more}", test)
        return
    for warning in loaded.warnings:
        yield _SAY.warning(str(warning), test)
    if not loaded.warnings:
        yield _SAY.ok(f"{path} is good")
    yield from _in_force(scene, loaded)


def _in_force(scene: Scene, loaded: Loaded) -> Iterator[Check]:
    told = scene.told
    if not told:
        return
    if told.get("config") != str(scene.config_path.absolute()):
        yield _SAY.warning(
            f"the daemon goes by {told.get('config')}",
            f"plivostatusctl -c {told.get('config')} doctor",
        )
        return
    if not told.get("config_good", True):
        yield _SAY.fault(
            "the daemon refused it at the last reload and goes by what it had before",
            "systemctl reload plivostatusd",
        )
    changed = list(_changed(told, loaded.config))
    if changed:
        yield _SAY.warning(
            f"the daemon goes by another {' and '.join(changed)}: it was changed since",
            "systemctl restart plivostatusd",
        )


def _changed(told: dict[str, object], config: Config) -> Iterator[str]:
    if told.get("public_urls") != list(config.callbacks.public_url):
        yield "callbacks.public_url"
    if told.get("minimum_trust") != config.callbacks.minimum_trust:
        yield "callbacks.minimum_trust"
    keys = [key.fingerprint for key in keys_of(config)]
    if keys and (told.get("tokens") != keys or any(not_loaded(config, set(keys)))):
        yield "token"
