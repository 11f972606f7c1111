"""The simulator as a command: a process that says where it listens, and ends when told to."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plivostatusd.simulator.command import main
from plivostatusd.simulator.options import AUTH_ID, AUTH_TOKEN

TEXT = "the quick brown text"


@contextmanager
def running(*argv: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the command on a free port and give its process and its url."""
    command = [sys.executable, "-m", "plivostatusd.simulator", "--listen", "127.0.0.1:0", *argv]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as it:
        try:
            assert it.stdout is not None
            match = re.fullmatch(
                r"simulator listening on (http://127\.0\.0\.1:\d+)\n", it.stdout.readline()
            )
            assert match is not None
            yield it, match[1]
        finally:
            it.kill()


def send(url: str, token: str = AUTH_TOKEN) -> int:
    """Send one message to the first story."""
    body = {"src": "14155551212", "dst": "14155550001", "text": TEXT, "url": "http://127.0.0.1:1/"}
    pair = b64encode(f"{AUTH_ID}:{token}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310  (our own url)
        f"{url}/v1/Account/{AUTH_ID}/Message/",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Basic {pair}"},
    )
    with urllib.request.urlopen(request) as reply:  # noqa: S310 - the simulator's own url
        return int(reply.status)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_told_to_stop(number: signal.Signals) -> None:
    """The first line names the url at once; a signal ends it with 0 and without a word."""
    with running("--speed", "100", "--seed", "7") as (process, url):
        assert send(url) == 202
        process.send_signal(number)
        assert process.stdout is not None
        assert process.stderr is not None
        # Not communicate(): it would pass over what readline() has read ahead.
        out, err = process.stdout.read(), process.stderr.read()
        assert (process.wait(timeout=10), err) == (0, "")
        assert out.startswith("seed 7\n")


def test_lines_hide_numbers_text_and_token() -> None:
    """A line an event is told, with numbers masked, and neither text nor token nor url."""
    with running("--speed", "1000") as (process, url):
        send(url)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        assert re.fullmatch(r"seed \d+\n", lines[0])
        assert re.fullmatch(r"taken \+1415\*\*\*\*0001 \S+, story 0001: .*\n", lines[1])
        assert re.fullmatch(r"called \+1415\*{4}0001 \S+ queued: ConnectionRefusedE.*\n", lines[2])
        told = "".join(lines)
        assert not [word for word in ("14155550001", TEXT, AUTH_TOKEN, "http") if word in told]


def test_tokens_come_from_files(tmp_path: Path) -> None:
    """Each line of a token file opens the API, and the built-in token no longer does."""
    tokens = tmp_path / "tokens"
    tokens.write_text("old\n\nnew\n")
    with running("--auth-token-file", str(tokens)) as (_, url):
        assert [send(url, token) for token in ("old", "new")] == [202, 202]
        with pytest.raises(urllib.error.HTTPError, match="401"):
            send(url)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--listen", "0.0.0.0:8799"], "loopback"),
        (["--listen", "example.com:8799"], "loopback"),
        (["--listen", "8799"], "HOST:PORT"),
        (["--listen", "127.0.0.1:99999"], "HOST:PORT"),
        (["--auth-id", "MA1"], "auth id"),
        (["--auth-token", "a", "--auth-token-file", __file__], "not allowed"),
        (["--auth-token-file", "/nowhere/at/all"], "/nowhere/at/all"),
        (["--auth-token-file", "/dev/null"], "no token"),
        (["--speed", "0"], "speed"),
        (["--retry-after", "soon"], "whole seconds"),
        (["--lose", "2"], "lose"),
        (["--paging", "page"], "page"),
        (["--signatures", "v4"], "v4"),
        (["--unheard-of"], "unheard-of"),
    ],
)
def test_wrong_usage_is_64(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage ends with 64 and one sentence that names what is wrong."""
    assert main(argv) == 64
    assert said in capsys.readouterr().err


def test_a_taken_port_is_69(capsys: pytest.CaptureFixture[str]) -> None:
    """A port that another process holds ends with 69 and is named."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = f"127.0.0.1:{other.getsockname()[1]}"
        assert main(["--listen", where]) == 69
    assert where in capsys.readouterr().err


def test_troubles_are_options() -> None:
    """What is lost is told with its number masked; lists past the limit are refused."""
    troubles = ("--lose", "1", "--double", "1", "--delay", "1", "--limits", "--paging", "cursor")
    with running("--speed", "1000", *troubles) as (process, url):
        send(url)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        lost = re.compile(r"lost \+1415\*{4}0001 \S+ (queued|sent|delivered)\n")
        assert ["queued", "sent", "delivered"] == [
            m[1] for m in map(lost.fullmatch, lines[2:]) if m
        ]


def test_help_says_what_it_cannot_vouch_for(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` tells the stories, and each thing that Plivo's documents leave open."""
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    for word in ("0013", "nonce", "Sequence", "UTC", "famil", "Retry-After", "redirect", "newest"):
        assert word in told
