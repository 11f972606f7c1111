"""
How both listeners speak HTTP: every limit of Tornado's that we rely on, passed by name.

Tornado's own limit on bodies is out of the way on purpose: what passes it is answered 400 and cut
off. The doors count bodies themselves, part by part, and answer 413. Its limits on time are out of
the way, too: `Connections` knows how long each is waited for.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from tornado.httpserver import HTTPServer

if TYPE_CHECKING:
    from tornado.httputil import HTTPHeaders, HTTPServerConnectionDelegate

HEADER_BYTES_MAX: Final = 16 * 1024
READ_BYTES: Final = 16 * 1024
"""No larger than the largest head: what was read beyond it is held by as many as are connected."""
BUFFER_BYTES_MAX: Final = 64 * 1024
KERNEL_BYTES_MAX: Final = 64 * 1024
"""Of an answer, in the kernel; Linux doubles it. By itself it takes up to 4 MiB a connection, which
we would take for read by the client, and hold without knowing."""
_FAR_OFF_S: Final = 3_600.0
_LENGTH_DIGITS_MAX: Final = 18


def http_server(door: HTTPServerConnectionDelegate) -> HTTPServer:
    """Make the server in front of *door*; it is handed connections, and listens nowhere."""
    return HTTPServer(
        door,
        max_header_size=HEADER_BYTES_MAX,
        max_body_size=sys.maxsize,
        max_buffer_size=BUFFER_BYTES_MAX,
        chunk_size=READ_BYTES,
        idle_connection_timeout=_FAR_OFF_S,
        body_timeout=None,
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
