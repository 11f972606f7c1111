"""The public listener: what is recorded, what is refused, and what an outsider learns of either."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from plivostatusd.domain import message
from plivostatusd.domain.signature import Key, Verifier
from plivostatusd.simulator import Signed
from plivostatusd.simulator.options import AUTH_TOKEN
from plivostatusd.simulator.signer import V2, V2_MAIN, V3, V3_MAIN, V3_NONCE, v2_signature
from tests.logbook import Logbook
from tests.unit.listeners import PUBLIC, SENDER, Listeners, callback, running, without_v3

EVENTS = "SELECT status, trust, source FROM events WHERE source = 'callback' ORDER BY row"
REF = "0123456789abcdef0123456789abcdef"
UUID = "0d2e4c1a-0000-4000-8000-000000000001"


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


async def own_ref(house: Listeners) -> str:
    """Record a send of ours and give the ref in its callback path."""
    fields = {"to": "+14155552323", "text": "hello"}
    request = message.parse(fields, default_sender=SENDER)
    await house.outbox.accept(request, sent_by="test", key=None)
    ((ref,),) = house.rows("SELECT ref FROM messages WHERE ref IS NOT NULL")
    return str(ref)


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize(
    ("signatures", "trust"), [("v2", "url-only"), ("v3", "full"), ("both", "full")]
)
@pytest.mark.parametrize("is_own", [True, False])
async def test_genuine(
    house: Listeners, method: str, signatures: str, trust: str, is_own: bool
) -> None:
    """Each family, by POST and by GET, on both paths, is recorded at its own trust."""
    path = f"/plivo/{await own_ref(house)}/status" if is_own else "/plivo/status"
    request = callback(house, path=path, method=method, signatures=signatures)
    reply = await house.deliver(request)
    assert (200, "ok\n") == (reply.status, reply.text)
    assert [("delivered", trust, "callback")] == house.rows(EVENTS)
    ((status, count),) = house.rows("SELECT current_status, count(*) FROM messages")
    assert ("delivered", 1) == (status, count)


@pytest.mark.parametrize(("kept", "trust"), [(V2_MAIN, "url-only"), (V3_MAIN, "full")])
async def test_main_accounts_signature_alone(house: Listeners, kept: str, trust: str) -> None:
    """A callback that only the main account's token signed verifies, in either family."""
    house.ingest.verifier = Verifier([Key.of("main", "main-token")], [PUBLIC], minimum="url-only")
    request = callback(house, token="subaccounts-own", main_token="main-token")
    others = {V2, V2_MAIN, V3, V3_MAIN} - {kept}
    headers = {name: value for name, value in request.headers.items() if name not in others}
    assert 200 == (await house.deliver(replace(request, headers=headers))).status
    assert [("delivered", trust, "callback")] == house.rows(EVENTS)


async def test_lists_of_signatures(house: Listeners) -> None:
    """While Plivo rotates, one signature of several in a header is enough, blanks or none."""
    request = callback(house, token=("not-ours", AUTH_TOKEN), signatures="v3")
    headers = {**request.headers, V3: request.headers[V3].replace(",", " ,\t")}
    assert 200 == (await house.deliver(replace(request, headers=headers))).status


@pytest.mark.parametrize("token", ["first-token", "second-token"])
async def test_several_tokens(house: Listeners, token: str) -> None:
    """Every token that is configured verifies, so that rotating loses nothing."""
    keys = [Key.of("first", "first-token"), Key.of("second", "second-token")]
    house.ingest.verifier = Verifier(keys, [PUBLIC], minimum="url-only")
    assert 200 == (await house.deliver(callback(house, token=token))).status


async def test_json(house: Listeners) -> None:
    """JSON with the same names is understood; V3 covers its top level."""
    signed = callback(house, signatures="v3", fields={"Units": "1"})
    fields = {"MessageUUID": UUID, "From": "14155551212", "To": "14155552323"}
    fields |= {"Status": "delivered", "ErrorCode": ""}
    body = json.dumps(fields)[:-1] + ', "Units": 1}'
    headers = {**signed.headers, "Content-Type": "application/json"}
    reply = await house.deliver(replace(signed, body=body.encode(), headers=headers))
    assert 200 == reply.status
    assert [("delivered", "full", "callback")] == house.rows(EVENTS)
    assert [(1,)] == house.rows("SELECT units FROM messages")


async def test_several_public_urls(house: Listeners) -> None:
    """While the address changes, callbacks to the old one and to the new one verify."""
    urls = ["https://new.example.com", PUBLIC]
    house.ingest.verifier = Verifier([Key.of("one", AUTH_TOKEN)], urls, minimum="url-only")
    assert 200 == (await house.deliver(callback(house))).status


