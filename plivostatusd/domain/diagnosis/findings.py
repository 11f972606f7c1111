"""
From what verifies to words: the mistake by name, what was found, and the one line to change.

Pure. No sentence holds a token, a number, a ref or a query.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from plivostatusd.domain.diagnosis.search import BUDGET, search
from plivostatusd.domain.diagnosis.urls import BARE, SERVED, Url
from plivostatusd.domain.signature import V3, offers_v3

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from plivostatusd.domain.diagnosis.clues import Clues
    from plivostatusd.domain.diagnosis.search import Match
    from plivostatusd.domain.signature import Signed

_OF_V2: Final = ("-v2", "-v2-nonce")
_TAIL: Final = re.compile(rf"(?P<prefix>.*?)(?P<ours>{SERVED.pattern})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One mistake: its slug, what was found, and what to change.

    It *is_sure* when a signature proved it; else it is the likeliest of what cannot be told apart.
    """

    mistake: str
    found: str
    fix: str
    is_sure: bool = True


@dataclass(frozen=True, slots=True)
class Explained:
    """Every mistake that one refused callback showed, and how many signatures it took."""

    findings: tuple[Finding, ...]
    tried: int


def explain(request: Signed, reason: str, clues: Clues, *, budget: int = BUDGET) -> Explained:
    """Say why *request* was refused; *reason* is the log's word for it."""
    known = _WITHOUT_SEARCH.get(reason)
    if known is not None and not (reason == "too_weak" and offers_v3(request)):
        return Explained((known,), 0)
    if known is not None:  # V2 verifies, so what is to be explained is V3
        request = replace(request, headers=_without_v2(request.headers))
    searched = search(request, clues, budget=budget)
    match = searched.match
    if match is None:
        return Explained((_unproved(request, clues),), searched.tried)
    findings = [*_about_way(match, request, clues), *_about_key(match)]
    findings += about_url(match.url, request, clues)
    return Explained(tuple(findings) or (_mended_since(reason),), searched.tried)


_WITHOUT_SEARCH: Final = {
    "too_weak": Finding(
        "too-weak",
        "only V2 signs it, and callbacks.minimum_trust = full refuses that",
        "[callbacks] minimum_trust = url-only",
    ),
    "unknown_ref": Finding(
        "unknown-ref",
        "it is genuine, on the path of a message that this store does not know: was it restored,"
        " or does another daemon send with this public_url?",
        "nothing, for a restored store; else give each daemon a public_url of its own",
    ),
    "replay": Finding(
        "replay",
        "its nonce came before with another request, and only V2 signs it: a replay, or a proxy"
        " that changes requests on the way",
        "plivostatusctl reconcile, which asks Plivo what is true",
    ),
}


def _without_v2(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if not name.endswith(_OF_V2)}


def _mended_since(reason: str) -> Finding:
    if reason == "malformed_nonce":
        return Finding(
            "nonce-malformed",
            "its signature verifies, and its nonce is not as Plivo's are",
            "look at what stands between Plivo and here: something writes the nonce header anew",
        )
    return Finding(
        "mended",
        "it verifies with what is configured now: it was refused before that changed",
        "nothing; if it was changed and not reloaded: systemctl restart plivostatusd",
    )


# Which header, rule and nonce


def _about_way(match: Match, request: Signed, clues: Clues) -> Iterator[Finding]:
    way = match.way
    if way.is_mended:
        yield Finding(
            "header-changed",
            f"something on the way rewrites the {way.family} signature header",
            "look for a firewall or proxy before Nginx that decodes headers, and switch that off",
        )
    if way.rule != way.family:
        yield Finding(
            "wrong-rule",
            f"the {way.family} header holds a signature made by {way.rule}'s rule",
            "sign as Plivo's SDK does; Plivo itself never signs so",
        )
    elif way.nonce_of != way.family:
        yield Finding(
            "nonce-lost",
            f"the header X-Plivo-Signature-{way.family}-Nonce is lost or changed on the way",
            f"remove what sets or clears X-Plivo-Signature-{way.family}-Nonce in Nginx"
            " (proxy_set_header), and let proxy_pass_request_headers be on",
        )
    if way.rule == V3 and way.query != request.query:
        was_added = request.query is not None and len(request.query) > len(way.query or "")
        what = "adds a query to what Plivo called" if was_added else "drops the query"
        yield Finding(
            "query-added" if was_added else "query-dropped", f"Nginx {what}", _PASS.format(clues)
        )


# Which token


def _about_key(match: Match) -> Iterator[Finding]:
    if match.suspect is not None:
        yield Finding(match.suspect.mistake, match.suspect.found, match.suspect.fix)


# Which URL

_PASS: Final = "in Nginx: location /plivo/ {{ proxy_pass http://{0.upstream}; }}"  # noqa: S105 - no password
_CUT: Final = "in Nginx: location {1}/plivo/ {{ proxy_pass http://{0.upstream}/plivo/; }}"


def about_url(url: Url, request: Signed, clues: Clues) -> Iterator[Finding]:
    """Compare the URL that Plivo signed with what arrived, and with what is configured."""
    match = _TAIL.fullmatch(url.path)
    if match is None:
        yield _not_ours(url, clues)
        return
    prefix, ours = match["prefix"], match["ours"]
    if ours != request.path:
        yield _rewritten(prefix, ours, request.path, clues)
    base = url.origin + prefix
    if base not in clues.public_urls:
        yield _not_configured(Url(url.scheme, url.host, url.port, prefix), ours, clues)


