"""The simulator's Message API over real sockets, by plain HTTP and by Plivo's own SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import plivo
import pytest
from plivo.exceptions import AuthenticationError, ResourceNotFoundError, ValidationError
from plivo.rest import client as sdk_client
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from plivostatusd.simulator import Options, Simulator
from plivostatusd.simulator.options import AUTH_ID, AUTH_TOKEN

ROOT = f"/v1/Account/{AUTH_ID}/Message/"
TEXT = "the quick brown text"
SEND = {"src": "14155551212", "dst": "14155550001", "text": TEXT}


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Simulator]:
    """Run a simulator whose stories are told at once."""
    simulator = Simulator(Options(port=0, speed=10_000.0, **options))
    await simulator.start()
    try:
        yield simulator
    finally:
        await simulator.stop()


async def call(  # noqa: PLR0913  (each is varied by some test)
    simulator: Simulator,
    path: str = ROOT,
    *,
    method: str = "GET",
    body: str | None = None,
    user: tuple[str, str] | None = (AUTH_ID, AUTH_TOKEN),
    kind: str = "application/json",
) -> HTTPResponse:
    """Make one call."""
    client = AsyncHTTPClient(force_instance=True)
    name, password = user or (None, None)
    try:
        return await client.fetch(
            simulator.url + path,
            method=method,
            body=body,
            auth_username=name,
            auth_password=password,
            headers={"Content-Type": kind},
            raise_error=False,
            allow_nonstandard_methods=True,
        )
    finally:
        client.close()


async def send(simulator: Simulator, **change: object) -> HTTPResponse:
    """Send a message that is good but for *change*."""
    return await call(simulator, method="POST", body=json.dumps({**SEND, **change}))


async def found(simulator: Simulator, **filters: str) -> dict[str, Any]:
    """List."""
    answer: dict[str, Any] = json.loads(
        (await call(simulator, f"{ROOT}?{urlencode(filters)}")).body
    )
    return answer


@pytest.mark.gen_test
async def test_a_send_is_taken() -> None:
    """A good send is answered 202 with an api_id, Plivo's sentence and one uuid."""
    async with serving() as simulator:
        reply = await send(simulator, dst="+1 (415) 555-0001")
        body = json.loads(reply.body)
        assert reply.code == 202
        assert {"api_id", "message", "message_uuid"} == set(body)
        assert body["message"] == "message(s) queued"
        (message,) = simulator.messages.values()
        assert ([message.uuid], 36) == (body["message_uuid"], len(message.uuid))
        assert message.text == TEXT
        assert TEXT not in repr(message)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "user",
    [None, (AUTH_ID, "wrong"), ("MASIMULATOR000000001", AUTH_TOKEN), ("", ""), (AUTH_TOKEN, "é")],
)
async def test_wrong_credentials_are_401(user: tuple[str, str] | None) -> None:
    """Without the account's id and token nothing is sent, got or listed."""
    async with serving() as simulator:
        for method, path in (("POST", ROOT), ("GET", ROOT), ("GET", f"{ROOT}x/")):
            body = json.dumps(SEND) if method == "POST" else None
            reply = await call(simulator, path, method=method, body=body, user=user)
            assert reply.code == 401
            assert {"api_id", "error"} == set(json.loads(reply.body))
        assert simulator.messages == {}


@pytest.mark.gen_test
@pytest.mark.parametrize("said", ["Basic", "Basic !!!", "Bearer x", "Basic dXNlcg=="])
async def test_unreadable_credentials_are_401(said: str) -> None:
    """An `Authorization` that is not the account's Basic pair is 401 like none at all."""
    async with serving() as simulator:
        client = AsyncHTTPClient(force_instance=True)
        headers = {"Authorization": said}
        reply = await client.fetch(simulator.url + ROOT, headers=headers, raise_error=False)
        client.close()
        assert reply.code == 401


