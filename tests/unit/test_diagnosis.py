"""Planted mistakes are named right, by the line to change; and what is no mistake is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from plivostatusd.domain.diagnosis.clues import Clues, Suspect, suspects_of
from plivostatusd.domain.diagnosis.findings import Finding, explain
from plivostatusd.domain.signature import Key, Signed
from plivostatusd.simulator import signed_request
from plivostatusd.simulator.options import Signatures

TOKEN, OLD, MAIN = "a-token-of-the-account", "the-token-before-it", "the-main-accounts-token"
HERE = "https://sms.example.com"
REF = "0123456789abcdef0123456789abcdef"
FIELDS = {
    "MessageUUID": "3e82ae9d-2c78-4d85-b1a4-000000000001",
    "Status": "delivered",
    "From": "14155551212",
    "To": "14155552323",
    "ErrorCode": "",
}
OLD_SUSPECT = Suspect(key=Key.of("old", OLD), mistake="old-token", found="it is old", fix="add it")
MAIN_SUSPECT = Suspect(
    key=Key.of("main", MAIN), mistake="main-token", found="it is the main one", fix="name it"
)


def arrived(  # noqa: PLR0913 - each has a default that suits most
    called: str = f"{HERE}/plivo/status",
    target: str = "/plivo/status",
    *,
    token: str | list[str] = TOKEN,
    main_token: str = "",
    method: str = "POST",
    signatures: Signatures = "both",
    change: Callable[[dict[str, str]], Mapping[str, str]] = dict,
) -> Signed:
    """Sign a callback for the URL *called*, and let it arrive as *target*."""
    made = signed_request(
        method, called, FIELDS, token, main_token=main_token or (), signatures=signatures
    )
    path, mark, query = target.partition("?")
    if method == "GET" and not mark:
        query, mark = made.target.partition("?")[2], "?"
    headers = {name.lower(): value for name, value in made.headers.items()}
    return Signed(made.method, path, query if mark else None, dict(change(headers)), made.body)


def clues(*urls: str, **changed: Any) -> Clues:
    """Say what is configured: *urls*, or the usual one, and one token."""
    usual = Clues(public_urls=urls or (HERE,), keys=(Key.of("auth_token 1", TOKEN),))
    return replace(usual, **changed)


def without(*names: str) -> Callable[[dict[str, str]], Mapping[str, str]]:
    """Drop headers."""
    return lambda headers: {name: value for name, value in headers.items() if name not in names}


def findings(request: Signed, known: Clues, reason: str = "mismatch") -> tuple[Finding, ...]:
    """Explain a refusal."""
    return explain(request, reason, known).findings


@dataclass(frozen=True)
class Planted:
    """A mistake: what arrives, what is configured, and what is to be said."""

    request: Signed
    mistakes: str
    fix: str
    known: Clues = field(default_factory=clues)
    reason: str = "mismatch"


PASS = "in Nginx: location /plivo/ { proxy_pass http://127.0.0.1:8787; }"
V3_NONCE, V2_NONCE = "x-plivo-signature-v3-nonce", "x-plivo-signature-v2-nonce"
PLANTED = {
    "http for https": Planted(
        arrived(f"{HERE}/plivo/status"),
        "scheme",
        f"[callbacks] public_url = {HERE}, http://sms.example.com",
        clues("http://sms.example.com"),
    ),
    "another host": Planted(
        arrived("https://www.sms.example.com/plivo/status"),
        "host",
        f"[callbacks] public_url = https://www.sms.example.com, {HERE}",
    ),
    "a host that nginx serves": Planted(
        arrived("https://api.example.org/plivo/status"),
        "host",
        f"[callbacks] public_url = https://api.example.org, {HERE}",
        clues(hosts=("api.example.org",)),
    ),
    "a host that moved": Planted(
        arrived(f"https://old.example.com/plivo/{REF}/status", f"/plivo/{REF}/status"),
        "host",
        f"[callbacks] public_url = {HERE}, https://old.example.com",
        clues(hosts=("old.example.com",)),
    ),
    "another port": Planted(
        arrived(f"{HERE}:8443/plivo/status"),
        "port",
        f"[callbacks] public_url = {HERE}:8443, {HERE}",
    ),
    "the usual port, spelt": Planted(
        arrived(f"{HERE}:443/plivo/status"),
        "port",
        f"[callbacks] public_url = {HERE}:443, {HERE}",
    ),
    "a slash that nginx adds": Planted(
        arrived(target="/plivo/status/"), "trailing-slash", PASS, reason="unknown_path"
    ),
    "a slash that plivo was given": Planted(
        arrived(f"{HERE}/plivo/status/", "/plivo/status/"),
        "trailing-slash",
        f"give Plivo the URL {HERE}/plivo/status",
        reason="unknown_path",
    ),
    "a prefix that nginx strips": Planted(
        arrived(f"{HERE}/sms/plivo/status"),
        "prefix",
        f"[callbacks] public_url = {HERE}/sms, {HERE}",
    ),
    "a prefix that nginx keeps": Planted(
        arrived(f"{HERE}/sms/plivo/{REF}/status", f"/sms/plivo/{REF}/status"),
        "prefix-kept",
        "in Nginx: location /sms/plivo/ { proxy_pass http://127.0.0.1:8787/plivo/; }",
        clues(f"{HERE}/sms"),
        "unknown_path",
    ),
    "a prefix that nginx adds": Planted(
        arrived(target="/app/plivo/status"), "prefix-added", PASS, reason="unknown_path"
    ),
    "/plivo, which nginx strips": Planted(
        arrived(f"{HERE}/plivo/{REF}/status", f"/{REF}/status"),
        "path-stripped",
        PASS,
        reason="unknown_path",
    ),
    "a path that nginx rewrites": Planted(
        arrived(f"{HERE}/plivo/{REF}/status", f"/callback/{REF}"),
        "path-rewritten",
        PASS,
        reason="unknown_path",
    ),
    "an escape in the path before": Planted(
        arrived(f"{HERE}/a-b/plivo/status"),
        "percent-encoding",
        f"[callbacks] public_url = {HERE}/a-b, {HERE}/a%2Db",
        clues(f"{HERE}/a%2Db"),
    ),
    "an escape that plivo has": Planted(
        arrived(f"{HERE}/a%2db/plivo/status"),
        "percent-encoding",
        f"[callbacks] public_url = {HERE}/a%2db, {HERE}/a-b",
        clues(f"{HERE}/a-b"),
    ),
    "an escape in our own path": Planted(
        arrived(f"{HERE}/plivo/%73tatus", "/plivo/%73tatus"),
        "percent-encoding",
        f"give Plivo the URL {HERE}/plivo/status",
        reason="unknown_path",
    ),
    "a query that nginx adds": Planted(
        arrived(target="/plivo/status?via=nginx", signatures="v3"), "query-added", PASS
    ),
    "a query that nginx adds to a get": Planted(
        arrived(
            target="/plivo/status?via=nginx&"
            + signed_request("GET", HERE, FIELDS, TOKEN).target.partition("?")[2],
            method="GET",
            signatures="v3",
        ),
        "query-added",
        PASS,
    ),
    "a query that nginx drops": Planted(
        arrived(
            f"{HERE}/plivo/status?team=1",
            signatures="v3",
            change=lambda headers: headers | {"x-original-uri": "/plivo/status?team=1"},
        ),
        "query-dropped",
        PASS,
    ),
    "a query that nginx adds, where V2 is too weak": Planted(
        arrived(target="/plivo/status?via=nginx"),
        "query-added",
        PASS,
        clues(is_full_wanted=True),
        "too_weak",
    ),
    "V2 alone, and V3 wanted": Planted(
        arrived(signatures="v2"),
        "too-weak",
        "[callbacks] minimum_trust = url-only",
        clues(is_full_wanted=True),
        "too_weak",
    ),
    "the main account's token": Planted(
        arrived(main_token=MAIN, change=without("x-plivo-signature-v2", "x-plivo-signature-v3")),
        "main-token",
        "name it",
        clues(suspects=(MAIN_SUSPECT,)),
    ),
    "an old token": Planted(
        arrived(token=OLD), "old-token", "add it", clues(suspects=(OLD_SUSPECT,))
    ),
    "a token with a newline": Planted(
        arrived(token=f"{TOKEN}\n"),
        "token-newline",
        "store the token without it where it signs: printf %s TOKEN, or tr -d '\\r\\n ' < FILE",
        clues(suspects=tuple(suspects_of([TOKEN], "FILE"))),
    ),
    "a token with a blank": Planted(
        arrived(token=f"{TOKEN} "),
        "token-newline",
        "store the token without it where it signs: printf %s TOKEN, or tr -d '\\r\\n ' < FILE",
        clues(suspects=tuple(suspects_of([TOKEN], "FILE"))),
    ),
    "a token broken in two": Planted(
        arrived(),
        "token-split",
        "join lines 1 and 2 of FILE into one",
        clues(
            keys=(Key.of("auth_token 1", TOKEN[:9]), Key.of("auth_token 2", TOKEN[9:])),
            suspects=tuple(suspects_of([TOKEN[:9], TOKEN[9:]], "FILE")),
        ),
    ),
    "a token in quotes": Planted(
        arrived(),
        "token-quoted",
        "leave the token alone on its line in FILE",
        clues(
            keys=(Key.of("auth_token 1", f'"{TOKEN}"'),),
            suspects=tuple(suspects_of([f'"{TOKEN}"'], "FILE")),
        ),
    ),
    "a token behind a name": Planted(
        arrived(),
        "token-quoted",
        "leave the token alone on its line in FILE",
        clues(
            keys=(Key.of("auth_token 1", f"auth_token={TOKEN}"),),
            suspects=tuple(suspects_of([f"auth_token={TOKEN}"], "FILE")),
        ),
    ),
    "a token that is commented out": Planted(
        arrived(token=OLD),
        "old-token",
        "remove the # before it in FILE",
        clues(suspects=tuple(suspects_of([TOKEN, f"# {OLD}"], "FILE"))),
    ),
    "a nonce that is lost": Planted(
        arrived(change=lambda headers: without(V3_NONCE)({**headers, V2_NONCE: headers[V3_NONCE]})),
        "nonce-lost",
        "remove what sets or clears X-Plivo-Signature-V3-Nonce in Nginx"
        " (proxy_set_header), and let proxy_pass_request_headers be on",
        reason="malformed_nonce",
    ),
    "V2's rule under V3's name": Planted(
        arrived(
            signatures="v2",
            change=lambda headers: {
                "x-plivo-signature-v3": headers["x-plivo-signature-v2"],
                V3_NONCE: headers[V2_NONCE],
            },
        ),
        "wrong-rule",
        "sign as Plivo's SDK does; Plivo itself never signs so",
    ),
    "padding that is lost": Planted(
        arrived(
            change=lambda headers: {
                name: value.rstrip("=") if name.endswith(("-v2", "-v3")) else value
                for name, value in headers.items()
            }
        ),
        "header-changed",
        "look for a firewall or proxy before Nginx that decodes headers, and switch that off",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_named(name: str) -> None:
    """The mistake is called by its name, and the line to change is the one that mends it."""
    planted = PLANTED[name]
    (found,) = findings(planted.request, planted.known, planted.reason)
    assert (planted.mistakes, planted.fix) == (found.mistake, found.fix)
    assert found.is_sure


@pytest.mark.parametrize("name", PLANTED)
def test_nothing_leaks(name: str) -> None:
    """No sentence holds a token, a number or a message's ref."""
    planted = PLANTED[name]
    said = str(findings(planted.request, planted.known, planted.reason))
    for secret in (TOKEN, OLD, MAIN, TOKEN[:9] + "\n", "14155552323", REF, "team=1"):
        assert secret not in said