@pytest.mark.allow_log("callback_refused")
async def test_minimum_trust(house: Listeners) -> None:
    """With minimum_trust = full a callback that V2 alone signs is 403 and leaves nothing."""
    house.ingest.verifier = Verifier([Key.of("one", AUTH_TOKEN)], [PUBLIC], minimum="full")
    assert 403 == (await house.deliver(callback(house, signatures="v2"))).status
    assert [] == house.rows(EVENTS)
    assert 200 == (await house.deliver(callback(house, signatures="both"))).status
    assert [("delivered", "full", "callback")] == house.rows(EVENTS)


def forgeries(house: Listeners) -> dict[str, Signed]:
    """Make requests that Plivo did not sign, or not as they stand."""
    genuine = callback(house, signatures="v3")
    other = callback(house, "failed", signatures="v3")
    nonce = genuine.headers[V3_NONCE]
    by_url = v2_signature(AUTH_TOKEN, genuine.url, nonce)
    bad_nonce = {V2: by_url, "X-Plivo-Signature-V2-Nonce": "a.b?c/d.e"}
    return {
        "unsigned": replace(genuine, headers={"Content-Type": "application/x-www-form-urlencoded"}),
        "wrong token": callback(house, token="somebody-elses"),
        "other fields": replace(genuine, body=other.body),
        "the tutorial's rule": replace(genuine, headers={**genuine.headers, V3: by_url}),
        "a nonce that is none": replace(genuine, headers=bad_nonce),
        "another path": replace(genuine, url=f"{PUBLIC}/plivo/{REF}/status"),
        "not our host": replace(genuine, url=genuine.url, headers={V3: "", V3_NONCE: nonce}),
    }


@pytest.mark.allow_log("callback_refused")
async def test_forged(house: Listeners, logbook: Logbook) -> None:
    """Whatever is wrong with a signature, the answer is the same 403, and nothing is stored."""
    requests = forgeries(house)
    replies = {name: await house.deliver(request) for name, request in requests.items()}
    assert dict.fromkeys(requests, (403, "forbidden\n")) == {
        name: (reply.status, reply.text) for name, reply in replies.items()
    }
    assert 1 == len({json.dumps(sorted(reply.headers.get_all())) for reply in replies.values()})
    for table in ("messages", "events", "nonces"):
        assert [(0,)] == house.rows(f"SELECT count(*) FROM {table}")  # noqa: S608 - names of ours
    reasons = [fields["reason"] for fields in logbook.events("callback_refused")]
    assert "no_signature" == reasons[0]
    assert {"mismatch", "malformed_nonce", "no_signature"} == set(reasons)


@pytest.mark.parametrize("is_own", [True, False])
async def test_repeat(house: Listeners, is_own: bool, logbook: Logbook) -> None:
    """An exact repeat is answered 200 and is no new event; so Plivo's retries collapse."""
    path = f"/plivo/{await own_ref(house)}/status" if is_own else "/plivo/status"
    for signatures in ("both", "v2", "v3"):
        request = callback(house, path=path, signatures=signatures)
        for _ in range(3):
            assert 200 == (await house.deliver(request)).status
    assert 3 == len(house.rows(EVENTS))
    assert 6 == len(logbook.events("callback_repeated"))


@pytest.mark.expect_log("callback_unusual.*nonce_reused")
@pytest.mark.parametrize("is_own", [True, False])
async def test_nonce_reused_at_full_trust(house: Listeners, is_own: bool) -> None:
    """A nonce that Plivo itself uses again loses no report: V3 covers all of it."""
    path = f"/plivo/{await own_ref(house)}/status" if is_own else "/plivo/status"
    nonces = house.nonces()
    for status in ("sent", "delivered"):
        assert 200 == (await house.deliver(callback(house, status, path, nonces=nonces))).status
    assert ["sent", "delivered"] == [row[0] for row in house.rows(EVENTS)]


@pytest.mark.expect_log("callback_refused.*replay")
@pytest.mark.parametrize("is_own", [True, False])
async def test_captured_request_with_another_body(house: Listeners, is_own: bool) -> None:
    """A captured request cannot be stripped of V3, changed, and passed off under its V2."""
    path = f"/plivo/{await own_ref(house)}/status" if is_own else "/plivo/status"
    genuine = callback(house, "delivered", path)
    assert 200 == (await house.deliver(genuine)).status
    forged = replace(without_v3(genuine), body=callback(house, "failed", path).body)
    reply = await house.deliver(forged)
    assert (403, "forbidden\n") == (reply.status, reply.text)
    assert [("delivered", "full", "callback")] == house.rows(EVENTS)


