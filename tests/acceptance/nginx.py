"""
A real Nginx with the site as shipped, on loopback, for one test.

Owns a child process and a folder; leaves nothing outside the folder and no process behind. The
site is packaging/nginx/plivostatusd.conf, in which only the places are changed that would clash
with the machine: what it listens on, where the daemon is, certificate and logs.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.acceptance.certificate import Certificate

SITE = Path(__file__).parents[2] / "packaging" / "nginx" / "plivostatusd.conf"
SERVER_NAME = "sms.example.com"
"""The name in the shipped site; the certificate is good for it, for localhost and 127.0.0.1."""

START_S_MAX = 10.0
PORT_TRIES_MAX = 5

_MAIN = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/main.log notice;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/other.log;
    client_body_temp_path {folder}/temp-body;
    proxy_temp_path {folder}/temp-proxy;
    fastcgi_temp_path {folder}/temp-fastcgi;
    uwsgi_temp_path {folder}/temp-uwsgi;
    scgi_temp_path {folder}/temp-scgi;
    include {folder}/site.conf;
}}
"""


class Nginx:
    """
    Nginx before a daemon that listens at *upstream* (`127.0.0.1:PORT` or `unix:/path`).

    `with Nginx(tmp_path / "nginx", upstream) as nginx:` it accepts connections at `nginx.url`.
    *change* is applied to the site's text first, for tests of what it has commented out.
    """

    def __init__(
        self, folder: Path, upstream: str, *, change: Callable[[str], str] | None = None
    ) -> None:
        self.folder = folder
        self.port = 0
        self._upstream = upstream
        self._change = change
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        self.certificate = Certificate.make(folder, SERVER_NAME)

    @property
    def url(self) -> str:
        """Where it is reached; `client_context` trusts it there."""
        return f"https://127.0.0.1:{self.port}"

    def client_context(self) -> ssl.SSLContext:
        """Return what a client needs to trust this server."""
        return self.certificate.client_context()

    @property
    def access_log(self) -> str:
        """The site's access log. A line is written after its answer: `stop` first, then look."""
        return self._read("access.log")

    @property
    def error_log(self) -> str:
        """The site's error log, and what Nginx said of itself. `stop` first, then look."""
        return self._read("error.log") + self._read("main.log")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def check(self) -> str:
        """Return what `nginx -t` says of the site, all of it; a site that is fine says `ok`."""
        self.port = self.port or _free_port()
        self._write()
        done = subprocess.run(
            [*self.command, "-t"], capture_output=True, text=True, check=False, timeout=30
        )
        return f"{done.stdout}{done.stderr}"

    def start(self) -> None:
        """Start, and return as soon as it accepts connections."""
        for _ in range(PORT_TRIES_MAX):
            self.port = _free_port()
            self._write()
            # A group of its own, so that workers can be ended too, should the master be stuck.
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            if self._accepts():
                return
            taken = "Address already in use" in self._read("main.log")
            self.stop()
            # Somebody took the port between our choosing it and Nginx's binding it.
            assert taken, self.error_log
        raise AssertionError(self.error_log)

    def stop(self) -> None:
        """Answer what is in flight, then end. A second call does nothing."""
        if self._process is None:
            return
        process, self._process = self._process, None
        if process.poll() is None:
            process.send_signal(signal.SIGQUIT)
        try:
            process.wait(timeout=START_S_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def site(self) -> str:
        """Return the text of the site as this Nginx gets it."""
        changes = {
            "server 127.0.0.1:8787 max_fails=0;": f"server {self._upstream} max_fails=0;",
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
            "listen [::]:443 ssl;": "",
            f"/etc/letsencrypt/live/{SERVER_NAME}/fullchain.pem": str(self.certificate.chain),
            f"/etc/letsencrypt/live/{SERVER_NAME}/privkey.pem": str(self.certificate.key),
            "/var/log/nginx/plivostatusd.access.log": f"{self.folder}/access.log",
            "/var/log/nginx/plivostatusd.error.log": f"{self.folder}/error.log",
        }
        text = SITE.read_text()
        if self._change is not None:
            text = self._change(text)
        for old, new in changes.items():
            assert text.count(old) == 1, f"the site has {text.count(old)} times: {old}"
            text = text.replace(old, new)
        return text

    def _write(self) -> None:
        (self.folder / "main.log").write_text("")
        (self.folder / "site.conf").write_text(self.site())
        # Started by root, workers would be nobody, who cannot enter a test's folders.
        user = "user root;" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(_MAIN.format(folder=self.folder, user=user))

    @property
    def command(self) -> list[str]:
        """How this Nginx is called."""
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        assert program is not None, "nginx is not installed; `make test` does that"
        main_log = str(self.folder / "main.log")
        return [program, "-e", main_log, "-p", str(self.folder), "-c", "nginx.conf"]

    def _accepts(self) -> bool:
        """Wait until a connection is accepted, or the process has ended."""
        assert self._process is not None
        deadline_s = time.monotonic() + START_S_MAX
        while self._process.poll() is None and time.monotonic() < deadline_s:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except ConnectionRefusedError:
                time.sleep(0.01)  # Nginx offers nothing to wait for: it does not say when it is up
            else:
                return self._process.poll() is None
        return False

    def _read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(errors="replace") if path.exists() else ""


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