def test_two_mistakes_at_once() -> None:
    """Where URL and token are wrong, both are said."""
    request = arrived(f"{HERE}:8443/plivo/status", token=OLD)
    both = findings(request, clues(suspects=(OLD_SUSPECT,)))
    assert ["old-token", "port"] == [found.mistake for found in both]


def test_a_rewritten_path_under_an_unknown_url() -> None:
    """Where Nginx keeps a prefix that public_url lacks, both lines are said."""
    request = arrived(f"{HERE}/sms/plivo/status", "/sms/plivo/status")
    both = findings(request, clues(), "unknown_path")
    assert ["prefix-kept", "prefix"] == [found.mistake for found in both]


def test_what_is_right_by_now() -> None:
    """A callback that verifies with what is configured now was refused before that changed."""
    assert "mended" == findings(arrived(), clues())[0].mistake


def test_what_cannot_be_proved() -> None:
    """Where nothing verifies, the likeliest is said, and not as a fact."""
    unknown = findings(arrived(token="somebody-elses"), clues())[0]
    main = findings(
        arrived(
            token="somebodys",
            main_token=MAIN,
            change=without("x-plivo-signature-v2", "x-plivo-signature-v3"),
        ),
        clues(),
    )[0]
    no_nonce = findings(arrived(change=without(V2_NONCE, V3_NONCE)), clues(), "malformed_nonce")[0]
    changed = replace(arrived(), body=b"MessageUUID=another")
    body = findings(changed, clues(is_full_wanted=True), "too_weak")[0]
    named = [found.mistake for found in (unknown, main, no_nonce, body)]
    assert ["unexplained", "main-token", "nonce-lost", "body-changed"] == named
    assert not any(found.is_sure for found in (unknown, main, no_nonce, body))


