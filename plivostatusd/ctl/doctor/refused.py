"""Refused callbacks: why each kind was refused, found out by search."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from plivostatusd.ctl.client import records
from plivostatusd.ctl.doctor import nginx_site as site
from plivostatusd.ctl.doctor.check import Check, Named
from plivostatusd.ctl.doctor.scene import Scene
from plivostatusd.ctl.doctor.tokens import keys_of, suspects
from plivostatusd.ctl.errors import CtlError
from plivostatusd.ctl.visible import moment
from plivostatusd.domain.diagnosis.clues import Clues
from plivostatusd.domain.diagnosis.findings import Finding, explain
from plivostatusd.domain.signature import Signed

NAME = "callbacks"
_SAY = Named(NAME)
BUDGET = 1_200_000
"""Signatures tried for all of them together: about three seconds of one core."""
FRESH = timedelta(minutes=15)
"""Plivo repeats a callback for seven minutes; what is older may be mended by now."""
_SOFT = {"too-weak", "unknown-ref", "replay", "path-unknown"}


@dataclass(frozen=True, slots=True)
class _Kind:
    """One mistake, and the refused callbacks that showed it."""

    finding: Finding
    count: int
    last_at: str


def check(scene: Scene) -> Iterator[Check]:
    """Explain what is kept."""
    if not scene.told:
        yield _SAY.warning(
            "refused ones are not looked at: the daemon keeps them, and does not tell"
        )
        return
    told, tokens = scene.asked("/doctor/refused"), scene.asked("/tokens")
    if isinstance(told, CtlError) or isinstance(tokens, CtlError):
        yield _SAY.warning("the daemon does not tell of refused ones")
        return
    listed = [each for each in records(told, "refused") if each.get("raw")]
    used = [str(each["last_used_at"]) for each in records(tokens, "tokens") if each["last_used_at"]]
    verified_at = max(used, default="")
    last = (
        f"the last genuine one came at {moment(verified_at)}" if used else "no genuine one came yet"
    )
    if not listed:
        yield _SAY.ok(f"none was refused that may be Plivo's; {last}")
        return
    if scene.config is None or not keys_of(scene.config):
        yield _SAY.warning(
            f"{len(listed)} were refused; who may not read the tokens cannot find out why",
            "sudo plivostatusctl doctor",
        )
        return
    for kind in _kinds(listed, clues(scene)):
        yield _said(kind, verified_at)


def clues(scene: Scene) -> Clues:
    """Gather what a search goes by: settings in force, Nginx's names, tokens wherever they lie."""
    config = scene.config
    assert config is not None
    in_force = set(scene.told.get("tokens") or ())
    known = [key for key in keys_of(config) if not in_force or key.fingerprint in in_force]
    root = scene.nginx().root
    served = [server for _, server in site.servers(root)] if root else []
    names = [name for each in served for line in each.find("server_name") for name in line.words]
    patterns = [each.words[-1] for one in served for each in one.walk() if each.name == "location"]
    hosts = [name for name in names if name.strip("_") and not name.startswith(("~", "*", "."))]
    return Clues(
        public_urls=scene.public_urls(),
        keys=tuple(known),
        suspects=tuple(suspects(config, in_force)),
        hosts=tuple(dict.fromkeys(hosts)),
        prefixes=tuple(dict.fromkeys(_prefixes(patterns))),
        upstream=(scene.listens() or ("127.0.0.1:8787",))[0],
        is_full_wanted=scene.told.get("minimum_trust") == "full",
    )


def _prefixes(patterns: Iterable[str]) -> Iterator[str]:
    """Give what may stand before /plivo/ in Nginx's locations."""
    for pattern in patterns:
        prefix = pattern.partition("/plivo")[0].rstrip("/")
        if prefix.startswith("/") and prefix.isprintable() and not set(prefix) & set("^$()*+?[]\\"):
            yield prefix


def _kinds(listed: list[dict[str, Any]], known: Clues) -> list[_Kind]:
    """Explain each, the newest first, and bring together what is one mistake."""
    kinds: dict[tuple[str, str], _Kind] = {}
    left = BUDGET
    for each in listed:
        if left <= 0:
            break
        explained = explain(signed_of(each), str(each["reason"]), known, budget=min(left, 400_000))
        left -= explained.tried
        for finding in explained.findings:
            key = (finding.mistake, finding.fix)
            before = kinds.get(key)
            at = before.last_at if before else str(each["received_at"])
            kinds[key] = _Kind(finding, before.count + 1 if before else 1, at)
    return list(kinds.values())


def signed_of(refused: dict[str, Any]) -> Signed:
    """Read a refused request as the daemon hands it out."""
    head, _, body = base64.b64decode(refused["raw"]).partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    method, _, target = first.partition(" ")
    path, mark, query = target.partition("?")
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    return Signed(method, path, query if mark else None, headers, body)


def _said(kind: _Kind, verified_at: str) -> Check:
    finding = kind.finding
    count = f"{kind.count} refused, the last at {moment(kind.last_at)}"
    said = f"{count}: {finding.mistake}: {finding.found}"
    if finding.mistake == "mended":
        return _SAY.ok(said)
    is_past = verified_at > kind.last_at and not _is_fresh(kind.last_at)
    if not finding.is_sure or finding.mistake in _SOFT or is_past:
        since = f"; others verified since, at {moment(verified_at)}" if is_past else ""
        return _SAY.warning(said + since, finding.fix)
    return _SAY.fault(said, finding.fix)


def _is_fresh(at: str) -> bool:
    try:
        then = datetime.fromisoformat(at)
    except ValueError:
        return True
    return datetime.now(UTC) - then < FRESH
