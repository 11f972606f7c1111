"""The one question that `doctor` asks Plivo's API, by the standard library."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from plivostatusd.config import Callbacks, Config, Plivo, Secrets
from plivostatusd.ctl.doctor import plivo
from plivostatusd.ctl.doctor.plivo import Answer, ask
from plivostatusd.domain.secret import Secret
from plivostatusd.simulator import Options, Simulator
from plivostatusd.simulator.options import AUTH_ID, AUTH_TOKEN
from tests.acceptance.certificate import Certificate


def config(api_url: str, *tokens: str, ca_file: Path | None = None) -> Config:
    """Make a configuration whose API is at *api_url*."""
    return Config(
        plivo=Plivo(auth_id=AUTH_ID, api_url=api_url, ca_file=ca_file),
        callbacks=Callbacks(public_url=("https://sms.example.com",)),
        secrets=Secrets(auth_tokens=tuple(map(Secret, tokens))),
    )


@contextmanager
def serving(date: str, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Answer every GET by 200 with a Date of the test's own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer."""
            self.send_response_only(200)
            self.send_header("Date", date)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("token", "status"), [(AUTH_TOKEN, 200), ("another", 401)])
async def test_the_account(token: str, status: int) -> None:
    """A good token gets 200, a wrong one 401; our clock is compared either way."""
    simulator = Simulator(Options(port=0))
    url = await simulator.start()
    answer = await asyncio.to_thread(ask, config(url, token))
    await simulator.stop()
    assert status == answer.status
    assert answer.ahead_s is not None
    assert abs(answer.ahead_s) < 2


def test_the_date() -> None:
    """How far our clock is ahead is told from the answer's Date; without one it is not told."""
    behind = format_datetime(datetime.now(UTC) - timedelta(seconds=90), usegmt=True)
    for date, least in ((behind, 88.0), ("yesterday", None)):
        with serving(date) as port:
            answer = ask(config(f"http://127.0.0.1:{port}", AUTH_TOKEN))
        assert 200 == answer.status
        assert (answer.ahead_s is None) == (least is None)
        assert least is None or answer.ahead_s is None or least < answer.ahead_s < 92


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """An API that is not reached is said to be that, with the system's word for it."""
    assert "onnection refused" in ask(config("http://127.0.0.1:9", AUTH_TOKEN)).why
    assert Answer(why="the token may be read by root alone", is_unasked=True) == ask(
        config("http://127.0.0.1:9")
    )
    monkeypatch.setattr(plivo, "WITHIN_S", 0.05)
    with Silent() as port:
        assert "no answer in time" == ask(config(f"http://127.0.0.1:{port}", AUTH_TOKEN)).why


class Silent:
    """A port that takes connections and says nothing."""

    def __enter__(self) -> int:
        self._socket = socket.create_server(("127.0.0.1", 0))
        port: int = self._socket.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def test_certificates(tmp_path: Path) -> None:
    """The API's certificate is checked, against plivo.ca_file where that is set."""
    made = Certificate.make(tmp_path, "api.example.com")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.chain, made.key)
    with serving("", context) as port:
        url = f"https://127.0.0.1:{port}"
        refused = ask(config(url, AUTH_TOKEN))
        taken = ask(config(url, AUTH_TOKEN, ca_file=made.authority))
    assert refused.why.startswith("its certificate: ")
    assert 200 == taken.status


def test_a_proxy() -> None:
    """Where a proxy is set it is asked, and the environment's is not."""
    with serving("") as port:
        through = replace(
            config("http://api.invalid", AUTH_TOKEN),
            plivo=Plivo(
                auth_id=AUTH_ID, api_url="http://api.invalid", proxy=f"http://127.0.0.1:{port}"
            ),
        )
        assert 200 == ask(through).status
