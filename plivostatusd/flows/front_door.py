"""
The probe of the front door: a signed callback goes out to public_url, and must come back in here.

Through DNS, TLS and Nginx, as Plivo's do. It is told from a callback by its nonces, or by the ref
in its path, which nobody but this process knows; it never is a message or an event, and touches
the store not at all. `recognise` and `arrived` are the public listener's; `probe` and `run` ours.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol
from urllib.parse import urlsplit

from plivostatusd.domain import identity, signature
from plivostatusd.domain.diagnosis.clues import Clues
from plivostatusd.domain.diagnosis.findings import Finding, about_url, explain
from plivostatusd.domain.diagnosis.urls import Url
from plivostatusd.domain.errors import BadSignature, CallbackUnreadable
from plivostatusd.host.web_call import Answer, CallFailed, post
from plivostatusd.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plivostatusd.domain.signature import Key, Signed, Verifier

log = get_logger()

FIRST_S: Final = 60.0
EVERY_S: Final = 3_600.0
WITHIN_S: Final = 6.0
_BUDGET: Final = 5_000
"""Signatures that explaining a probe may take: 10 ms of the loop's time."""
_BODY: Final = b"MessageUUID=00000000-0000-4000-8000-000000000000&Status=probe&ErrorCode="
_FORM: Final = "application/x-www-form-urlencoded"
_OK: Final = 200
_REDIRECTS: Final = range(300, 400)
_BAD_GATEWAYS: Final = (502, 504)

Stage = Literal["resolve", "connect", "tls", "answer", "path", "signature", "through"]


class Gauges(Protocol):
    """What is measured on the way."""

    def probe_ended(self, *, successful: bool) -> None:
        """Say how the last probe ended."""

    def certificate_seen(self, expires_s: float) -> None:
        """Say when the certificate that the front door showed expires, in Unix time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Where the door is: the URL that Plivo is given, who verifies, and where Nginx passes to."""

    public_url: str
    key: Key
    verifier: Verifier
    upstream: str


@dataclass(frozen=True, slots=True)
class Probed:
    """How a probe ended: how far it came, what was found, and what to type. *through*: all well."""

    stage: Stage
    found: str
    fix: str = ""

    @property
    def is_through(self) -> bool:
        """It came back in as it went out."""
        return self.stage == "through"

    @property
    def is_unreachable(self) -> bool:
        """The host cannot reach its own public address, which says little about Plivo."""
        return self.stage in {"resolve", "connect"}


@dataclass(slots=True)
class _Underway:
    """A probe that is out: what it is known by, and what became of it in here."""

    ref: str
    nonces: tuple[str, str]
    arrived: Probed | None = None
    words: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.words = (self.ref, *self.nonces)


class FrontDoor:
    """Sends probes and recognises them."""

    def __init__(self, terms: Terms, gauges: Gauges) -> None:
        self.terms = terms
        self.last: Probed | None = None
        self._gauges = gauges
        self._underway: _Underway | None = None
        self._turn = asyncio.Lock()
        self._moved = asyncio.Event()

    def change(self, terms: Terms) -> None:
        """Go by other terms from now on; another URL is probed at once."""
        if terms.public_url != self.terms.public_url:
            self._moved.set()
        self.terms = terms

    async def run(self) -> None:
        """Probe soon, and then each hour, until cancelled."""
        wait_s = FIRST_S
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._moved.wait()
            self._moved.clear()
            try:
                await self.probe()
            except Exception:
                log.exception("front_door_failed")
            wait_s = EVERY_S

    async def probe(self) -> Probed:
        """Send one and say how it ended. One at a time: a second one waits for the first."""
        async with self._turn:
            underway = _Underway(_secret(), (_secret(), _secret()))
            self._underway = underway
            try:
                probed = await self._sent(underway)
            finally:
                self._underway = None
        self._tell(probed)
        return probed

    def _tell(self, probed: Probed) -> None:
        is_news = self.last is None or self.last.stage != probed.stage
        self.last = probed
        self._gauges.probe_ended(successful=probed.is_through)
        fields = {"stage": probed.stage, "found": probed.found}
        if probed.is_through or probed.is_unreachable or not is_news:
            log.info("front_door_probed", **fields)
        else:
            log.warning("front_door_closed", **fields, hint="plivostatusctl doctor")

    async def _sent(self, underway: _Underway) -> Probed:
        terms = self.terms
        path = f"/plivo/{underway.ref}/status"
        headers = _signed(terms.key, terms.public_url + path, underway.nonces)
        try:
            answer = await post(terms.public_url + path, headers, _BODY, within_s=WITHIN_S)
        except CallFailed as failed:
            return underway.arrived or _failed(failed, terms)
        if answer.certificate_until_s is not None:
            self._gauges.certificate_seen(answer.certificate_until_s)
        return underway.arrived or _answered(answer, terms)

    # The other end

    @property
    def is_out(self) -> bool:
        """Say whether a probe is to be looked for at all."""
        return self._underway is not None

    def recognise(self, request: Signed) -> bool:
        """Say whether *request* is the probe that is out, whatever became of its path."""
        if self._underway is None:
            return False
        borne = (*request.nonces, *request.path.split("/"))
        return any(
            hmac.compare_digest(word.encode(), given.encode("latin-1", "replace"))
            for word in self._underway.words
            for given in borne
        )

    def arrived(self, request: Signed) -> int:
        """Judge a probe that came in as a callback is judged, and give the answer's status."""
        assert self._underway is not None
        probed = self._judge(request, self._underway)
        self._underway.arrived = probed
        return {"through": 200, "path": 404}.get(probed.stage, 403)

    def _judge(self, request: Signed, underway: _Underway) -> Probed:
        """Compare what arrived with what was sent, which is known here."""
        terms = self.terms
        path = f"/plivo/{underway.ref}/status"
        clues = Clues(public_urls=(terms.public_url,), keys=(terms.key,), upstream=terms.upstream)
        called = Url.of(terms.public_url + path)
        if request.path != path and called is not None:
            return Probed("path", *_said(next(about_url(called, request, clues))))
        try:
            pairs, _ = signature.parameters(request)
            verdict = terms.verifier.verify(request, pairs)
        except (BadSignature, CallbackUnreadable):
            found = explain(request, "mismatch", clues, budget=_BUDGET).findings[0]
            return Probed("signature", *_said(found))
        if verdict.family != signature.V3:
            return Probed("signature", *_said(_V3_LOST))
        return Probed("through", f"a signed probe to {terms.public_url} came back in")


