"""Refused callbacks: why each kind was refused, found out by search."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
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
LITTLE = 40_000
"""Signatures tried for each at first: whatever is wrong in one place is found by then."""
WITHIN_S = 4.0
_WORD_MAX = 20
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
    kinds, left = _kinds(listed, clues(scene))
    for kind in kinds:
        yield _said(kind, verified_at)
    if left:
        yield _SAY.warning(f"{left} more were refused, and not looked into in the time there is")


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


def _kinds(listed: list[dict[str, Any]], known: Clues) -> tuple[list[_Kind], int]:
    """
    Explain what is *listed*, and bring together what is one mistake; how many were left out, too.

    A little for each at first, by turns of what looks alike, so that a stranger's many hide none
    of Plivo's; then what time is left for the first of each that was not explained.
    """
    ends_s = time.monotonic() + WITHIN_S
    kinds: dict[tuple[str, str], _Kind] = {}
    left, unexplained = 0, []
    for each in _by_turns(listed):
        if time.monotonic() > ends_s:
            left += 1
            continue
        findings = explain(signed_of(each), str(each["reason"]), known, budget=LITTLE).findings
        if findings[0].is_sure:
            _count(kinds, findings, each)
        else:
            unexplained.append((each, findings))
    looked: set[tuple[str, ...]] = set()
    for each, before in unexplained:
        findings = before
        if _looks(each) not in looked and time.monotonic() < ends_s:
            looked.add(_looks(each))
            findings = explain(signed_of(each), str(each["reason"]), known).findings
        _count(kinds, findings, each)
    return sorted(kinds.values(), key=lambda kind: kind.last_at, reverse=True), left


def _count(
    kinds: dict[tuple[str, str], _Kind], findings: Iterable[Finding], refused: dict[str, Any]
) -> None:
    for finding in findings:
        key, at = (finding.mistake, finding.fix), str(refused["received_at"])
        before = kinds.get(key, _Kind(finding, 0, at))
        kinds[key] = _Kind(finding, before.count + 1, max(before.last_at, at))


def _looks(refused: dict[str, Any]) -> tuple[str, ...]:
    """Say what a refused request looks like: two that look alike may have one cause."""
    request = signed_of(refused)
    path = "/".join("REF" if len(part) > _WORD_MAX else part for part in request.path.split("/"))
    families = sorted(name for name in request.headers if name.startswith("x-plivo-"))
    return (str(refused["reason"]), request.method, path, *families)


def _by_turns(listed: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give the first of each look, then the second of each, and so on."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for each in listed:
        groups.setdefault(_looks(each), []).append(each)
    for turn in zip_longest(*groups.values()):
        yield from (each for each in turn if each is not None)


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
