"""
`make demo`: the main job on this machine, with no account and no internet.

Starts the simulator and the daemon as children on loopback, sends with curl, prints each status as
it becomes known, and ends both. It uses what a user has: commands, files and the local API.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

ENDS_AFTER_S: Final = 15.0
STARTS_WITHIN_S: Final = 5.0
SPEED: Final = "1"
TOKEN: Final = "simulator-token"  # noqa: S105 - the simulator's, and public
AUTH_ID: Final = "MASIMULATOR000000000"
STORIES: Final = {
    "0001": "queued, sent, delivered",
    "0002": "undelivered, with an error code",
    "0007": "Plivo takes it, then drops the connection: is it sent or not?",
    "0008": "callbacks doubled and shuffled",
    "0009": "the first callback comes before Plivo's answer",
    "0012": "Plivo refuses it",
    "0013": "forged callbacks between the genuine ones",
}


def main() -> int:
    """Play the demo; 0 when every message ended as its story says."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="plivostatusd-demo-") as name:
        folder = Path(name)
        with _simulator(folder) as api_url, _daemon(folder, api_url):
            sent = {_send(folder, digits): digits for digits in STORIES}
            print("\nWhat Plivo's callbacks say, as each is proved, stored and folded:\n")
            ended = _follow(folder, sent, ends_s=began_s + ENDS_AFTER_S)
            print("\nHow it ended (plivostatusctl list):\n")
            _run(folder, "list")
            _print_refusals(folder)
    print(f"Done in {time.monotonic() - began_s:.1f} s; both processes have ended.")
    return 0 if ended == len(sent) else 1


@contextlib.contextmanager
def _child(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a child for the length of a block, and see it end."""
    with (
        log.open("wb") as stream,
        subprocess.Popen(  # noqa: S603 - our own modules
            command, stdout=stream, stderr=subprocess.STDOUT
        ) as child,
    ):
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(timeout=20)


def _wait_for(log: Path, word: str) -> str:
    """Read a child's log until *word* is in a line of it."""
    ends_s = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < ends_s:
        for line in log.read_text().splitlines():
            if word in line:
                return line
        time.sleep(0.02)
    raise SystemExit(f"{log.name} did not say {word!r}:\n{log.read_text()}")


@contextlib.contextmanager
def _simulator(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "plivostatusd.ctl", "simulate", "--listen", "127.0.0.1:0"]
    log = folder / "simulator.log"
    with _child([*command, "--speed", SPEED], log):
        url = _wait_for(log, "listening on").rsplit(" ", 1)[1]
        print(f"The simulator plays Plivo on {url}")
        yield url


@contextlib.contextmanager
def _daemon(folder: Path, api_url: str) -> Iterator[None]:
    port = _free_port()
    token_file = folder / "auth_token"
    token_file.write_text(f"{TOKEN}\n")
    token_file.chmod(0o600)
    (folder / "plivostatusd.conf").write_text(
        f"[plivo]\nauth_id = {AUTH_ID}\nauth_token_file = {token_file}\napi_url = {api_url}\n"
        f"[callbacks]\npublic_url = http://127.0.0.1:{port}\nlisten = 127.0.0.1:{port}\n"
        f"[api]\nlisten = unix:{folder}/api.sock\n"
        f"[store]\npath = {folder}/status.db\n"
        "[send]\nfrom = +14155551212\n"
    )
    command = [sys.executable, "-m", "plivostatusd", "-c", str(folder / "plivostatusd.conf")]
    log = folder / "daemon.log"
    with _child(command, log):
        _wait_for(log, '"started"')
        print(f"plivostatusd takes callbacks on 127.0.0.1:{port}, sends on a Unix socket\n")
        yield


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _send(folder: Path, digits: str) -> str:
    """Send one message as a cron job would; its id comes back."""
    to = f"+1415555{digits}"
    shown = f"curl --unix-socket api.sock -d to={to} -d text=hello http://localhost/send?wait=0"
    print(f"$ {shown}\n    {STORIES[digits]}")
    command = shown.replace("api.sock", str(folder / "api.sock")).replace("curl", "curl -sS", 1)
    answer = subprocess.run(command.split(), check=True, capture_output=True)  # noqa: S603 - curl
    message_id: str = json.loads(answer.stdout)["id"]
    return message_id


class _LocalApi(HTTPConnection):
    """HTTP over the daemon's Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _get(folder: Path, target: str) -> str:
    api = _LocalApi(folder / "api.sock")
    with contextlib.closing(api):
        api.request("GET", target)
        return api.getresponse().read().decode()


@dataclass(slots=True)
class _Progress:
    """How many of the messages have come to their end."""

    ended: set[str]
    began_s: float


def _follow(folder: Path, sent: dict[str, str], *, ends_s: float) -> int:
    """Print events as they are committed, until each message has ended."""
    progress = _Progress(set(), time.monotonic())
    target = "/events?limit=1000&wait=5s"
    cursor = ""
    while time.monotonic() < ends_s and len(progress.ended) < len(sent):
        page = json.loads(_get(folder, target + cursor))
        cursor = f"&after={page['next']}"
        for happening in page["events"]:
            _print_event(happening, sent, progress)
    return len(progress.ended)


def _print_event(happening: dict[str, Any], sent: dict[str, str], progress: _Progress) -> None:
    event = happening["event"]
    digits = sent.get(happening["message_id"], "????")
    source = event["source"] if event["source"] == "send" else f"callback, {event['trust']}"
    note = f"  ({event['reason']})" if event.get("reason") else ""
    code = f" error {event['error_code']}" if event["error_code"] else ""
    since_s = time.monotonic() - progress.began_s
    print(
        f"  {since_s:5.2f} s  …{digits}  {event['status'] or '-':<12}{source:<16}"
        f" → {happening['status']}{code}{note}"
    )
    if happening["status"] in {"delivered", "undelivered", "failed", "rejected", "refused"}:
        progress.ended.add(happening["message_id"])


def _run(folder: Path, *arguments: str) -> None:
    sys.stdout.flush()
    command = [sys.executable, "-m", "plivostatusd.ctl", "--socket", str(folder / "api.sock")]
    subprocess.run([*command, *arguments], check=True, env={**os.environ, "NO_COLOR": "1"})  # noqa: S603 - our own


def _print_refusals(folder: Path) -> None:
    name = "plivostatusd_callbacks_refused_total"
    lines = [line for line in _get(folder, "/metrics").splitlines() if line.startswith(name)]
    print("\nForged callbacks, refused and never stored:")
    for line in lines:
        print(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