@pytest.mark.gen_test
async def test_another_accounts_path_is_401() -> None:
    """The right credentials do not open another account."""
    async with serving() as simulator:
        path = ROOT.replace(AUTH_ID, "MAOTHER0000000000000")
        assert (await call(simulator, path)).code == 401


@pytest.mark.gen_test
async def test_every_token_opens() -> None:
    """While tokens are rotated, the old and the new one are both good."""
    async with serving(auth_tokens=("old", "new")) as simulator:
        codes = [(await call(simulator, user=(AUTH_ID, t))).code for t in ("old", "new", "none")]
        assert codes == [200, 200, 401]


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("", "application/json"),
        ("{", "application/json"),
        ("[]", "application/json"),
        (urlencode(SEND), "application/x-www-form-urlencoded"),
        (json.dumps({**SEND, "dst": "junk"}), "application/json"),
        (json.dumps({**SEND, "text": 1}), "application/json; charset=utf-8"),
        (json.dumps({**SEND, "url": "nowhere"}), "application/json"),
    ],
)
async def test_bad_sends_are_400(body: str, kind: str) -> None:
    """A send that is not a JSON object of good parameters is 400 with an error, and not taken."""
    async with serving() as simulator:
        reply = await call(simulator, method="POST", body=body, kind=kind)
        assert (reply.code, set(json.loads(reply.body))) == (400, {"api_id", "error"})
        assert simulator.messages == {}


@pytest.mark.gen_test
async def test_get_tells_the_record() -> None:
    """A message's record has Plivo's fields and no text; one that is unknown is 404."""
    async with serving() as simulator:
        await send(simulator, dst="14155550006")
        await simulator.idle()
        (uuid,) = simulator.messages
        reply = await call(simulator, f"{ROOT}{uuid}/")
        record = json.loads(reply.body)
        wanted = {
            "message_uuid": uuid,
            "message_state": "delivered",
            "message_direction": "outbound",
            "from_number": "14155551212",
            "to_number": "14155550006",
            "units": 1,
            "total_amount": "0.00350",
            "error_code": "000",
            "resource_uri": f"{ROOT}{uuid}/",
        }
        assert wanted == {name: record[name] for name in wanted}
        assert "+05:30" in record["message_time"]
        assert TEXT not in reply.body.decode()
        assert (await call(simulator, f"{ROOT}{uuid[::-1]}/")).code == 404


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("digits", "code"), [("0002", "30"), ("0003", "420"), ("0005", None), ("0001", "000")]
)
async def test_error_codes_of_records(digits: str, code: str | None) -> None:
    """A record's error code is null while sent, 000 when delivered, else the story's."""
    async with serving() as simulator:
        await send(simulator, dst=f"1415555{digits}")
        await simulator.idle()
        assert [code] == [record["error_code"] for record in (await found(simulator))["objects"]]


@pytest.mark.gen_test
async def test_pages_are_walked_by_meta_next() -> None:
    """Following `meta.next` tells every message once, newest first, under the same filters."""
    async with serving() as simulator:
        for number in range(5):
            await send(simulator, dst=f"1415555900{number}")
        await send(simulator, src="14155559999")
        seen, path = [], f"{ROOT}?limit=2&from_number=14155551212"
        while path:
            page = json.loads((await call(simulator, path)).body)
            assert (page["meta"]["total_count"], page["meta"]["limit"]) == (5, 2)
            seen += [record["to_number"] for record in page["objects"]]
            path = page["meta"]["next"]
        assert [f"1415555900{number}" for number in range(4, -1, -1)] == seen


@pytest.mark.gen_test
async def test_bad_filters_are_400() -> None:
    """A filter that is misspelt or out of range is refused, not ignored."""
    async with serving() as simulator:
        codes = [
            (await call(simulator, f"{ROOT}?{query}")).code
            for query in ("limit=21", "offset=x", "message_time__gt=now", "to_numer=1")
        ]
        assert codes == [400, 400, 400, 400]


