"""
A request as it stands in a corpus: the request line without its version, headers, a blank line,
the body. It is read by Tornado's own rules, so that nothing is tried which could never arrive.
"""

from __future__ import annotations

from dataclasses import dataclass

from tornado.httputil import (
    HTTPHeaders,
    HTTPInputError,
    RequestStartLine,
    parse_request_start_line,
)

from plivostatusd.domain.signature import Signed


@dataclass(frozen=True)
class Arrived:
    """One request, past Tornado's parser."""

    start_line: RequestStartLine
    headers: HTTPHeaders
    body: bytes

    def with_headers(self, **more: str) -> Arrived:
        """Give the same request with other headers, named as `x_plivo_signature_v2`."""
        headers = self.headers.copy()
        for name, value in more.items():
            headers[name.replace("_", "-")] = value
        return Arrived(self.start_line, headers, self.body)

    @property
    def signed(self) -> Signed:
        """The request as the domain sees it."""
        method, target, _ = self.start_line
        path, mark, query = target.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Signed(method, path, query if mark else None, headers, self.body)


def read(content: bytes) -> Arrived | None:
    """Read one request; None where Tornado would have answered 400 by itself."""
    head, _, body = content.partition(b"\n\n")
    first, _, lines = head.decode("latin-1").partition("\n")
    try:
        start_line = parse_request_start_line(f"{first} HTTP/1.1")
        headers = HTTPHeaders.parse(lines)
    except HTTPInputError:
        return None
    return Arrived(start_line, headers, body)