def _not_ours(url: Url, clues: Clues) -> Finding:
    """Plivo was given a path that this daemon does not serve, however it arrived."""
    right = f"give Plivo the URL {clues.public_urls[0]}/plivo/status"
    bare = url.path.rstrip("/")
    if bare != url.path and SERVED.search(bare):
        return Finding(
            "trailing-slash", f"Plivo calls {_shown(url)}, with a slash at the end", right
        )
    if SERVED.search(unquote(url.path)):
        return Finding(
            "percent-encoding",
            f"Plivo calls {_shown(url)}, which spells the path with escapes",
            right,
        )
    return Finding("path-unknown", f"Plivo calls {_shown(url)}, which is not served", right)


def _rewritten(prefix: str, ours: str, arrived: str, clues: Clues) -> Finding:
    """Nginx passed on another path than Plivo called."""
    plain = _PASS.format(clues) if not prefix else _CUT.format(clues, prefix)
    shown = f"Plivo calls {_hidden(prefix + ours)}, and {_hidden(arrived)} arrives"
    if prefix and arrived == prefix + ours:
        return Finding("prefix-kept", f"Nginx passes the prefix {prefix} on: {shown}", plain)
    if arrived.rstrip("/") == ours:
        return Finding("trailing-slash", f"Nginx adds a slash at the end: {shown}", plain)
    if ours.endswith(arrived) or ours.removeprefix("/plivo") == arrived:
        return Finding("path-stripped", f"Nginx takes /plivo away: {shown}", plain)
    if arrived.endswith(ours):
        return Finding("prefix-added", f"Nginx puts something before the path: {shown}", plain)
    if unquote(arrived) == unquote(ours):
        return Finding("percent-encoding", f"Nginx re-spells the path: {shown}", plain)
    return Finding("path-rewritten", f"Nginx rewrites the path: {shown}", plain)


def _not_configured(signed: Url, path: str, clues: Clues) -> Finding:
    """
    The path is right, and what stands before it is not in callbacks.public_url.

    Where it is one message's path, we gave it to Plivo ourselves: it was configured once, and goes
    behind what is configured now. Any other was typed by somebody, and is proved to lead here.
    """
    known = [url for url in map(Url.of, clues.public_urls) if url]
    nearest = min(known, key=lambda url: len(_differences(url, signed)))
    found = f"Plivo calls {signed}, and callbacks.public_url says {nearest}"
    named = _differences(nearest, signed)
    is_former = path != BARE
    urls = [*clues.public_urls, str(signed)] if is_former else [str(signed), *clues.public_urls]
    return Finding(
        "+".join(named),
        f"{found}: another {' and '.join(_WORDS[name] for name in named)}",
        f"[callbacks] public_url = {', '.join(urls)}",
    )


_WORDS: Final = {
    "scheme": "scheme",
    "host": "host",
    "port": "port",
    "prefix": "path before /plivo/",
    "percent-encoding": "spelling (escapes)",
}


def _differences(url: Url, other: Url) -> list[str]:
    parts = ("scheme", "host", "port")
    names = [part for part in parts if getattr(url, part) != getattr(other, part)]
    if url.path != other.path:
        same = unquote(url.path) == unquote(other.path)
        names.append("percent-encoding" if same else "prefix")
    return names


# Nothing verifies


def _unproved(request: Signed, clues: Clues) -> Finding:
    """Name what is likeliest when no candidate verifies."""
    borne = [name for name in request.headers if name.startswith("x-plivo-signature")]
    signed = [name for name in borne if not name.endswith("-nonce")]
    if signed and not any(name.endswith("-nonce") for name in borne):
        return Finding(
            "nonce-lost",
            "it bears signatures and no nonce: something on the way drops that header",
            "remove what clears X-Plivo-Signature-V2-Nonce and -V3-Nonce in Nginx",
            is_sure=False,
        )
    if signed and all("-ma-" in name for name in signed):
        return Finding(
            "main-token",
            "it is signed for the main account alone (Ma), and no token here verifies it",
            "[plivo] main_auth_token_file = FILE, with the main account's token in it",
            is_sure=False,
        )
    if not any("-v2" in name for name in signed) and clues.is_full_wanted:
        return Finding(
            "body-changed",
            "V2 verifies its URL, and V3 does not verify what it says: the body or the query was"
            " changed on the way",
            _PASS.format(clues),
            is_sure=False,
        )
    count = len(clues.keys)
    return Finding(
        "unexplained",
        f"none of {count} token{'s' if count != 1 else ''} signed any likely URL of it: another"
        " account's token, a new one at Plivo, a body changed on the way, or no callback at all",
        "compare the Auth Token in Plivo's console with plivo.auth_token_file; if it was renewed,"
        " put the new one on the first line and keep the old one below",
        is_sure=False,
    )


def _shown(url: Url) -> str:
    return url.origin + _hidden(url.path)


def _hidden(path: str) -> str:
    """Leave a message's ref out of *path*: it is a secret between Plivo and us."""
    return re.sub(r"[0-9A-Za-z_-]{20,}", "REF", path)