@pytest.mark.gen_test
async def test_other_paths_and_methods() -> None:
    """A path without its last slash is 404, and a wrong method is 405 with what is allowed."""
    async with serving() as simulator:
        assert (await call(simulator, ROOT.rstrip("/"))).code == 404
        assert (await call(simulator, "/")).code == 404
        deleted = await call(simulator, ROOT, method="DELETE")
        posted = await call(simulator, f"{ROOT}x/", method="POST", body="{}")
        assert (deleted.code, deleted.headers["Allow"]) == (405, "GET, POST")
        assert (posted.code, posted.headers["Allow"]) == (405, "GET")


@pytest.mark.gen_test
async def test_calls_are_noted() -> None:
    """Every call of the API stands in `requests` with its answer and its recipients."""
    async with serving() as simulator:
        await send(simulator)
        await send(simulator, dst="14155550011")
        await found(simulator)
        noted = [(each.method, each.answer, each.dst) for each in simulator.requests]
        assert noted == [
            ("POST", 202, "14155550001"),
            ("POST", 500, "14155550011"),
            ("GET", 200, ""),
        ]


@pytest.mark.gen_test
async def test_the_truth_is_shown() -> None:
    """`/simulator/messages` tells status and callbacks to anybody on this machine, and no text."""
    async with serving(timeout_s_min=0.1) as simulator:
        await send(simulator, dst="14155550013", url="http://127.0.0.1:1/status")
        await simulator.idle()
        reply = await call(simulator, "/simulator/messages", user=None)
        (shown,) = json.loads(reply.body)["messages"]
        (message,) = simulator.messages.values()
        assert (message.uuid, "14155550013", "delivered", "0013") == (
            shown["uuid"],
            shown["dst"],
            shown["status"],
            shown["story"],
        )
        told = [(each["status"], each["forged"], each["answer"]) for each in shown["callbacks"]]
        assert told == [(d.status, d.is_forged, d.answer) for d in message.deliveries]
        assert {True, False} == {forged for _, forged, _ in told}
        assert TEXT not in reply.body.decode()


async def in_thread(work: Callable[[], Any]) -> Any:
    """Run the blocking SDK beside the loop that serves it."""
    return await asyncio.get_running_loop().run_in_executor(None, work)


@pytest.mark.gen_test
async def test_plivos_sdk_sends_gets_and_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plivo's own SDK understands every answer, and walks the list to its end."""
    async with serving() as simulator:
        monkeypatch.setattr(sdk_client, "PLIVO_API_BASE_URI", f"{simulator.url}/v1/Account")
        with plivo.RestClient(AUTH_ID, AUTH_TOKEN) as client:

            def send_all() -> list[Any]:
                numbers = (f"141555590{number:02}" for number in range(45))
                create = client.messages.create
                return [create(src="14155551212", dst=dst, text=TEXT) for dst in numbers]

            replies = await in_thread(send_all)
            uuids = [reply.message_uuid[0] for reply in replies]
            await simulator.idle()
            one = await in_thread(lambda: client.messages.get(uuids[0]))
            assert (one.message_uuid, one.message_state) == (uuids[0], "delivered")
            walked = await in_thread(lambda: [each.message_uuid for each in client.messages])
            assert list(reversed(uuids)) == walked


@pytest.mark.gen_test
async def test_plivos_sdk_understands_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK raises what it raises for Plivo's 400, 401 and 404, with our text."""
    async with serving() as simulator:
        monkeypatch.setattr(sdk_client, "PLIVO_API_BASE_URI", f"{simulator.url}/v1/Account")
        good, bad = plivo.RestClient(AUTH_ID, AUTH_TOKEN), plivo.RestClient(AUTH_ID, "wrong")
        what: Mapping[type[Exception], Callable[[], object]] = {
            ValidationError: lambda: good.messages.create(src="1", dst="junk", text=TEXT),
            AuthenticationError: lambda: bad.messages.get("nobody"),
            ResourceNotFoundError: lambda: good.messages.get("nobody"),
        }
        with good, bad:
            for error, work in what.items():
                with pytest.raises(error, match=r"dst is not|authentication failed|not found"):
                    await in_thread(work)