_V3_LOST: Final = Finding(
    "v3-lost",
    "of the probe's signatures V2 verifies and V3 does not: its body, its query or a header was"
    " changed on the way",
    "look at proxy_set_header, proxy_set_body and rewrite in Nginx's site",
)


def _said(finding: Finding) -> tuple[str, str]:
    return finding.found, finding.fix


def _failed(failed: CallFailed, terms: Terms) -> Probed:
    host = urlsplit(terms.public_url).hostname
    tried = f"{terms.public_url} cannot be reached from here: {failed.why}"
    if failed.stage == "resolve":
        return Probed("resolve", tried, f"getent ahosts {host}")
    if failed.stage == "connect":
        return Probed(
            "connect",
            tried,
            "systemctl status nginx; behind NAT a host often cannot reach its own public address:"
            f" then try from elsewhere: curl -v {terms.public_url}/plivo/status",
        )
    if failed.stage == "tls":
        return Probed(
            "tls", f"TLS to {terms.public_url} fails: {failed.why}", f"curl -v {terms.public_url}/"
        )
    return Probed(
        "answer", f"{terms.public_url} gives no answer: {failed.why}", "systemctl status nginx"
    )


def _answered(answer: Answer, terms: Terms) -> Probed:
    """The probe got an answer without having come in here: somebody else gave it."""
    status = answer.status
    passes = f"in Nginx: location /plivo/ {{ proxy_pass http://{terms.upstream}; }}"
    if status in _BAD_GATEWAYS:
        return Probed("answer", f"Nginx answers {status}: it cannot reach this daemon", passes)
    if status in _REDIRECTS:
        found = f"{terms.public_url} redirects ({status}) to {urlsplit(answer.location).netloc}"
        return Probed("answer", found, "set callbacks.public_url to where it ends, or end that")
    return Probed(
        "answer",
        f"{terms.public_url} answers {status}, and the probe did not come in here: another site,"
        " location or machine took it",
        passes,
    )


def _secret() -> str:
    return identity.ref(os.urandom(identity.REF_BYTES))


def _signed(key: Key, url: str, nonces: tuple[str, str]) -> Mapping[str, str]:
    """Sign the probe by both families, as Plivo does."""
    v2_nonce, v3_nonce = nonces
    v3 = url.encode() + signature.v3_tail("POST", (), signature.pairs_of(_BODY), v3_nonce)
    return {
        "Content-Type": _FORM,
        "User-Agent": "plivostatusd-probe",
        "X-Plivo-Signature-V2": signature.sign(
            key.token, signature.v2_string(url, v2_nonce)
        ).decode(),
        "X-Plivo-Signature-V2-Nonce": v2_nonce,
        "X-Plivo-Signature-V3": signature.sign(key.token, v3).decode(),
        "X-Plivo-Signature-V3-Nonce": v3_nonce,
    }
