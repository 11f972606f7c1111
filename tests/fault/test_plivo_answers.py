"""
Plivo answers wrongly or not at all, over real sockets: what becomes of a message, and of others.

A table of what Plivo does to a message that has reached it, in groups that share a daemon. Each
case is a message of its own, with the status and the reason it must end with, what the log calls
each of its calls, and how often it may arrive: once, or once more after a 429.
"""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fault.bad_day import GROWTH_KIB_MAX, TIMEOUT_S, BadDay, bad_day, victim
from tests.fault.bad_plivo import (
    FLOOD_BYTES,
    HEAD,
    HTML,
    PIECE,
    TAKEN,
    WHOLE,
    Plivo,
    bomb,
    chunked,
    packed,
    pour,
    redirect,
    say,
    slow_down,
    take,
    then,
    unread,
)
from tests.meta.source import FIGURES
from tests.unit.test_plivo_server import Act, ScriptedServer, cut, dribble, reply, reset, swallow

YEARS_S = 100 * 365 * 86_400.0
ENDS_S_MAX = TIMEOUT_S + 2.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """What Plivo does to a message, one act a request, and what must become of it."""

    acts: tuple[Act, ...]
    status: str
    reason: str
    outcomes: tuple[str, ...]
    posts: int = 1


def unknown(reason: str, act: Act) -> Case:
    """Nobody can tell whether Plivo took it: it is not sent again."""
    return Case(acts=(act,), status="unknown", reason=reason, outcomes=("unknown",))


def refused(reason: str, act: Act) -> Case:
    """Plivo will not have it."""
    return Case(acts=(act,), status="refused", reason=reason, outcomes=("refused",))


def accepted(act: Act) -> Case:
    """Plivo took it, strange as its answer is."""
    return Case(acts=(act,), status="queued", reason="^$", outcomes=("accepted",))


def put_off(retry_after: str | float | None) -> Case:
    """Plivo asks to slow down, and takes it when it comes again."""
    return Case(
        acts=(slow_down(retry_after), take),
        status="queued",
        reason="^$",
        outcomes=("not_sent", "accepted"),
        posts=2,
    )


def put_off_for_ever(retry_after: str | float) -> Case:
    """Plivo asks to wait for longer than anybody has patience."""
    return Case(
        acts=(slow_down(retry_after),),
        status="refused",
        reason=r"^retry_for .* \(429\)$",
        outcomes=("not_sent",),
    )


