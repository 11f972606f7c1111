"""
Requests that a proxy and we might cut apart differently: never two out of one, but an error.

Each case is a request to /health with another one behind it, which would do something: a signed
callback on the public listener, a send on the local one. Where there are two ways to read the
first, it is refused, the connection closed, and the other never looked at.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.fault.strangers import BEARER, TO, Siege, besieged, spelt_callback
from tests.wire import Place, Wire, spelt

pytestmark = pytest.mark.usefixtures("each_transport")

LINE = b"POST /health HTTP/1.1"
HOST = b"Host: localhost"
LENGTH = b"Content-Length: 3"
CHUNKED = b"Transfer-Encoding: chunked"
TOKEN = f"Authorization: {BEARER['Authorization']}".encode()
SMUGGLED = "bad0bad0"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"


def head(*fields: bytes, line: bytes = LINE, host: bytes = HOST) -> bytes:
    """Spell a head."""
    return b"\r\n".join(each for each in (line, host, *fields) if each) + b"\r\n\r\n"


LENGTHS = {
    "length given twice": head(LENGTH, LENGTH) + b"abc",
    "length given twice, differing": head(LENGTH, b"Content-Length: 0") + b"abc",
    "length given twice, apart": head(LENGTH, b"X: y", b"content-length: 3") + b"abc",
    "length a list": head(b"Content-Length: 3, 3") + b"abc",
    "length a list, differing": head(b"Content-Length: 3,0") + b"abc",
    **{
        f"length {text!r}": head(b"Content-Length:" + text) + b"abc"
        for text in (
            *(b"", b" ", b" +3", b" -3", b" 0x3", b" 3_0", b" 3.0", b" 3 3", b" 3;", b" '3'"),
            *(b" three", b" \xb3", b" \xef\xbc\x93", b" 3\x00", b" \x0b3", b" 1e0", b" 3,"),
        )
    },
}
CODINGS = {
    "beside a length": head(LENGTH, CHUNKED) + CHUNKS,
    "before a length": head(CHUNKED, LENGTH) + CHUNKS,
    "before length 0": head(CHUNKED, b"Content-Length: 0") + CHUNKS,
    "coding given twice": head(CHUNKED, CHUNKED) + CHUNKS,
    "with another one": head(CHUNKED, b"Transfer-Encoding: identity") + CHUNKS,
    "of HTTP/1.0": head(CHUNKED, line=b"POST /health HTTP/1.0") + CHUNKS,
    "of HTTP/1.0, kept": head(CHUNKED, b"Connection: keep-alive", line=LINE[:-1] + b"0") + CHUNKS,
    **{
        f"coding {text!r}": head(b"Transfer-Encoding:" + text) + CHUNKS
        for text in (
            *(b" identity", b" chunked, identity", b" identity, chunked", b" gzip, chunked"),
            *(b" chunked;q=1", b" xchunked", b" chunked,", b" ,chunked", b' "chunked"', b""),
            *(b" \x0bchunked", b" chunked\x00", b" chunked\x0c", b" chun ked", b" gzip"),
        )
    },
}
LINES = {
    "LF between fields": head(b"X: y\n" + CHUNKED) + CHUNKS,
    "LF after a field": head(LENGTH + b"\nX: y") + b"abc",
    "LF throughout": head(LENGTH).replace(b"\r\n", b"\n") + b"abc",
    "LF at the end": head(LENGTH)[:-2] + b"\nabc",
    "two LF at the end": head(LENGTH)[:-4] + b"\n\nabc",
    "LF after the request line": head(LENGTH).replace(b"1.1\r\n", b"1.1\n") + b"abc",
    "LF before all": b"\n" + head(LENGTH) + b"abc",
    "CR between fields": head(b"X: y\r" + CHUNKED) + CHUNKS,
    "CR CR LF": head(b"X: y\r\r\n" + CHUNKED) + CHUNKS,
    "CR in the request line": head(LENGTH).replace(b"1.1\r\n", b"1.1\r\r\n") + b"abc",
    "folded": head(b"X: y\r\n " + CHUNKED) + CHUNKS,
    "folded by a tab": head(b"X: y\r\n\t" + LENGTH) + b"abc",
    "a length, folded": head(b"Content-Length:\r\n 3") + b"abc",
    "a blank first": head(host=b" " + CHUNKED) + CHUNKS,
}
NAMES = {
    f"name {name!r}": head(name + b": chunked") + CHUNKS
    for name in (
        *(b"Transfer-Encoding ", b"Transfer-Encoding\t", b"Transfer-Encoding\x00", b"\x00X"),
        *(b"Transfer Encoding", b"", b"Transfer-Encoding\xa0", b"(X)", b"X:\x00Y", b"X@Y"),
        *(b"\xefX", b"X\x7f", b'"X"', b"X\x0b"),
    )
} | {
    "no colon": head(b"Transfer-Encoding chunked") + CHUNKS,
    "two hosts": head(HOST, LENGTH) + b"abc",
    "two differing hosts": head(b"Host: other", LENGTH) + b"abc",
    "no host": head(LENGTH, host=b"") + b"abc",
}
REQUEST_LINES = {
    f"line {line!r}": head(LENGTH, line=line) + b"abc"
    for line in (
        *(b"POST  /health HTTP/1.1", b"POST /health  HTTP/1.1", b"POST\t/health HTTP/1.1"),
        *(b" POST /health HTTP/1.1", b"POST /health HTTP/1.1 ", b"POST /health", b"POST"),
        *(b"POST /health http/1.1", b"POST /health HTTP/2.0", b"POST /health HTTP/1.1.1"),
        *(b"POST /he\x00alth HTTP/1.1", b"POST /he alth HTTP/1.1", b"PO(ST /health HTTP/1.1"),
        *(b"POST\x0b/health HTTP/1.1", b"P\x00ST /health HTTP/1.1", b"POST /health HTTP/1,1"),
        *(b"/health", b"HTTP/1.1 200 OK", b"PRI * HTTP/2.0", b"POST /health HTTP/11"),
    )
}
CHUNKINGS = {
    f"chunks {chunks!r}": head(CHUNKED) + chunks
    for chunks in (
        *(b"+3\r\nabc\r\n0\r\n\r\n", b"-3\r\nabc\r\n0\r\n\r\n", b"0x3\r\nabc\r\n0\r\n\r\n"),
        *(b" 3\r\nabc\r\n0\r\n\r\n", b"3 \r\nabc\r\n0\r\n\r\n", b"3_\r\nabc\r\n0\r\n\r\n"),
        *(b"\r\nabc\r\n0\r\n\r\n", b"g\r\nabc\r\n0\r\n\r\n", b"\xb3\r\nabc\r\n0\r\n\r\n"),
        *(b"3;x=y\r\nabc\r\n0\r\n\r\n", b'3;x="\r\nabc\r\n0\r\n\r\n', b"3;\r\nabc\r\n0\r\n\r\n"),
        *(b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n", b"8000000000000000\r\nabc\r\n0\r\n\r\n"),
        *(b"100000003\r\nabc\r\n0\r\n\r\n", b"0" * 70 + b"3\r\nabc\r\n0\r\n\r\n"),
        *(
            b"3\nabc\r\n0\r\n\r\n",
            b"3\r\nabc\n0\r\n\r\n",
            b"3\r\nabc\r\n0\n\r\n",
            b"3\r\nabc\r\n0\r\n\n",
        ),
        *(b"3\rabc\r\n0\r\n\r\n", b"3\r\r\nabc\r\n0\r\n\r\n", b"3\x00\r\nabc\r\n0\r\n\r\n"),
        *(b"3\r\nabcd\r\n0\r\n\r\n", b"3\r\nabc0\r\n\r\n", b"4\r\nabc\r\n0\r\n\r\n"),
        *(b"3\r\nabc\r\n0\r\nX: y\r\n\r\n", b"3\r\nabc\r\n-0\r\n\r\n", b"3\r\nabc\r\n0;x\r\n\r\n"),
        *(b"3\r\nabc\r\n0\r\n", b"3\r\nabc\r\n", b"abc"),
    )
}
PLAIN = {
    "a length": head(LENGTH) + b"abc",
    "a length with blanks": head(b"Content-Length: \t 3 \t") + b"abc",
    "a length with zeros": head(b"Content-Length: 0003") + b"abc",
    "a length in capitals": head(b"CONTENT-LENGTH:3") + b"abc",
    "chunks": head(CHUNKED) + CHUNKS,
    "chunks in capitals": head(b"TRANSFER-ENCODING:CHUNKED") + CHUNKS,
    "chunks in odd case": head(b"transfer-Encoding: \t cHuNkEd ") + CHUNKS,
    "chunk sizes with zeros": head(CHUNKED) + b"0003\r\nabc\r\n000\r\n\r\n",
    "an empty line before": b"\r\n" + head(LENGTH) + b"abc",
    "a request in the body": head(b"Content-Length: 20") + b"GET / HTTP/1.1\r\n\r\n\r\n",
    "a name with _": head(b"Content_Length: 90", b"Transfer_Encoding: chunked", LENGTH) + b"abc",
    "upgrade": head(LENGTH, b"Upgrade: h2c", b"Connection: Upgrade") + b"abc",
    "DELETE with a body": head(LENGTH, line=b"DELETE /health HTTP/1.1") + b"abc",
}
LAST = {
    "HTTP/1.1, close": head(LENGTH, TOKEN, b"Connection: close") + b"abc",
    "HTTP/1.1, CLOSE": head(LENGTH, TOKEN, b"connection: CLOSE") + b"abc",
    "HTTP/1.0": head(LENGTH, TOKEN, line=b"POST /health HTTP/1.0") + b"abc",
    "HTTP/1.0, chosen so": head(TOKEN, b"Connection: close", line=LINE[:-1] + b"0"),
}
ODD = {
    "method in odd case": (405, head(LENGTH, TOKEN, line=b"pOsT /health HTTP/1.1") + b"abc"),
    "method of our own": (405, head(LENGTH, TOKEN, line=b"BREW /health HTTP/1.1") + b"abc"),
    "absolute form": (
        404,
        head(LENGTH, TOKEN, line=b"POST http://localhost/health HTTP/1.1") + b"abc",
    ),
    "another's host": (
        404,
        head(LENGTH, TOKEN, line=b"POST http://other/health HTTP/1.1") + b"abc",
    ),
}


async def statuses(place: Place, data: bytes) -> list[int]:
    """Send everything in one segment; give the status of each answer, once the connection ends."""
    async with Wire.to(place) as wire:
        await wire.write(data)
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", await wire.rest())]


def hidden(siege: Siege) -> Iterator[tuple[Place, bytes, int]]:
    """Give a request that does something, for each place, and what answers it."""
    public, *local = siege.places
    yield public, spelt_callback(siege.daemon, SMUGGLED + str(uuid4())[len(SMUGGLED) :]), 200
    for place in local:
        fields = {**BEARER, "Connection": "close"}
        yield place, spelt("POST", "/send?wait=0", {"to": TO, "text": SMUGGLED}, fields), 202


def smuggled(siege: Siege) -> int:
    """Count what hidden requests have done."""
    sql = "SELECT count(*) FROM messages WHERE message_body = ? OR message_uuid LIKE ?"
    return int(siege.daemon.rows(sql, SMUGGLED, f"{SMUGGLED}%")[0][0])


async def test_ambiguous(tmp_path: Path) -> None:
    """Whatever can be read in two ways is 400 or cut, with nothing of what is behind it done."""
    parts = (LENGTHS, CODINGS, LINES, NAMES, REQUEST_LINES, CHUNKINGS)
    cases = {name: data for part in parts for name, data in part.items()}
    assert len(cases) == sum(map(len, parts))
    async with besieged(tmp_path, head_s_max=1, body_s_max=1) as siege:
        tries = [
            (name, place, data + behind)
            for name, data in cases.items()
            for place, behind, _ in hidden(siege)
        ]
        answers = await siege.good_until(
            asyncio.gather(*(statuses(place, data) for _, place, data in tries))
        )
        wrong = [
            (name, place, found)
            for (name, place, _), found in zip(tries, answers, strict=True)
            if found not in ([], [400])
        ]
        assert [] == wrong
        assert 0 == smuggled(siege)
        await siege.end(mib_max=32)


async def test_plain(tmp_path: Path) -> None:
    """What has one reading is answered, and so is what comes behind it: two for two."""
    async with besieged(tmp_path) as siege:
        for name, data in PLAIN.items():
            for place, behind, status in hidden(siege):
                ending = spelt("GET", "/health", headers={"Connection": "close"})
                found = await statuses(place, data + behind + ending)
                assert [405, status] == found[:2], name
        assert 3 * len(PLAIN) == smuggled(siege)
        await siege.end(mib_max=32)


async def test_last(tmp_path: Path) -> None:
    """Behind the request that ends its connection nothing is read, though it has come."""
    async with besieged(tmp_path) as siege:
        for name, data in LAST.items():
            for place, behind, _ in hidden(siege):
                assert [405] == await statuses(place, data + behind), name
        assert 0 == smuggled(siege)
        await siege.end(mib_max=32)


async def test_odd(tmp_path: Path) -> None:
    """An odd method or target is refused; what comes behind it is a request, or is cut off."""
    async with besieged(tmp_path) as siege:
        for name, (refusal, data) in ODD.items():
            for place, behind, status in hidden(siege):
                ending = spelt("GET", "/health", headers={"Connection": "close"})
                found = await statuses(place, data + behind + ending)
                assert found in ([refusal], [refusal, status], [refusal, status, 200]), name
        await siege.end(mib_max=32)
