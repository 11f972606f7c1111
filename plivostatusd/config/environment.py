"""
Settings from the environment: `PLIVOSTATUSD_<SECTION>_<KEY>`.

Pure: reads the mapping that it is given. Which foreign `PLIVOSTATUSD_...` variables are judged: a
variable that names one of our sections, or that comes close to one of our variables, is a problem
when it is none of them (an override that silently does nothing is worse). Any other is somebody
else's and left alone, as are the addresses that container hosts set for a service of our name
(`PLIVOSTATUSD_SERVICE_HOST`, `PLIVOSTATUSD_API_PORT=tcp://...`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

from plivostatusd.config.problem import Problem
from plivostatusd.config.setting import Setting
from plivostatusd.config.table import SECTIONS, SETTINGS

PREFIX = "PLIVOSTATUSD_"

_OURS: Mapping[str, Setting] = {row.variable: row for row in SETTINGS}
_SECTION_WORDS = tuple(f"{PREFIX}{section.upper()}_" for section in SECTIONS)
_SERVICE_LINK = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP)(_\w+)?)")
_CLOSE = 0.85


def source(variable: str) -> str:
    """Return what a problem gives as the place of a *variable*'s value."""
    return f"environment variable {variable}"


def overrides(environ: Mapping[str, str]) -> Iterator[tuple[Setting, str]]:
    """Yield each setting that *environ* overrides, with its text."""
    for variable, row in _OURS.items():
        if variable in environ:
            yield row, environ[variable].strip(" \t\r\n")


def strangers(environ: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a problem for each variable that means to be a setting and is none."""
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable in _OURS:
            continue
        if _is_service_link(variable, environ[variable]):
            continue
        close = difflib.get_close_matches(variable, _OURS, n=1, cutoff=_CLOSE)
        if close or variable.startswith(_SECTION_WORDS):
            yield _unknown(variable, close or difflib.get_close_matches(variable, _OURS, n=1))


def _is_service_link(variable: str, value: str) -> bool:
    if variable.endswith("_PORT"):
        return value.startswith(("tcp://", "udp://"))
    return _SERVICE_LINK.fullmatch(variable) is not None


def _unknown(variable: str, close: list[str]) -> Problem:
    hint = f"; did you mean {close[0]}?" if close else ""
    return Problem(
        file=source(variable),
        found=f"there is no such setting{hint}",
        expected="" if close else f"{PREFIX}<SECTION>_<KEY>",
    )
