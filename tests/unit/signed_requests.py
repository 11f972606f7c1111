"""
Requests signed as Plivo would sign them, and what the verifier says of them.

For the tests of plivostatusd/domain/signature.py.
"""

from __future__ import annotations

import pytest

from plivostatusd.domain import signature
from plivostatusd.domain.errors import BadSignature
from plivostatusd.domain.signature import Signed, Verdict, Verifier

FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}
PATH = "/plivo/0123456789abcdef0123456789abcdef/status"


def judge(request: Signed, verifier: Verifier) -> Verdict:
    """Read and verify a request as the ingest flow does."""
    params, v3_can_sign = signature.parameters(request)
    return verifier.verify(request, params if v3_can_sign else None)


def reason(request: Signed, verifier: Verifier) -> str:
    """Say why a request is refused."""
    with pytest.raises(BadSignature) as refused:
        judge(request, verifier)
    return refused.value.reason


def strings(request: Signed, base: str) -> dict[str, bytes]:
    """Spell what each family signs of a request, without its nonce checked."""
    params, _ = signature.parameters(request)
    query = signature.pairs_of((request.query or "").encode("latin-1"))
    v2_nonce = request.headers.get("x-plivo-signature-v2-nonce", "")
    v3_nonce = request.headers.get("x-plivo-signature-v3-nonce", "")
    tail = signature.v3_tail(request.method, query, params, v3_nonce)
    return {"v2": signature.v2_string(base, v2_nonce), "v3": base.encode() + tail}
