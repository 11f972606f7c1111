"""
Where one request ends and the next begins: what two readers could see differently is refused. Pure.
So is a head of more fields than any honest one has.

A proxy in front and we must agree on every request's borders, else a stranger hides a request of
his own in another's (request smuggling). Tornado refuses most of what is ambiguous; what it takes
as many servers do, within the letter of the standard, is refused here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

FIELDS_MAX: Final = 100
"""Header fields of a request: Nginx passes on some twenty of Plivo's. Thousands would fit into the
largest head, take milliseconds to read, and twenty times its bytes for as long as it is in work."""
_LINES_MAX: Final = FIELDS_MAX + 2  # the request line, and the empty line at the end
HEAD: Final = rb"\A(?:[^\n]*\n){1,%d}?\r?\n|\A(?:[^\n]*\n){%d}" % (_LINES_MAX, _LINES_MAX + 1)
"""Where a head ends, as Tornado finds it: at the first empty line; but at too many lines, too, so
that nobody reads the rest of them before `fault` is asked."""

if TYPE_CHECKING:
    from tornado.httputil import HTTPHeaders


def fault_so_far(beginning: bytes) -> str | None:
    """Say what is wrong with a head that has not ended yet, so that its end is not waited for."""
    ends = beginning.count(b"\n")
    if ends > _LINES_MAX:
        return "too many header fields"
    if beginning.count(b"\r\n") != ends:
        return "a line ends in something else than CR LF"
    return None


def fault_of_lines(head: bytes) -> str | None:
    """Say what is wrong with a whole head's lines, before anybody reads them."""
    ends = head.count(b"\r\n")
    if len(head.translate(None, b"\r\n")) != len(head) - 2 * ends:
        return "a line ends in something else than CR LF"
    if ends > _LINES_MAX:
        return "too many header fields"
    if b"\n " in head or b"\n\t" in head:
        return "a folded header field"
    return None


def fault(head: bytes, version: str, headers: HTTPHeaders) -> str | None:
    """
    Say what is wrong with a request, by its *head* as it came and what was read from that.

    Source: RFC 9112, sections 2.2 (line ends), 3.2 (Host), 5.2 (folding), 6.1 and 6.3 (length),
    read 2026-11-23.
    """
    if sentence := fault_of_lines(head):
        return sentence
    length, coding = headers.get("Content-Length"), headers.get("Transfer-Encoding")
    return fault_of_fields(version, length, coding, hosts=len(headers.get_list("Host")))


def fault_of_fields(
    version: str, length: str | None, coding: str | None, *, hosts: int
) -> str | None:
    """Say what is wrong with what the fields say of *length* and *coding*, in how many *hosts*."""
    if length is not None and "," in length:  # of several fields Tornado makes a list
        return "Content-Length twice"
    if version != "HTTP/1.1":
        return None if coding is None else "Transfer-Encoding in HTTP/1.0"
    return None if hosts == 1 else "no Host, or several"
