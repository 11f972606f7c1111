"""
Plivo's request signatures, V2 and V3, verified over raw bytes.

Pure: a request and the keys go in, a verdict or `BadSignature` comes out. The strings that are
signed (HMAC-SHA256 with the token as key, base64):

    V2        scheme://host[:port]/path + nonce
    V3 POST   base [?Q] [?|.] P . nonce       e.g.  base?P.nonce   base?Q.P.nonce   base.nonce
    V3 GET    base [?Q] . nonce

*base* is the URL without its query; Q the decoded query pairs, sorted, as `k=v` joined by `&`;
P the decoded parameters, sorted by key and then value, each as key + value with nothing between.
Source: the SDKs for Python, Node, Go and Java and Plivo's CLI, read and run 2026-11. The prose rule
"V3 is URL + nonce" found in tutorials is V2's string under V3's name, and is refused here.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from binascii import b2a_base64
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from plivostatusd.domain.errors import BadSignature, CallbackUnreadable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plivostatusd.domain.statuses import Trust

V2: Final = "V2"
V3: Final = "V3"
NONCE: Final = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)

Pair = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Key:
    """One token that may have signed. `name` is for logs; `fingerprint` tells tokens apart."""

    name: str
    token: bytes = field(repr=False)
    fingerprint: str = ""

    @classmethod
    def of(cls, name: str, token: str) -> Key:
        """Make a key of *token*; its fingerprint cannot be turned back into the token."""
        secret = token.encode()
        return cls(name, secret, hmac.digest(secret, b"plivostatusd", "sha256")[:8].hex())


@dataclass(slots=True)
class Signed:
    """
    A request as it arrived. *headers* has lower-case names; *path* and *query* are raw.

    Nobody changes one; but a frozen class takes three times as long to make.
    """

    method: str
    path: str
    query: str | None
    headers: Mapping[str, str]
    body: bytes

    @property
    def target(self) -> str:
        """The raw request target: path, and query where there was one."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    @property
    def digest(self) -> bytes:
        """Tell this request from others: 16 bytes over method, raw target and raw body."""
        line = f"{self.method} {self.target}\n".encode("latin-1")
        return hashlib.blake2b(line + self.body, digest_size=16).digest()

    @property
    def nonces(self) -> tuple[str, ...]:
        """Every well-formed nonce that the request bears, whichever family it belongs to."""
        v3, v2 = _nonce(self.headers, _NAMES_V3), _nonce(self.headers, _NAMES_V2)
        if v3 is not None and v2 is not None and v3 != v2:
            return v3, v2
        nonce = v3 or v2
        return () if nonce is None else (nonce,)


class Verdict(NamedTuple):
    """A request that Plivo made: how far it can be trusted, and which key and URL showed it."""

    trust: Trust
    family: str
    key: Key
    base: str


def pairs_of(encoded: bytes) -> list[Pair]:
    """
    Split a form or query into decoded pairs, blanks and repeats kept, in the order sent.

    Raises `CallbackUnreadable` when a name or value is not UTF-8.
    """
    spaced = encoded.replace(b"+", b" ")
    decoded = unquote_to_bytes(spaced) if b"%" in spaced else spaced
    try:
        decoded.decode()
    except UnicodeDecodeError as error:
        raise CallbackUnreadable("not UTF-8") from error
    # To unquote everything at once takes a quarter of the time that it takes value by value, and
    # comes to the same unless an escape stands for what parts them. Few do.
    if b"%26" in spaced or b"%3D" in spaced or b"%3d" in spaced:
        return [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, value in _split(spaced)]
    return _split(decoded)


def _split(text: bytes) -> list[Pair]:
    return [item.partition(b"=")[::2] for item in text.split(b"&") if item]


