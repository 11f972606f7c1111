"""The OpenAPI document: it has every route, every problem, and every answer there is."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import meta
from tornado.ioloop import IOLoop
from tornado.routing import PathMatches
from tornado.web import Application

import plivostatusd
from plivostatusd.domain.errors import (
    BadSignature,
    CallbackUnreadable,
    Refusal,
    ReplayRefused,
    UnknownRef,
)
from plivostatusd.store import entries
from plivostatusd.web.api import application
from plivostatusd.web.description import document
from plivostatusd.web.handler import Handler, _implements
from tests.unit.described import check_answer, closed, resolved, target
from tests.unit.listeners import Listeners, callback, running, without_v3
from tests.wire import Answer

TO = "+14155552323"
SEND = {"to": TO, "text": "hello world"}
UUID = "b795906a-8a79-11ec-9bd3-0242ac110003"
OF_THE_PUBLIC_LISTENER = (BadSignature, CallbackUnreadable, ReplayRefused, UnknownRef)
OF_NO_CLASS = {("refused", 422), ("method", 405), ("http", 500)}
Operation = tuple[str, str]


@pytest.fixture
def house(io_loop: IOLoop, tmp_path: Path) -> Iterator[Listeners]:
    """Both listeners, over an empty store."""
    with running(io_loop, tmp_path) as listeners:
        yield listeners


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Give every operation of the document: path, method, and what is said of it."""
    for path, described in document()["paths"].items():
        for method, about in described.items():
            yield path, method.upper(), about


def routes(served: Application) -> Iterator[tuple[PathMatches, type[Handler]]]:
    """Give every route of an application."""
    for rule in served.wildcard_router.rules:
        assert isinstance(rule.matcher, PathMatches)
        assert issubclass(rule.target, Handler)
        yield rule.matcher, rule.target


def methods(handler: type[Handler]) -> set[str]:
    """Say what a handler takes."""
    return {
        each for each in handler.SUPPORTED_METHODS if _implements(handler.__new__(handler), each)
    }


async def test_routes(house: Listeners) -> None:
    """Every route is described, with each of its methods, and nothing else is."""
    described: set[Operation] = set()
    for matcher, handler in routes(application(house.services)):
        here = {path for path in document()["paths"] if matcher.regex.match(path.format(id="x"))}
        assert here, matcher.regex.pattern
        for path in here:
            there = {method.upper() for method in document()["paths"][path]}
            assert methods(handler) == there, path
            described |= {(path, method) for method in there}
    assert described == {(path, method) for path, method, _ in operations()}


async def test_who_may_ask(house: Listeners) -> None:
    """What is for operators alone is marked, and so is what asks for no token."""
    for matcher, handler in routes(application(house.services)):
        for path, method, about in operations():
            if matcher.regex.match(path.format(id="x")):
                said = (about.get("x-operators-only", False), "401" in about["responses"])
                assert (handler.is_for_operators, not handler.is_open_to_all) == said, (
                    method,
                    path,
                )


def problems(about: Any) -> Iterable[str]:
    """Give the kinds of problem that a response may be."""
    content = resolved(about).get("content", {}).get("application/problem+json")
    return content["schema"]["allOf"][1]["properties"]["type"]["enum"] if content else ()


