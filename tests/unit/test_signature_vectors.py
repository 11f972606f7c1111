from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from plivostatusd.config.problem import Unfit
from plivostatusd.config.urls import public_url
from plivostatusd.domain.signature import NONCE, Key, Signed, Verifier, sign
from plivostatusd.web import callbacks
from tests.unit.signed_requests import FORM, JSON, PATH, judge, reason, strings

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "signature-vectors.json").read_text())


def expected(vector: dict[str, Any]) -> str | None:
    """Give the signature that a vector wants, by the SDKs or by recommendation."""
    wanted = vector.get("expected_signature") or vector.get("recommended", {}).get("signature")
    return None if wanted is None else str(wanted)


def of_vector(vector: dict[str, Any], header: str) -> tuple[Signed, Verifier]:
    """Make the request that a vector describes, and who judges it."""
    parts = urlsplit(vector["uri"])
    method, query, body = vector["method"], parts.query, b""
    form = urlencode(vector["params"] or {}, doseq=True)
    if method == "GET":
        query = "&".join(filter(None, (query, form)))
    else:
        body = form.encode()
    headers = {
        **FORM,
        f"x-plivo-signature-{vector['scheme']}": header,
        f"x-plivo-signature-{vector['scheme']}-nonce": vector["nonce"],
    }
    request = Signed(method, parts.path, query or None, headers, body)
    keys = [Key.of("a", vector["token"])]
    return request, Verifier(keys, [f"{parts.scheme}://{parts.netloc}"], minimum="url-only")


def ids(vector: dict[str, Any]) -> str:
    """Name a vector."""
    return str(vector["id"])


WITH_SIGNATURE = [vector for vector in VECTORS["vectors"] if expected(vector)]
DOCUMENTATION = [vector for vector in VECTORS["vectors"] if not expected(vector)]


@pytest.mark.parametrize("vector", WITH_SIGNATURE, ids=ids)
def test_vectors(vector: dict[str, Any]) -> None:
    """What is signed, and the signature, are those of the SDKs, or the recommended one."""
    request, _ = of_vector(vector, "")
    parts = urlsplit(vector["uri"])
    string = strings(request, f"{parts.scheme}://{parts.netloc}{parts.path}")[vector["scheme"]]
    assert vector.get("signed_string", string.decode()) == string.decode()
    assert expected(vector) == sign(vector["token"].encode(), string).decode()


@pytest.mark.parametrize("vector", WITH_SIGNATURE, ids=ids)
def test_vectors_verify(vector: dict[str, Any]) -> None:
    """Every vector's request is proved, unless its nonce is shorter than any of Plivo's."""
    wanted = expected(vector)
    assert wanted is not None
    request, verifier = of_vector(vector, wanted)
    if not NONCE.fullmatch(vector["nonce"]):
        assert vector["nonce"] == "12345"  # of the SDKs' own unit tests
        assert reason(request, verifier) == "malformed_nonce"
        return
    trust = {"v2": "url-only", "v3": "full"}[vector["scheme"]]
    assert trust == judge(request, verifier).trust


@pytest.mark.parametrize("vector", DOCUMENTATION, ids=ids)
def test_shapes_that_cannot_be_verified(vector: dict[str, Any]) -> None:
    """What the SDKs sign differently from one another cannot be a public URL."""
    with pytest.raises(Unfit):
        public_url(vector["uri"])


def test_numbers_in_json() -> None:
    """The vector with numbers instead of strings is right for JSON, where there are such."""
    vector = next(vector for vector in VECTORS["vectors"] if vector["id"] == "gen-v3-post-int")
    request, verifier = of_vector(vector, vector["expected_signature"])
    headers = {**request.headers, **JSON}
    as_json = Signed("POST", request.path, None, headers, json.dumps(vector["params"]).encode())
    assert judge(as_json, verifier).trust == "full"


REFUSED = {
    "neg-v3-carries-v2-string": "mismatch",
    "neg-v2-cross-protocol-from-v3-post": "malformed_nonce",
    "neg-v3-tampered-body": "mismatch",
    "neg-wrong-token": "mismatch",
    "neg-blank-dropped": "mismatch",
}
VALID_BY_DESIGN = {"neg-v2-body-swapped", "neg-v2-nonce-shifted-into-path"}


@pytest.mark.parametrize("vector", VECTORS["negative_vectors"], ids=ids)
def test_negative_vectors(vector: dict[str, Any]) -> None:
    """What must be refused is; V2 alone cannot see a swapped body or a shifted nonce."""
    request, verifier = of_vector(vector, vector["signature"])
    if vector["id"] in VALID_BY_DESIGN:
        assert judge(request, verifier).trust == "url-only"
    else:
        assert REFUSED[vector["id"]] == reason(request, verifier)


def test_a_shifted_nonce_finds_no_route() -> None:
    """Digits of a V2 nonce cannot move into the path: no path that ends in a digit is served."""
    vectors = {vector["id"]: vector for vector in VECTORS["negative_vectors"]}
    path = urlsplit(vectors["neg-v2-nonce-shifted-into-path"]["uri"]).path
    assert callbacks._route(path) == (False, None)
    assert callbacks._route(f"{PATH}05429") == (False, None)
    assert callbacks._route(PATH) == (True, PATH.split("/")[2])


@pytest.mark.parametrize("vector", VECTORS["header_vectors"], ids=ids)
def test_header_vectors(vector: dict[str, Any]) -> None:
    """A list of signatures passes by any of its elements, blanks or not; an empty one never."""
    request, verifier = of_vector(vector, vector["header"])
    if "accept" in vector["expect"]:
        assert judge(request, verifier).family == vector["scheme"].upper()
    else:
        assert reason(request, verifier) == "no_signature"