def pairs_of_json(body: bytes) -> tuple[list[Pair], bool]:
    """
    Read a JSON object as pairs, numbers spelt as they came; and whether V3 can sign it.

    V3 covers strings and numbers at the top level. What else stands there (true, null, a list) is
    left out of the pairs and makes the second value False.

    Raises `CallbackUnreadable` when it is no JSON object.
    """
    try:
        text = body.decode()
        top = json.loads(text, parse_int=str, parse_float=str, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise CallbackUnreadable("not JSON") from error
    # An array is a list too, so the type of *top* does not tell it from an object's members.
    if not text.lstrip().startswith("{"):
        raise CallbackUnreadable("not a JSON object")
    plain = [(name, value) for name, value in top if isinstance(value, str)]
    try:
        pairs = [(name.encode(), value.encode()) for name, value in plain]
    except UnicodeEncodeError as error:
        raise CallbackUnreadable("a lone surrogate") from error
    return pairs, len(plain) == len(top)


def is_json(request: Signed) -> bool:
    """Say whether the body is JSON: by its type, or by its first byte whatever the type says."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or request.body.lstrip()[:1] == b"{"


def parameters(request: Signed) -> tuple[list[Pair], bool]:
    """
    Read what the request says (a GET's query, a POST's body), and whether V3 can sign it.

    Raises `CallbackUnreadable`.
    """
    if request.method == "GET":
        return pairs_of((request.query or "").encode("latin-1")), True
    if is_json(request):
        return pairs_of_json(request.body)
    return pairs_of(request.body), True


def v2_string(base: str, nonce: str) -> bytes:
    """What V2 signs: the URL without its query, and the nonce straight behind it."""
    return f"{base}{nonce}".encode("latin-1")


def v3_tail(method: str, query: Sequence[Pair], params: Sequence[Pair], nonce: str) -> bytes:
    """What V3 signs behind the base URL. For a GET, *params* are those that stand in *query*."""
    spelt_query = b"&".join([b"%b=%b" % pair for pair in sorted(query)])
    parts = spelt_query
    if method != "GET" and params:
        spelt = b"".join(chain.from_iterable(sorted(params)))
        parts = b"%b.%b" % (spelt_query, spelt) if spelt_query else spelt
    return b"%b%b.%b" % (
        b"?" if parts or (params and method != "GET") else b"",
        parts,
        nonce.encode(),
    )


def sign(token: bytes, string: bytes) -> bytes:
    """HMAC-SHA256 of *string*, as base64."""
    return b2a_base64(hmac.digest(token, string, "sha256"), newline=False)


class Verifier:
    """Judges requests against a fixed set of keys and public URLs. Holds nothing else."""

    def __init__(self, keys: Sequence[Key], public_urls: Sequence[str], *, minimum: Trust) -> None:
        self._keys = tuple(keys)
        self._urls = tuple(public_urls)
        self._v2_allowed = minimum != "full"
        self._signers = tuple((key, hmac.new(key.token, digestmod="sha256")) for key in keys)
        self.fingerprints = frozenset(key.fingerprint for key in keys)
        """The fingerprints of every key that is tried."""
        self.fingerprint = " ".join(sorted(self.fingerprints))
        """All of them, as what tells this set of keys from another."""

    @property
    def keys(self) -> tuple[Key, ...]:
        """Every key that is tried, in order."""
        return self._keys

    @property
    def urls(self) -> tuple[str, ...]:
        """Every public URL that is tried, in order."""
        return self._urls

    def verify(self, request: Signed, params: Sequence[Pair] | None) -> Verdict:
        """
        Prove that Plivo made *request*; *params* is None where V3 cannot sign the body.

        Raises `BadSignature`; its `reason` is no_signature, malformed_nonce, mismatch or too_weak.
        """
        if params is not None and (verdict := self._try_v3(request, params)):
            return verdict
        verdict = self._try_v2(request)
        if verdict is None:
            raise BadSignature(_why_not(request))
        if not self._v2_allowed:
            raise BadSignature("too_weak")
        return verdict

    def _try_v3(self, request: Signed, params: Sequence[Pair]) -> Verdict | None:
        offered, nonce = _offered(request, _NAMES_V3)
        if not offered or nonce is None:
            return None
        try:
            query = pairs_of(request.query.encode("latin-1")) if request.query else []
        except CallbackUnreadable:
            return None
        tail = v3_tail(request.method, query, params, nonce)
        return self._match(request, offered, tail, V3, "full")

    def _try_v2(self, request: Signed) -> Verdict | None:
        offered, nonce = _offered(request, _NAMES_V2)
        if not offered or nonce is None:
            return None
        return self._match(request, offered, nonce.encode(), V2, "url-only")

    def _match(
        self, request: Signed, offered: Sequence[bytes], tail: bytes, family: str, trust: Trust
    ) -> Verdict | None:
        for url in self._urls:
            base = f"{url}{request.path}"
            string = base.encode("latin-1") + tail
            for key, signer in self._signers:
                # The key was prepared once: that, and not the text, is most of what HMAC takes.
                mac = signer.copy()
                mac.update(string)
                expected = b2a_base64(mac.digest(), newline=False)
                for given in offered:
                    if hmac.compare_digest(expected, given):
                        return Verdict(trust, family, key, base)
        return None


class _Names(NamedTuple):
    """The headers of one family, by name."""

    signature: str
    signature_ma: str
    nonce: str


_NAMES_V3: Final = _Names(
    "x-plivo-signature-v3", "x-plivo-signature-ma-v3", "x-plivo-signature-v3-nonce"
)
_NAMES_V2: Final = _Names(
    "x-plivo-signature-v2", "x-plivo-signature-ma-v2", "x-plivo-signature-v2-nonce"
)


def _nonce(headers: Mapping[str, str], names: _Names) -> str | None:
    """One family's nonce when that is well-formed."""
    nonce = headers.get(names.nonce)
    return nonce if nonce and NONCE.fullmatch(nonce) else None


def _offered(request: Signed, names: _Names) -> tuple[list[bytes], str | None]:
    """The signatures in the headers of one family, and its nonce when that is well-formed."""
    headers = request.headers
    said = f"{headers.get(names.signature, '')},{headers.get(names.signature_ma, '')}"
    stripped = [given.strip(" \t") for given in said.split(",")]
    return [given.encode("latin-1") for given in stripped if given], _nonce(headers, names)


def offers_v3(request: Signed) -> bool:
    """Say whether a request bears a signature of the V3 family, good or bad."""
    return bool(_offered(request, _NAMES_V3)[0])


def is_signed(request: Signed) -> bool:
    """Say whether a request bears any signature, good or bad."""
    return any(_offered(request, names)[0] for names in (_NAMES_V3, _NAMES_V2))


def _why_not(request: Signed) -> str:
    if not is_signed(request):
        return "no_signature"
    families = [_offered(request, names) for names in (_NAMES_V3, _NAMES_V2)]
    if not any(offered and nonce for offered, nonce in families):
        return "malformed_nonce"
    return "mismatch"


def signature_headers(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """The headers that a verification rests on, for keeping beside what they vouch for."""
    return [
        (name, value)
        for name, value in headers.items()
        if name.startswith("x-plivo-") or name == "content-type"
    ]
