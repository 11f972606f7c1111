"""
Connections of a client that would smuggle, drawn: what servers have cut apart differently.

A connection is one to three requests and a marker behind them. Each request begins as an honest
one, whose body often is a request itself, and is twisted, three times at most, by what catalogues
of such attacks list. Who finds another number of requests in it than his neighbour was fooled.

Sources: RFC 9112, sections 2.2, 5.2, 6.1, 6.3, 7.1, 11.1, 11.2; J. Kettle, "HTTP Desync Attacks"
(2019) and "Browser-Powered Desync Attacks" (2022); the CVE entries of Nginx, Tornado and llhttp
about Transfer-Encoding, Content-Length and chunk extensions; read 2026-11-30.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

HIDDEN: Final = b"GET /plivo/hidden HTTP/1.1\r\nHost: sms.example.com\r\n\r\n"
"""What a smuggler would have done."""
MARKER: Final = b"GET /plivo/marker HTTP/1.1\r\nHost: sms.example.com\r\nConnection: close\r\n\r\n"
"""The last request of a connection."""

_METHODS: Final = (
    *(b"POST", b"GET", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT"),
    *(b"BREW", b"get", b"PRI", b"ANNOUNCE", b"M-SEARCH", b"GET\t", b" GET", b"GE\x00T", b"_"),
)
_TARGETS: Final = (
    *(b"/plivo/status", b"/plivo/a?b=c&d", b"http://sms.example.com/plivo/absolute", b"*"),
    *(b"//plivo/a", b"/plivo/%2e%2e/a", b"/plivo/../plivo/a", b"/plivo/\xff", b"/plivo/a b"),
    *(b"/plivo/#a", b"http://other/plivo/a", b"/plivo/%00", b"/plivo/\x00", b"plivo", b""),
    *(b"HTTP://sms.example.com", b"/plivo/\ta", b"/plivo/" + b"a" * 3_000, b"/plivo/%"),
)
_VERSIONS: Final = (
    *(b"HTTP/1.0", b"HTTP/1.2", b"HTTP/0.9", b"HTTP/2.0", b"http/1.1", b"HTTP/1.1 ", b"HTTP/1.10"),
    *(b"HTTP/01.1", b"HTTP/1,1", b"HTTP/1", b" HTTP/1.1", b"\x0bHTTP/1.1", b""),
)
_LENGTHS: Final = (
    *(b"0", b"1", b"00", b"+3", b"-1", b"0x3", b"3, 3", b"3,4", b"3 3", b"", b" ", b"3;", b"\t3\t"),
    *(b"18446744073709551616", b"9223372036854775808", b"4294967299", b"1e1", b"\x0b3", b"3\x00"),
    *(b"\xb3", b"53", b"%d" % len(HIDDEN)),
)
_CODINGS: Final = (
    *(b"chunked", b"Chunked", b"identity", b"gzip, chunked", b"chunked, identity", b"chunked;q=1"),
    *(b"xchunked", b"chunked,", b",chunked", b'"chunked"', b"", b"\x0bchunked", b"chunked\x00"),
    *(b"chunked\x0c", b"chun ked", b"chunked\t", b"chunked chunked", b"\x00", b"chunkedchunked"),
)
_FIELDS: Final = (
    *(b"Host: other", b"Host: sms.example.com", b"Host:", b"Host : x", b"Host: a b", b"host: x, y"),
    *(b"Connection: close", b"Connection: keep-alive", b"Connection: Content-Length, close"),
    *(b"Connection: transfer-encoding", b"Connection: upgrade", b"Upgrade: h2c", b"Upgrade: x"),
    *(b"Expect: 100-continue", b"Expect: 100-Continue", b"Expect: x", b"TE: trailers, chunked"),
    *(b"Trailer: Content-Length", b"X: y", b"X:", b"X :y", b": y", b"X", b"X\x00: y", b"X: \x00"),
    *(b"X: \x01\x7f\x80\xff", b"X: \r", b"Content_Length: 3", b"Content-Length : 3", b"X: a\x0bb"),
    *(b"Transfer-Encoding : chunked", b"Transfer_Encoding: chunked", b"Transfer-Encoding\t: x"),
    *(b"Content-Length\x00: 3", b"X-Nginx-Id: forged", b"X: " + b"y" * 5_000, b"Keep-Alive: 300"),
    *(b"Proxy-Connection: close", b"HTTP2-Settings: AAA", b"Range: bytes=0-1", b"Content-Type: x"),
)
_ENDS: Final = (
    b"\n",
    b"\r",
    b"\r\r\n",
    b"\n\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\r\n\t",
    b"",
    b"\x00\r\n",
)
_SIZES: Final = (
    *(b"+3", b"-3", b"0x3", b" 3", b"3 ", b"3_", b"", b"g", b"3;x=y", b'3;x="\r\n"', b"3;", b"3\t"),
    *(b"fffffffffffffffff", b"8000000000000000", b"100000003", b"0" * 70 + b"3", b"3\x00", b"3\r"),
    *(b"00000003", b"7fffffffffffffff", b"ffffffffffffffff", b"3\n", b"3;\n", b"3\x0b", b"\xb3"),
)
_TRAILERS: Final = (
    b"X: y",
    b"Content-Length: 3",
    b"X",
    b" ",
    b"Transfer-Encoding: chunked",
    b"\x00",
)


@dataclass
class Draft:
    """A request that is being twisted."""

    line: list[bytes]
    """Method, target, version."""
    fields: list[bytes]
    body: bytes
    is_chunked: bool
    blank: bytes = b" "
    ends: dict[int, bytes] = field(default_factory=dict)
    """Of lines that do not end in CR LF."""

    @property
    def spelt(self) -> bytes:
        """The request as it goes on the wire."""
        lines = [self.blank.join(self.line), *self.fields, b""]
        ends = (self.ends.get(number, b"\r\n") for number in range(len(lines)))
        return b"".join(line + end for line, end in zip(lines, ends, strict=True)) + self.body


def connection(chance: random.Random) -> bytes:
    """Draw what a client sends on one connection."""
    requests = [request(chance) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
    return b"".join(requests) + MARKER


def request(chance: random.Random) -> bytes:
    """Draw one request."""
    draft = _honest(chance)
    for _ in range(chance.choice((0, 0, 0, 1, 1, 1, 2, 3))):
        chance.choice(_TWISTS)(chance, draft)
    data = draft.spelt
    return _scratched(chance, data) if chance.random() < 0.1 else data


def _honest(chance: random.Random) -> Draft:
    body = chance.choice(
        (b"", b"abc", HIDDEN, b"0\r\n\r\n" + HIDDEN, b"abc" + HIDDEN, b"x" * 2_000)
    )
    method = chance.choice((b"POST", b"POST", b"POST", b"POST", b"GET", b"PUT", b"DELETE", b"HEAD"))
    draft = Draft(
        [method, b"/plivo/status?n=1", b"HTTP/1.1"], [b"Host: sms.example.com"], body, False
    )
    if body and chance.random() < 0.5:
        draft.is_chunked = True
        draft.fields.append(b"Transfer-Encoding: chunked")
        draft.body = _chunked(chance, body)
    elif body:
        draft.fields.append(b"Content-Length: %d" % len(body))
    return draft


def _chunked(chance: random.Random, body: bytes) -> bytes:
    cut = chance.randrange(1, len(body) + 1)
    parts = [part for part in (body[:cut], body[cut:]) if part]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


# Twists


def _method(chance: random.Random, draft: Draft) -> None:
    draft.line[0] = chance.choice(_METHODS)


def _target(chance: random.Random, draft: Draft) -> None:
    draft.line[1] = chance.choice(_TARGETS)


def _version(chance: random.Random, draft: Draft) -> None:
    draft.line[2] = chance.choice(_VERSIONS)


def _old(_: random.Random, draft: Draft) -> None:
    draft.line[2] = b"HTTP/1.0"


def _blank(chance: random.Random, draft: Draft) -> None:
    draft.blank = chance.choice((b"  ", b"\t", b"\x0b", b"", b" \t"))


def _length(chance: random.Random, draft: Draft) -> None:
    name = chance.choice((b"Content-Length: ", b"content-length:", b"Content-Length:\t"))
    _put(chance, draft, name + chance.choice((*_LENGTHS, b"%d" % len(draft.body))))


def _other_length(chance: random.Random, draft: Draft) -> None:
    size = max(0, len(draft.body) + chance.choice((-5, -1, 0, 1, 7)))
    draft.fields = [each for each in draft.fields if not each.startswith(b"Content-Length")]
    _put(chance, draft, b"Content-Length: %d" % size)


def _coding(chance: random.Random, draft: Draft) -> None:
    name = chance.choice((b"Transfer-Encoding: ", b"transfer-encoding:", b"Transfer-Encoding:\t"))
    _put(chance, draft, name + chance.choice(_CODINGS))


def _other_coding(chance: random.Random, draft: Draft) -> None:
    draft.fields = [each for each in draft.fields if not each.startswith(b"Transfer")]
    _coding(chance, draft)


def _field(chance: random.Random, draft: Draft) -> None:
    _put(chance, draft, chance.choice(_FIELDS))


def _fold(chance: random.Random, draft: Draft) -> None:
    _put(chance, draft, chance.choice((b" ", b"\t")) + chance.choice((*_FIELDS, *draft.fields)))


def _many(chance: random.Random, draft: Draft) -> None:
    draft.fields += [b"X: y"] * chance.choice((20, 97, 98, 120))


def _without(chance: random.Random, draft: Draft) -> None:
    if draft.fields:
        draft.fields.pop(chance.randrange(len(draft.fields)))


def _again(chance: random.Random, draft: Draft) -> None:
    if draft.fields:
        _put(chance, draft, chance.choice(draft.fields))


def _end(chance: random.Random, draft: Draft) -> None:
    draft.ends[chance.randrange(len(draft.fields) + 2)] = chance.choice(_ENDS)


def _all_ends(chance: random.Random, draft: Draft) -> None:
    draft.ends = dict.fromkeys(range(len(draft.fields) + 2), chance.choice((b"\n", b"\r")))


def _size(chance: random.Random, draft: Draft) -> None:
    if draft.is_chunked:
        _, _, rest = draft.body.partition(b"\r\n")
        draft.body = chance.choice(_SIZES) + chance.choice((b"\r\n", b"\r\n", b"\n", b"\r")) + rest


def _chunk(chance: random.Random, draft: Draft) -> None:
    if draft.is_chunked:
        old, new = chance.choice(
            (
                (b"\r\n0\r\n", b"0\r\n"),
                (b"\r\n0", b"\n0"),
                (b"0\r\n\r\n", b"0\r\n"),
                (b"\r\n", b"\n"),
            )
        )
        draft.body = new.join(draft.body.rsplit(old, 1))


def _trailer(chance: random.Random, draft: Draft) -> None:
    if draft.is_chunked:
        draft.body = draft.body[:-2] + chance.choice(_TRAILERS) + b"\r\n\r\n"


def _extension(chance: random.Random, draft: Draft) -> None:
    if draft.is_chunked:
        size, _, rest = draft.body.partition(b"\r\n")
        more = chance.choice((b";", b";x=y", b' ; x="y"', b";\n", b"\t", b";" + b"x" * 80, b"\n"))
        draft.body = size + more + b"\r\n" + rest


def _before(chance: random.Random, draft: Draft) -> None:
    draft.line[0] = (
        chance.choice((b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\x00", b" ")) + draft.line[0]
    )


def _behind(chance: random.Random, draft: Draft) -> None:
    draft.body += chance.choice((b"\r\n", b"\n", b"x", b"\x00", HIDDEN, b"0\r\n\r\n", b"GET /"))


def _put(chance: random.Random, draft: Draft, text: bytes) -> None:
    draft.fields.insert(chance.randrange(len(draft.fields) + 1), text)


_TWISTS: Final[tuple[Callable[[random.Random, Draft], None], ...]] = (
    *(_method, _target, _version, _old, _blank, _length, _length, _other_length, _coding, _coding),
    *(_other_coding, _field, _field, _field, _fold, _many, _without, _again, _end, _end, _all_ends),
    *(_size, _size, _chunk, _trailer, _extension, _before, _behind),
)


def _scratched(chance: random.Random, data: bytes) -> bytes:
    """Change a byte or a few, wherever they stand."""
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(data) + 1)
        piece = chance.choice(
            (b"", b"\r", b"\n", b" ", b":", b"\x00", bytes([chance.randrange(256)]))
        )
        data = data[:at] + piece + data[at + chance.choice((0, 1)) :]
    return data
