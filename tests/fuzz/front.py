"""
A real Nginx with the site as shipped, for fuzzers: a process of its own, which ends with them.

A fuzzer takes its process over and ends it without a word, so that nothing in it could stop Nginx.
`opened` starts this module as a child, whose standard input tells it when nobody is there any more.

What is changed in the site is what a fuzzer cannot wait or stand for: TLS, the limit on requests
without a signature, and how long a client is waited for. And Nginx says of each request what it
made of it: under an id that the request bears on its way to us, its answer on its way back, and a
line in the log, which is a pipe.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.acceptance.nginx import Nginx

ID: Final = "X-Nginx-Id"
PATIENCE: Final = "200ms"
SOCKET: Final = "front.sock"
_LOG: Final = "access.log"
_FORMAT: Final = (
    'log_format plivostatusd escape=json \'{"id":"$request_id","method":"$request_method",'
    '"target":"$request_uri","body":"$request_body","status":$status,'
    '"upstream":"$upstream_status"}\';'
)


def _changed(folder: Path, site: str) -> str:
    changes = {
        "    listen 443 ssl;": f"    listen unix:{folder / SOCKET};\n    listen 443 ssl;",
        "        limit_req zone=plivostatusd burst=40 nodelay;\n": "",
        "client_header_timeout 10s;": f"client_header_timeout {PATIENCE};",
        "client_body_timeout 10s;": (
            f"client_body_timeout {PATIENCE};\n    keepalive_timeout {PATIENCE};"
        ),
        '\n    proxy_set_header Connection "";': (
            '\n    proxy_set_header Connection "";'
            f"\n    proxy_set_header {ID} $request_id;\n    add_header {ID} $request_id always;"
        ),
    }
    for old, new in changes.items():
        assert site.count(old) == 1, f"the site has {site.count(old)} times: {old}"
        site = site.replace(old, new)
    site, count = re.subn(
        r"log_format plivostatusd '.*?';", lambda _: _FORMAT, site, flags=re.DOTALL
    )
    assert count == 1
    return site


@contextmanager
def opened(folder: Path, upstream: str) -> Iterator[int]:
    """
    Have Nginx run before *upstream*, at `SOCKET` in *folder*; give the pipe that it logs to.

    The pipe must be read, or Nginx waits.
    """
    command = [sys.executable, "-m", "tests.fuzz.front", str(folder), upstream]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"up\n", "Nginx does not start"
            pipe = os.open(folder / "nginx" / _LOG, os.O_RDONLY | os.O_NONBLOCK)
            yield pipe
            os.close(pipe)
        finally:
            process.stdin.close()
            process.wait()


def main() -> None:
    """Run until standard input ends."""
    folder, upstream = Path(sys.argv[1]), sys.argv[2]
    nginx = Nginx(folder / "nginx", upstream, change=lambda site: _changed(folder, site))
    log = nginx.folder / _LOG
    os.mkfifo(log)
    # Nginx waits at its start for somebody who reads, and would stop for want of one at its end.
    os.open(log, os.O_RDWR)
    with nginx:
        print("up", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
