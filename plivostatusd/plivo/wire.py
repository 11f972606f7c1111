"""
The connections under the SDK: urllib3's own, which also tell the attempt what they do.

Promises: the attempt knows of the request before its first byte is handed to a socket (a proxy's
CONNECT is no request); an idle connection is used again only while it is fresh, and never after an
interim answer; nothing is retried or redirected; an answer is read whole or not at all, and never
past ``ANSWER_BYTES_MAX``. Imports requests, so only ``client`` imports it, in the worker thread.
"""

from __future__ import annotations

import io
import logging
import math
import socket
import time
from http import HTTPStatus
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from plivostatusd.plivo.answer import Answer
from plivostatusd.plivo.attempt import CURRENT, AttemptAbortedError

IDLE_S_MAX = 15.0
"""A middlebox may drop a silent connection without a word; what is then written is lost."""

ANSWER_BYTES_MAX = 1_048_576
_CHUNK_BYTES = 65_536

# Their DEBUG lines show URLs, urllib3's warnings quote what was answered; one a call is enough.
logging.getLogger("requests").setLevel(logging.WARNING)
logging.getLogger("urllib3").setLevel(logging.ERROR)


class AnswerTooLargeError(Exception):
    """The answer passed ``ANSWER_BYTES_MAX``, unpacked: whatever it is, it is not Plivo's."""


class _TellingConnection(HTTPConnection):
    """A connection that tells the attempt under way of its socket and of its first byte."""

    _is_tunnelling = False
    _used_s = -math.inf

    def _new_conn(self) -> socket.socket:
        return dial(self.host, self.port, self.timeout, self.socket_options or ())

    def _tunnel(self) -> None:
        self._is_tunnelling = True
        try:
            super()._tunnel()
        finally:
            self._is_tunnelling = False

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if not self._is_tunnelling:
            CURRENT.get().write(self.sock)
        self._used_s = CURRENT.get().now_s()
        super().send(data)

    def getresponse(self) -> Any:
        response = super().getresponse()
        self._used_s = CURRENT.get().now_s()
        return response

    @property
    def is_connected(self) -> bool:
        idle_s = CURRENT.get().now_s() - self._used_s
        return idle_s <= IDLE_S_MAX and super().is_connected


class _TellingTlsConnection(_TellingConnection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _TellingConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TellingTlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class Adapter(HTTPAdapter):
    """What requests sends through: our connections, and one request an attempt."""

    def __init__(self) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Pool our connections on the direct way."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Pool our connections on the way through a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(
        self,
        request: requests.PreparedRequest,
        *args: Any,
        **kwargs: Any,
    ) -> requests.Response:
        """Send one request and read its whole answer into the attempt."""
        attempt = CURRENT.get()
        if attempt.is_written:
            raise AttemptAbortedError("a second request in one call: a redirect")
        response = super().send(request, *args, **kwargs)
        attempt.http_status = response.status_code
        body = _read(response)
        attempt.answer = Answer(
            response.status_code, body, response.headers.get("Retry-After"), time.time()
        )
        response.raw = io.BytesIO(body)  # requests has yet to read it
        return response


def dial(
    host: str,
    port: int,
    timeout_s: float | None,
    options: Any,
) -> socket.socket:
    """
    Connect to the first address of *host* that answers, each given its share of *timeout_s*.

    urllib3's own gives every address the whole time, and keeps the socket to itself meanwhile.

    Raises:
        OSError: no address answers, or there is none.
    """
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    error: OSError = OSError(f"no address for {host}")
    for family, kind, protocol, _name, address in found:
        sock = None
        try:
            sock = socket.socket(family, kind, protocol)
            for option in options:
                sock.setsockopt(*option)
            CURRENT.get().hold(sock)
            sock.settimeout(timeout_s and timeout_s / len(found))
            sock.connect(address)
        except OSError as failure:
            error = failure
            if sock is not None:
                sock.close()
        else:
            sock.settimeout(timeout_s)
            return sock
    raise error


def _read(response: requests.Response) -> bytes:
    if response.status_code < HTTPStatus.OK:
        # An interim answer. The final one may yet come, and must not be that of the next call.
        response.close()
        return b""
    body = bytearray()
    for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=True):
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            response.close()
            raise AnswerTooLargeError
    return bytes(body)
