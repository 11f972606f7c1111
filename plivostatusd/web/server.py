"""
How both listeners speak HTTP: every limit of Tornado's that we rely on, passed by name.

Tornado's own limit on bodies is out of the way on purpose: what passes it is answered 400 and cut
off. The doors count bodies themselves, part by part, and answer 413.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from tornado.httpserver import HTTPServer

if TYPE_CHECKING:
    from tornado.httputil import HTTPHeaders, HTTPServerConnectionDelegate

HEADER_BYTES_MAX: Final = 16 * 1024
HEADER_S_MAX: Final = 75.0
"""Longest wait for a whole request head, and so for the next request on a kept connection."""
BODY_S_MAX: Final = 10.0
READ_BYTES: Final = 64 * 1024
BUFFER_BYTES_MAX: Final = 1024 * 1024
_LENGTH_DIGITS_MAX: Final = 18


def http_server(
    door: HTTPServerConnectionDelegate,
    *,
    header_s_max: float = HEADER_S_MAX,
    body_s_max: float = BODY_S_MAX,
) -> HTTPServer:
    """Make the server in front of *door*; it listens nowhere yet."""
    return HTTPServer(
        door,
        max_header_size=HEADER_BYTES_MAX,
        max_body_size=sys.maxsize,
        max_buffer_size=BUFFER_BYTES_MAX,
        chunk_size=READ_BYTES,
        idle_connection_timeout=header_s_max,
        body_timeout=body_s_max,
        no_keep_alive=False,
        xheaders=False,
        decompress_request=False,
    )


def announced_bytes(headers: HTTPHeaders) -> int:
    """
    Read how long the sender says its body is.

    0 where nothing is said, or nothing that can be read: the latter Tornado refuses afterwards.
    """
    length = headers.get("Content-Length", "0")
    if not length.isdecimal():
        return 0
    return int(length) if len(length) <= _LENGTH_DIGITS_MAX else sys.maxsize