def refusals(root: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    """Give every kind of refusal."""
    for each in root.__subclasses__():
        yield each
        yield from refusals(each)


def test_problems() -> None:
    """Every kind of refusal is described under its status, and no kind that there is not."""
    for module in pkgutil.walk_packages(plivostatusd.__path__, "plivostatusd."):
        if "__main__" not in module.name:
            import_module(module.name)
    ours = {each for each in refusals() if each.__module__.startswith("plivostatusd.")}
    ours -= {each for each in ours if issubclass(each, OF_THE_PUBLIC_LISTENER)}
    there_are = {(each.slug, each.http_status) for each in ours} | OF_NO_CLASS
    there_are.discard(("spool-in-use", 409))  # met on the way, in a last line
    described = {
        (kind.rpartition(":")[2], int(status))
        for _, _, about in operations()
        for status, response in about["responses"].items()
        for kind in problems(response)
    }
    assert there_are == described


def references(part: Any) -> Iterator[str]:
    """Give every reference in *part*."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from references(each)


def test_references() -> None:
    """Whatever is referred to is there, and whatever is there is referred to."""
    used = set(references(document()))
    for each in used:
        target(each)
    kinds = ("parameters", "responses", "schemas")
    there_are = {
        f"#/components/{kind}/{name}" for kind in kinds for name in document()["components"][kind]
    }
    assert there_are == used


def test_names() -> None:
    """Each operation has a name of its own, a summary, and a tag that is explained."""
    names = [about["operationId"] for _, _, about in operations()]
    assert len(names) == len(set(names))
    tags = {each["name"] for each in document()["tags"]}
    assert tags == {tag for _, _, about in operations() for tag in about["tags"]}
    assert all(about["summary"] for _, _, about in operations())


@pytest.mark.parametrize("name", sorted(document()["components"]["schemas"]))
def test_schemas(name: str) -> None:
    """Each schema is one of JSON Schema 2020-12."""
    meta.validate(closed(document()["components"]["schemas"][name]))


class Asker:
    """Asks the house, and holds each answer against the document."""

    def __init__(self, house: Listeners) -> None:
        self.house = house
        self.seen: set[tuple[str, str, int]] = set()

    async def __call__(
        self, method: str, target: str, body: Any = None, *, by_tcp: bool = False, **headers: str
    ) -> Answer:
        """Ask over the Unix socket, or by TCP."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        if by_tcp or named:
            reply = await self.house.api(method, target, body, named)
        else:
            given = b"" if method == "POST" and body is None else body
            reply = await self.house.operator(method, target, given)
        self.seen.add(check_answer(method, target.partition("?")[0], reply))
        return reply

    @property
    def good(self) -> set[Operation]:
        """Give the operations that have been answered with success."""
        return {(path, method) for method, path, status in self.seen if status < 300}


async def look_about(ask: Asker, name: str) -> None:
    """Ask for all that changes nothing."""
    for path in ("/health", "/ready", "/metrics", "/openapi.json", "/tokens", "/doctor"):
        assert 200 == (await ask("GET", path)).status
    await ask("HEAD", "/health", by_tcp=True)
    for path in ("/doctor/store", "/doctor/refused", "/stats", "/export", "/events", "/messages"):
        assert 200 == (await ask("GET", path)).status
    for part in ("day", "status", "country", "carrier", "tag", "error"):
        assert 200 == (await ask("GET", f"/stats?per={part}")).status
    await ask("GET", "/messages?limit=1&since=2026-01-01T00:00:00Z&final=false")
    await ask("GET", f"/messages/{name}")
    for path in (f"/messages/{name}/evidence", f"/messages/{name}/evidence?ask=0"):
        assert 200 == (await ask("GET", path)).status


async def do_by_hand(ask: Asker, name: str) -> None:
    """Do all that an operator can do."""
    for path in ("/outbox/hold", "/outbox/release", "/backup", "/doctor/probe"):
        assert 200 == (await ask("POST", path)).status
    for path in ("/replay", "/replay?since=2026-01-01T00:00:00Z&limit=1", "/reconcile"):
        assert 200 == (await ask("POST", path)).status
    await ask("POST", "/reconcile", {"ids": [name, "nobody"]})
    await ask("POST", "/rebuild", {"progress": True})
    await ask("POST", "/rebuild", {"ids": [name, "nobody"]})
    await ask("POST", "/messages/nobody/cancel")
    await ask("POST", f"/messages/{name}/cancel")
    await ask("POST", f"/messages/{name}/cancel")
    entry = await ask.house.writer.submit(lambda tx: entries.claim(tx, 2**50, 2**60))
    await ask.house.writer.submit(lambda tx: entries.settle_unknown(tx, entry.row, "lost", 1, 1))
    ((lost,),) = ask.house.rows("SELECT id FROM messages WHERE row = ?", entry.row)
    await ask("POST", f"/messages/{lost}/settle", {"outcome": "maybe"})
    await ask("POST", f"/messages/{lost}/settle", {"outcome": "sent", "message_uuid": UUID})
    uuid = UUID.replace("b", "d")
    await ask("POST", f"/messages/{lost}/settle", {"outcome": "sent", "message_uuid": uuid})
    await ask("POST", f"/messages/{lost}/settle", {"outcome": "not-sent"})
    await ask("POST", "/import", {"rows": [{"message_uuid": UUID, "status": "read"}, {}]})
    await ask("POST", "/import", {"rows": []})
    await ask("POST", "/forget", {"number": "nobody"})
    await ask("POST", "/forget", {"number": TO})
    await ask("GET", f"/messages/{lost}")


@pytest.mark.allow_log("callback_refused|front_door_closed|outbox_held|number_forgotten")
async def test_answers(house: Listeners) -> None:
    """What each operation answers, when all is well and when not, is as it is described."""
    ask = Asker(house)
    for uuid, status in ((UUID, "sent"), (UUID, "delivered"), (UUID.replace("b", "c"), "failed")):
        fields = {"MessageUUID": uuid, "ErrorCode": "420" if status == "failed" else ""}
        await house.deliver(callback(house, status, fields=fields))
    forged = callback(house, token="another-token-0815")
    await house.deliver(without_v3(forged))
    name = (await ask("POST", "/send?wait=0", SEND | {"tag": "hello"})).json["id"]
    await ask("POST", "/send?wait=0", b"to=%2B14155552323&text=hello", by_tcp=True)
    await ask("POST", "/send?wait=0", SEND | {"to": [TO, "+14155552424"]})
    await look_about(ask, UUID)
    await look_about(ask, name)
    await do_by_hand(ask, name)
    assert {(path, method) for path, method, _ in operations()} == ask.good


async def test_refusals(house: Listeners) -> None:
    """What is refused is refused as it is described."""
    ask = Asker(house)
    for body in (b"", b"{", b"text=hello", {"to": "1", "text": ""}):
        assert 400 == (await ask("POST", "/send", body)).status
    assert 413 == (await ask("POST", "/send", b"x" * (2**20 + 1))).status
    await ask("POST", "/send?wait=0", SEND, Idempotency_Key="first")
    assert 422 == (await ask("POST", "/send", SEND | {"tag": "x"}, Idempotency_Key="first")).status
    for path in ("/messages?limit=0", "/events?after=1", "/stats?per=hour", "/export?since=now"):
        assert 400 == (await ask("GET", path)).status
    assert 404 == (await ask("GET", "/messages/nobody")).status
    assert 410 == (await ask("GET", "/events?after=00000000-1")).status
    assert 403 == (await ask("GET", "/messages", Host="elsewhere.example")).status
    assert 403 == (await ask("GET", "/messages", Origin="http://elsewhere.example")).status
    assert 403 == (await ask("GET", "/tokens", by_tcp=True)).status


@pytest.mark.allow_log("outbox_held")
async def test_plivo_refuses(house: Listeners) -> None:
    """A message that Plivo refuses is answered as it is described, with the message."""
    await house.outbox.start()
    ask = Asker(house)
    reply = await ask("POST", "/send?wait=10s", SEND | {"to": "+14155550012"})
    assert 422 == reply.status
    assert "refused" == reply.json["message"]["status"]


def test_no_secrets() -> None:
    """The document is as it is for everybody: nothing of this installation is in it."""
    assert "0" != document()["info"]["version"]
    assert plivostatusd.__version__ == document()["info"]["version"]
    assert json.dumps(document()).isascii()