NAMES_NONE = "^an answer that names no message$"
NOT_WHOLE = "^no whole answer within 1 s$"
CUT_OFF = {
    "reset before it was read": Case(
        acts=(), status="unknown", reason="^Conn|Remote", outcomes=("unknown",), posts=0
    ),
    "reset after it was read": unknown("^ConnectionResetError", reset),
    "closed after it was read": unknown("^RemoteDisconnected$", cut(b"")),
    "closed in the status line": unknown("^BadStatusLine|Remote", cut(WHOLE[:8])),
    "closed in the head": unknown(NAMES_NONE, cut(WHOLE[:20])),
    "closed in the body": unknown("^IncompleteRead$", cut(WHOLE[:-20])),
    "closed in a chunk": unknown("^IncompleteRead$", cut(chunked(TAKEN[:9], last=b"99\r\n{"))),
    "closed between chunks": unknown("^ValueError$", cut(chunked(TAKEN, last=b""))),
}
SILENT = {
    "no answer": unknown(NOT_WHOLE, swallow),
    "half an answer": unknown(NOT_WHOLE, then(say(WHOLE[:-20]), swallow)),
    "all but the last chunk": unknown(NOT_WHOLE, then(say(chunked(TAKEN, last=b"")), swallow)),
    "hundreds of MiB promised": unknown(NOT_WHOLE, then(say(HEAD % FLOOD_BYTES + PIECE), swallow)),
    "a body byte by byte": unknown(NOT_WHOLE, dribble(HEAD % 9999)),
    # Our own cut at the time-out may read like the end of the head, and no UUID was in it.
    "a head byte by byte": unknown(
        f"{NOT_WHOLE}|{NAMES_NONE}", dribble(b"HTTP/1.1 202 Said\r\nX: ")
    ),
}
GARBLED = {
    "202 with garbage": unknown(NAMES_NONE, reply(202, b"\x00\xff\xfe{]")),
    "202 with no UUID": unknown(NAMES_NONE, reply(202, b'{"message": "message(s) queued"}')),
    "202 with a list of none": unknown(NAMES_NONE, reply(202, b'{"message_uuid": []}')),
    "202 with another type": unknown(NAMES_NONE, reply(202, b'{"message_uuid": [{"a": 1}]}')),
    "202 with a page": unknown(NAMES_NONE, reply(202, HTML)),
    "202 shorter than it is": unknown(NAMES_NONE, say(HEAD % (len(TAKEN) - 9) + TAKEN)),
    "202 with broken chunks": unknown("^ValueError$", say(chunked(TAKEN, last=b"zz\r\n\r\n"))),
    "202 in broken gzip": unknown("^error$", reply(202, b"\x1f\x8b\x08x", Content_Encoding="gzip")),
    "202 in gzip": accepted(packed(TAKEN)),
    "200 with nothing": unknown(NAMES_NONE, reply(200)),
    "204": unknown(NAMES_NONE, reply(204)),
    "another protocol": unknown("^BadStatusLine$", say(b"220 mail.example.com ESMTP\r\n")),
}
REFUSED = {
    "400": refused(r"\(400\)", reply(400, b'{"error": "no"}')),
    "404 with a page": refused(r"\(404\)", reply(404, HTML)),
    "422": refused(r"\(422\)", reply(422, b'{"error": ["no"]}')),
    "408": unknown("^HTTP 408$", reply(408)),
    "500": unknown("^HTTP 500$", reply(500, b'{"error": "oops"}')),
    "502 with a page": unknown("^HTTP 502$", reply(502, HTML)),
    "503 with Retry-After": unknown("^HTTP 503$", reply(503, Retry_After="1")),
    "504": unknown("^HTTP 504$", reply(504)),
}
SLOWED_DOWN = {
    "429": put_off(None),
    "429, 1 s": put_off("1"),
    "429, a date": put_off(1.9),
    "429, a date gone by": put_off(-9e8),
}
SLOWED_DOWN_FOR_EVER = {
    "429, 20 digits": put_off("9" * 20),
    "429, 30 years": put_off_for_ever("999999999"),
    "429, a date in 100 years": put_off_for_ever(YEARS_S),
}
INTERIM = {
    "100, then 202": accepted(say(b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE)),
    "100 for ever": unknown(NOT_WHOLE, pour(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)),
    "101": unknown("^HTTP 101$", say(b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n")),
    "103, then 202": unknown("^HTTP 103$", say(b"HTTP/1.1 103 Early Hints\r\n\r\n" + WHOLE)),
    "103 for ever": unknown("^HTTP 103$", pour(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)),
}
TOO_LARGE = "^AnswerTooLargeError$"
HUGE = {
    "by length": unknown(TOO_LARGE, pour(HEAD % FLOOD_BYTES)),
    "by chunks": unknown(TOO_LARGE, pour(chunked(last=b""), b"40000\r\n" + PIECE + b"\r\n")),
    "without an end": unknown(TOO_LARGE, pour(b"HTTP/1.1 202 Said\r\nConnection: close\r\n\r\n")),
    "unpacked": unknown(TOO_LARGE, reply(202, bomb(mebibytes=300), Content_Encoding="gzip")),
    "a chunk's length": unknown("^ProtocolError$", pour(chunked(last=b""), b"0" * 65_536)),
    "a header": unknown("^LineTooLong$", pour(b"HTTP/1.1 202 Said\r\nX: ", b"x" * 65_536)),
    "a status line": unknown("^LineTooLong$", pour(b"HTTP/1.1 202 ", b"x" * 65_536)),
    "headers": unknown("^HTTPException$", pour(b"HTTP/1.1 202 Said\r\n", b"X: y\r\n" * 1000)),
}
REDIRECTS = (301, 302, 303, 307, 308)
GROUPS = {
    "cut off": CUT_OFF,
    "silent": SILENT,
    "garbled": GARBLED,
    "refused": REFUSED,
    "slowed down": SLOWED_DOWN,
    "slowed down for ever": SLOWED_DOWN_FOR_EVER,
    "interim": INTERIM,
    "huge": HUGE,
}


@pytest.mark.parametrize("group", GROUPS)
async def test_answers(group: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Whatever Plivo answers, the message ends so, arrived so often, and all others go on."""
    cases = GROUPS[group]
    victims = {name: victim(number) for number, name in enumerate(cases)}
    acts = {victims[name]: case.acts for name, case in cases.items()}
    unread_one = victims.get("reset before it was read")
    plivo = Plivo(acts, greet=unread(unread_one), closes=True) if unread_one else Plivo(acts)
    async with bad_day(tmp_path, plivo) as day:
        await day.others_go_on()
        before_kib = day.peak_kib()
        ids = {name: await day.begin(victims[name]) for name in cases}
        await day.others_go_on()
        ends = {name: await ended(day, ids[name], case) for name, case in cases.items()}
        await day.others_go_on()
        for name, case in cases.items():
            assert (name, case.posts) == (name, plivo.posts(victims[name]))
            assert (name, [*case.outcomes]) == (name, day.outcomes(ids[name]))
            reason = ends[name]["reason"] or ""
            assert re.search(case.reason, reason), (name, reason)
        assert day.peak_kib() - before_kib < GROWTH_KIB_MAX
        stats = (await day.daemon.api("GET", "/stats")).json["outbox"]
        assert (0, 0) == (stats["pending"], stats["claimed"])
    figures = request.config.stash.setdefault(FIGURES, [])
    figures.append(f"plivo, {group}: {len(cases)} ways")


async def ended(day: BadDay, message_id: str, case: Case) -> dict[str, Any]:
    """Wait for a message's end, which must come in time whatever Plivo does."""
    async with asyncio.timeout(ENDS_S_MAX):
        return await day.until(message_id, case.status)


async def test_redirects(tmp_path: Path) -> None:
    """A redirect is never followed: the other host hears nothing, least of all the token."""
    elsewhere = ScriptedServer(reply(202, TAKEN))
    victims = {victim(status): [redirect(status, elsewhere)] for status in REDIRECTS}
    plivo = Plivo(victims)
    async with bad_day(tmp_path, plivo) as day:
        for status, to in zip(REDIRECTS, victims, strict=True):
            answer = await day.send(to, wait="5s")
            assert ("unknown", f"HTTP {status}") == (answer.json["status"], answer.json["reason"])
        await day.others_go_on()
    elsewhere.close()
    assert 0 == elsewhere.connections
    assert {1} == {plivo.posts(to) for to in victims}


SURPLUS = {
    "a whole one": [WHOLE, WHOLE],
    "the rest of one": [HEAD % (len(TAKEN) - 9) + TAKEN],
    "after an interim one": [b"HTTP/1.1 103 Early Hints\r\n\r\n", WHOLE],
}


@pytest.mark.parametrize("surplus", SURPLUS)
async def test_answers_nobody_asked_for(surplus: str, tmp_path: Path) -> None:
    """What has come beyond an answer is never taken for the answer to the next message."""
    plivo = Plivo({victim(0): [then(*map(say, SURPLUS[surplus]))]})
    async with bad_day(tmp_path, plivo, plivo={"concurrency": "1"}) as day:
        await day.send(victim(0), wait="5s")
        for _ in range(3):
            await day.others_go_on()
    assert 1 == plivo.posts(victim(0))


async def test_an_answer_after_an_interim_one(tmp_path: Path) -> None:
    """An answer that follows an interim one later on is not taken for that of the next message."""

    def late(_server: ScriptedServer, sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        sock.recv(1, socket.MSG_PEEK)  # until the next request comes, or the end of all
        sock.sendall(WHOLE)

    plivo = Plivo({victim(0): [late]})
    async with bad_day(tmp_path, plivo, plivo={"concurrency": "1"}) as day:
        answer = await day.send(victim(0), wait="5s")
        assert ("unknown", "HTTP 103") == (answer.json["status"], answer.json["reason"])
        await day.others_go_on()
