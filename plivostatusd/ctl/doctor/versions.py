"""Versions: is what runs what is installed, and is what it stands on new enough."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plivostatusd import __version__
from plivostatusd.ctl.doctor.check import Check, Named
from plivostatusd.ctl.doctor.command import said
from plivostatusd.ctl.doctor.scene import Scene

NAME = "versions"
_SAY = Named(NAME)
NGINX_LEAST = (1, 22)


def check(scene: Scene) -> Iterator[Check]:
    """Compare."""
    told = scene.told
    running = told.get("version")
    if running and running != __version__:
        yield _SAY.warning(
            f"version {running} runs, and {__version__} is installed",
            "systemctl restart plivostatusd",
        )
    nginx = _nginx(scene)
    if nginx and nginx < NGINX_LEAST:
        spelt = ".".join(map(str, nginx))
        yield _SAY.warning(f"Nginx {spelt} is older than the site is made for", "apt upgrade")
    if not (running and running != __version__):
        beside = f", Python {told['python']}, SQLite {told['sqlite']}" if told else ""
        ours = f", Nginx {'.'.join(map(str, nginx))}" if nginx else ""
        yield _SAY.ok(f"plivostatusd {__version__}{beside}{ours}")


def _nginx(scene: Scene) -> tuple[int, ...] | None:
    told = said(scene.run.options.nginx, "-v")
    match = re.search(r"nginx/(\d+)\.(\d+)", told.err)
    return (int(match[1]), int(match[2])) if match else None
