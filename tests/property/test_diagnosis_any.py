"""Whatever was refused is explained by something; whatever Nginx prints is read as something."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plivostatusd.ctl.doctor import nginx_dump
from plivostatusd.domain.diagnosis.clues import Clues, suspects_of
from plivostatusd.domain.diagnosis.findings import explain
from plivostatusd.domain.signature import Key, Signed
from plivostatusd.simulator import signed_request

TOKEN = "a-token-of-the-account"
HERE = "https://sms.example.com"
NAMES = (
    "x-plivo-signature-v2",
    "x-plivo-signature-v2-nonce",
    "x-plivo-signature-v3",
    "x-plivo-signature-ma-v3",
    "x-plivo-signature-v3-nonce",
    "host",
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-original-uri",
    "content-type",
)
LATIN = st.text(st.characters(max_codepoint=255, blacklist_characters="\r\n"), max_size=40)
PATHS = LATIN.map(lambda text: f"/{text}".partition("?")[0])
REQUESTS = st.builds(
    Signed,
    st.sampled_from(["GET", "POST"]),
    PATHS,
    st.none() | LATIN,
    st.dictionaries(st.sampled_from(NAMES), LATIN),
    st.binary(max_size=60),
)


def clues(*urls: str, lines: list[str] | None = None) -> Clues:
    """Say what is configured."""
    return Clues(
        public_urls=urls or (HERE,),
        keys=(Key.of("auth_token 1", TOKEN),),
        suspects=tuple(suspects_of(lines or [], "FILE")),
    )


@given(REQUESTS, st.lists(st.text(max_size=30), max_size=4))
def test_any_request(request: Signed, lines: list[str]) -> None:
    """Any bytes are explained, or said to be unexplained; never an error, never sure of nothing."""
    findings = explain(request, "mismatch", clues(lines=lines), budget=300).findings
    assert findings
    assert all(found.mistake and found.found and found.fix for found in findings)


@given(
    scheme=st.sampled_from(["http", "https"]),
    host=st.sampled_from(["sms.example.com", "www.sms.example.com"]),
    port=st.sampled_from(["", ":443", ":8443"]),
    prefix=st.sampled_from(["", "/sms", "/webhook"]),
    tail=st.sampled_from(["", "/"]),
)
def test_any_url(scheme: str, host: str, port: str, prefix: str, tail: str) -> None:
    """Whatever of the URL is wrong at once is found, and the line to change has the right one."""
    base = f"{scheme}://{host}{port}{prefix}"
    made = signed_request("POST", f"{base}/plivo/status", {"MessageUUID": "x"}, TOKEN)
    headers = {name.lower(): value for name, value in made.headers.items()}
    request = Signed("POST", f"/plivo/status{tail}", None, headers, made.body)
    findings = explain(request, "mismatch", clues()).findings
    assert all(found.is_sure for found in findings)
    named = {found.mistake for found in findings}
    assert bool(tail) == ("trailing-slash" in named)
    if base != HERE:
        assert any(f"public_url = {base}, {HERE}" in found.fix for found in findings)
    elif not tail:
        assert {"mended"} == named


@given(st.text(st.sampled_from("ab {};#\"'\\$\n/=~*"), max_size=80))
def test_any_dump(text: str) -> None:
    """Any text is read as directives, each with a name and a place."""
    root = nginx_dump.parse(f"# configuration file /c:\n{text}")
    for each in root.walk():
        assert each.place.startswith("/c:")