@pytest.mark.parametrize("reason", ["unknown_ref", "replay"])
def test_what_needs_no_search(reason: str) -> None:
    """A genuine callback that was refused for what it is, is said to be that."""
    explained = explain(arrived(), reason, clues())
    assert 0 == explained.tried
    assert reason.replace("_", "-") == explained.findings[0].mistake


def test_the_search_ends() -> None:
    """A search tries no more signatures than it may, by little, however many clues there are."""
    many = clues(hosts=tuple(f"h{number}.example.com" for number in range(500)))
    assert explain(arrived(token="x"), "mismatch", many, budget=1_000).tried < 1_100


BAD_REQUESTS: Iterable[Signed] = (
    Signed("POST", "/plivo/status", "%FF", {"x-plivo-signature-v3": "a", V3_NONCE: "b"}, b"%FF"),
    Signed("POST", "", None, {"x-plivo-signature-v2": "é", V2_NONCE: "é"}, b""),
    Signed(
        "POST",
        "/x",
        None,
        {"x-plivo-signature-v3": "a", V3_NONCE: "b", "content-type": "application/json"},
        json.dumps([1]).encode(),
    ),
    Signed("GET", "/%", "&&=", {"x-plivo-signature-v3": "a", "x-original-uri": "http://x"}, b""),
    Signed("POST", "/x", None, {"forwarded": "host=", "host": ":", "x-original-url": "?"}, b""),
)


@pytest.mark.parametrize("request_", BAD_REQUESTS, ids=range(5))
def test_whatever_arrives(request_: Signed) -> None:
    """Nonsense is unexplained, never an error."""
    assert not findings(request_, clues())[0].is_sure
