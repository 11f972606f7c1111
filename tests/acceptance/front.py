"""
A whole front for one test: the daemon as a child, a real Nginx before it, the simulator behind it.

Nginx has the site as shipped, less what a test changes in it, at `https://localhost:PORT`. Its
certificate's authority is trusted by what runs here, and by nobody else.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient

from plivostatusd.simulator import Options, Signed, Simulator, signed_request
from plivostatusd.simulator.options import AUTH_TOKEN
from tests.acceptance.daemon import ROOT, Daemon
from tests.acceptance.nginx import SERVER_NAME, Nginx

HOST = "localhost"
UUID = "0d2e4c1a-0000-4000-8000-000000000001"
NUMBER = "14155552323"
FIELDS = {
    "MessageUUID": UUID,
    "Status": "delivered",
    "From": "14155551212",
    "To": NUMBER,
    "ErrorCode": "",
}
Check = dict[str, str]


@dataclass
class Front:
    """Everything that stands between Plivo and the store."""

    daemon: Daemon
    nginx: Nginx

    @property
    def url(self) -> str:
        """Where Nginx is, by a name that its certificate has."""
        return f"https://{HOST}:{self.nginx.port}"

    async def call(
        self, signed: str, target: str, *, token: str | list[str] = AUTH_TOKEN, **options: Any
    ) -> int:
        """Sign a callback for the URL *signed*, and carry it to *target* at Nginx's."""
        method = options.pop("method", "POST")
        made = signed_request(method, signed, FIELDS, token, **options)
        return await self.carry(made, target)

    async def carry(self, made: Signed, target: str) -> int:
        """Carry a signed callback to *target* at Nginx's; the status comes back."""
        client = AsyncHTTPClient(force_instance=True)
        reply = await client.fetch(
            self.url + target,
            method=made.method,
            headers=dict(made.headers),
            body=made.body if made.method == "POST" else None,
            ssl_options=self.nginx.client_context(),
            raise_error=False,
            follow_redirects=False,
        )
        client.close()
        return reply.code

    async def kept(self, count: int = 1) -> None:
        """Wait until so many refused callbacks are in the store."""
        while self.daemon.rows("SELECT count(*) FROM refused")[0][0] < count:  # noqa: ASYNC110 - nobody tells when one is kept
            await asyncio.sleep(0.01)

    async def doctor(self, *more: str) -> tuple[int, list[Check]]:
        """Run `plivostatusctl doctor`; exit status and checks come back."""
        status, out, err = await self.ctl("--json", "doctor", *more)
        assert "" == err
        return status, list(json.loads(out)["checks"])

    async def ctl(self, *words: str) -> tuple[int, str, str]:
        """Run plivostatusctl as an operator does."""
        nginx = " ".join(self.nginx.command)
        more = ["--nginx", nginx] if "doctor" in words else []
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "plivostatusd.ctl"),
            *("-c", str(self.daemon.config), *words, *more),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def standing(  # noqa: PLR0913 - what a test may change
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    change: Callable[[str], str] = str,
    prefix: str = "",
    is_up: bool = True,
    settings: Mapping[str, Mapping[str, str]] | None = None,
) -> AsyncIterator[Front]:
    """Put it all up; *prefix* is what public_url has behind the name."""

    def named(site: str) -> str:
        return change(site).replace(
            f"server_name {SERVER_NAME};", f"server_name {SERVER_NAME} {HOST};"
        )

    simulator = Simulator(Options(port=0, speed=20))
    daemon = Daemon(folder, await simulator.start(), **(settings or {}))
    try:
        upstream = f"127.0.0.1:{daemon.public_port}"
        with Nginx(folder / "nginx", upstream, change=named) as nginx:
            monkeypatch.setenv("SSL_CERT_FILE", str(nginx.certificate.authority))
            front = Front(daemon, nginx)
            daemon.settings["callbacks"].setdefault("public_url", front.url + prefix)
            if is_up:
                await daemon.start()
            else:
                daemon.write_config()
            yield front
            if is_up:
                await daemon.stop()
                assert "" == daemon.stderr
                unexpected = daemon.unexpected()
                assert not unexpected, unexpected
    finally:
        await simulator.stop()
        await daemon.close()