@pytest.mark.expect_log("callback_unusual.*unknown_ref")
async def test_unknown_ref_at_full_trust(house: Listeners) -> None:
    """A report on a ref that this store does not know is kept under its MessageUUID."""
    reply = await house.deliver(callback(house, path=f"/plivo/{REF}/status"))
    assert 200 == reply.status
    assert [(UUID, "delivered")] == house.rows("SELECT message_uuid, current_status FROM messages")


@pytest.mark.expect_log("callback_refused.*unknown_ref")
async def test_unknown_ref_by_v2(house: Listeners) -> None:
    """Under V2 alone, a ref that this store does not know is 403: nothing binds it to a message."""
    request = callback(house, path=f"/plivo/{REF}/status", signatures="v2")
    assert 403 == (await house.deliver(request)).status
    assert [] == house.rows(EVENTS)


@pytest.mark.expect_log("callback_refused.*unreadable")
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"Status=%FF%FE", "application/x-www-form-urlencoded"),
        (b"{", "application/json"),
        (b'["Status"]', "application/json"),
        (b'{"Status": "\\ud800"}', "application/json"),
    ],
)
async def test_unreadable(house: Listeners, body: bytes, kind: str) -> None:
    """What nobody signed and cannot be read is 400, and nothing is stored."""
    signed = callback(house, token="somebody-elses")
    request = replace(signed, body=body, headers={**signed.headers, "Content-Type": kind})
    reply = await house.deliver(request)
    assert (400, "bad request\n") == (reply.status, reply.text)
    assert [] == house.rows(EVENTS)


@pytest.mark.allow_log("callback_unusual")
@pytest.mark.parametrize(
    "body",
    [
        b"Status=%FF%FE&MessageUUID=0d2e4c1a-0000-4000-8000-000000000001",
        b"{",
        b'{"Status": ["delivered"], "More": {"deep": null}}',
        b"",
        b"\x00\xff=&&&=",
    ],
)
async def test_genuine_but_not_understood(house: Listeners, body: bytes) -> None:
    """A genuine report that cannot be read is kept as it came and answered 200."""
    request = replace(callback(house, signatures="v2"), body=body)
    assert 200 == (await house.deliver(request)).status
    ((raw,),) = house.rows("SELECT raw FROM events WHERE source = 'callback'")
    assert raw.endswith(b"\n\n" + body)


@pytest.mark.allow_log("callback_unusual")
@pytest.mark.parametrize(
    "fields",
    [
        {"Status": "teleported"},
        {"Status": ""},
        {"MessageUUID": ""},
        {"MessageUUID": "no-uuid", "Status": ["delivered", "failed"]},
        {"Sequence": "-1", "Units": "many", "SentTime": "yesterday", "ErrorCode": "<script>"},
        {"NewInNextYear": "ä€🙂", "PartInfo": "1 of 1"},
    ],
)
async def test_unknown_fields_and_values(
    house: Listeners, fields: dict[str, str | list[str]]
) -> None:
    """Fields, statuses and values that nobody has heard of are kept raw and answered 200."""
    request = callback(house, fields=fields)
    assert 200 == (await house.deliver(request)).status
    ((raw, trust),) = house.rows("SELECT raw, trust FROM events WHERE source = 'callback'")
    assert raw.endswith(b"\n\n" + request.body)
    assert "full" == trust


async def test_unknown_status_is_no_news(house: Listeners) -> None:
    """A status that nobody knows does not take the place of one that says more."""
    await house.deliver(callback(house, "delivered"))
    await house.deliver(callback(house, "teleported"))
    assert [("delivered",)] == house.rows("SELECT current_status FROM messages")


@pytest.mark.expect_log("duplicate_at_plivo")
async def test_second_uuid_on_one_ref(house: Listeners) -> None:
    """A second MessageUUID on one ref is kept, flagged and alarmed."""
    path = f"/plivo/{await own_ref(house)}/status"
    other = {"MessageUUID": "0d2e4c1a-0000-4000-8000-00000000000f"}
    assert 200 == (await house.deliver(callback(house, "sent", path))).status
    assert 200 == (await house.deliver(callback(house, "delivered", path, fields=other))).status
    assert [(1,)] == house.rows("SELECT duplicate_at_plivo FROM messages")
    assert 2 == len(house.rows(EVENTS))
