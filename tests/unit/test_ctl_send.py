"""`plivostatusctl send`, over both transports."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_ctl_daemon import (
    Answer,
    Daemon,
    Ended,
    always,
    free_port,
    problem,
    run,
    serving,
)

NUMBER = "+14155552323"


@pytest.fixture(params=["tcp", "unix"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon over each transport in turn."""
    with serving(request.param, tmp_path) as one:
        yield one


def send(daemon: Daemon, *words: str, stdin: bytes = b"") -> Ended:
    """Run `send`."""
    return run("send", *daemon.options, *words, stdin=stdin)


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        ((NUMBER, "hello"), b""),
        (("--to", NUMBER, "--text", "hello"), b""),
        (("--to", NUMBER, "hello"), b""),
        (("--text", "hello", NUMBER), b""),
        ((NUMBER, "-"), b"hello\n"),
        (("--to", NUMBER, "-"), b"hello"),
        (("--to", NUMBER, "--text", "-"), b"hello\r\n"),
        (("-", "hello"), b"+14155552323\n"),
        (("-", "-"), b"+14155552323\nhello\n"),
        (("--to", "-", "--text", "-"), b" +14155552323 \r\nhello"),
        ((NUMBER, "--", "hello"), b""),
    ],
)
def test_ways_to_say_it(tmp_path: Path, words: tuple[str, ...], stdin: bytes) -> None:
    """Number and text may come as words, as options or from standard input."""
    with serving("unix", tmp_path) as daemon:
        ended = send(daemon, *words, stdin=stdin)
    assert (0, "") == (ended.status, ended.err)
    assert {"to": NUMBER, "text": "hello"} == daemon.asked[0].json


def test_id_and_status(daemon: Daemon) -> None:
    """Id and status are printed, and neither number nor text."""
    ended = send(daemon, NUMBER, "hello")
    (message_id,) = daemon.messages
    assert (0, f"{message_id}  queued\n", "") == (ended.status, ended.out, ended.err)


def test_every_field(daemon: Daemon) -> None:
    """Every option becomes the field of its name in the API."""
    words = (
        "--from 14155551212 --type mms --tag order-7 --media-url https://a/1 --powerpack pp"
        " --media-url https://a/2 --expiry 5m --dlt-entity-id e --dlt-template-id t"
        " --dlt-template-category transactional"
    )
    ended = send(daemon, NUMBER, "hello", *words.split())
    assert 0 == ended.status
    assert {
        "to": NUMBER,
        "text": "hello",
        "from": "14155551212",
        "type": "mms",
        "tag": "order-7",
        "media_urls": ["https://a/1", "https://a/2"],
        "powerpack_uuid": "pp",
        "message_expiry": 300,
        "dlt_entity_id": "e",
        "dlt_template_id": "t",
        "dlt_template_category": "transactional",
    } == daemon.asked[0].json


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        (("--to", "+14155550001", "--to", "+14155550002", "hi"), b""),
        (("-", "hi"), b"+14155550001\n\n+14155550002\n"),
    ],
)
def test_several(daemon: Daemon, words: tuple[str, ...], stdin: bytes) -> None:
    """Several numbers are one request, answered by a line each."""
    ended = send(daemon, *words, stdin=stdin)
    assert 0 == ended.status
    assert ["+14155550001", "+14155550002"] == daemon.asked[0].json["to"]
    assert [f"{one}  queued" for one in daemon.messages] == ended.out.splitlines()


def test_newlines_within_a_text_stay(tmp_path: Path) -> None:
    """Of a text from standard input one last newline is dropped and nothing else."""
    with serving("unix", tmp_path) as daemon:
        send(daemon, NUMBER, "-", stdin="é\n\n b \n\n".encode())
    assert "é\n\n b \n" == daemon.asked[0].json["text"]


def test_no_wait(daemon: Daemon) -> None:
    """--no-wait asks for an answer at once; otherwise the daemon waits as it is configured."""
    send(daemon, NUMBER, "hello", "--no-wait")
    send(daemon, NUMBER, "hello")
    assert [{"wait": "0"}, {}] == [asked.query for asked in daemon.asked]


def test_keys(daemon: Daemon) -> None:
    """Each run has a key of its own, unless one is given."""
    send(daemon, NUMBER, "hello")
    send(daemon, NUMBER, "hello")
    ended = send(daemon, NUMBER, "hello", "--idempotency-key", "mine")
    again = send(daemon, NUMBER, "hello", "--idempotency-key", "mine")
    keys = [asked.headers["Idempotency-Key"] for asked in daemon.asked]
    assert 3 == len(set(keys))
    assert ["mine", "mine"] == keys[2:]
    assert 3 == len(daemon.messages)
    assert ended == again


def test_json(daemon: Daemon) -> None:
    """--json prints the daemon's answer whole."""
    ended = send(daemon, NUMBER, "hello", "--json")
    assert list(daemon.messages.values()) == [ended.json]


@pytest.mark.parametrize("status", ["pending", "unknown", "queued"])
def test_recorded(tmp_path: Path, status: str) -> None:
    """Once the intent is recorded the exit status is 0, unknown included."""
    with serving("tcp", tmp_path) as daemon:
        document = {"id": "0192", "status": status, "reason": "401 from Plivo"}
        daemon.script = [always(Answer(202, document))]
        ended = send(daemon, NUMBER, "hello")
    assert (0, f"0192  {status}  401 from Plivo\n") == (ended.status, ended.out)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_refused(daemon: Daemon, status: int) -> None:
    """What was refused is 1: repeating it would end the same way."""
    daemon.script = [always(problem(status, "no, thanks", plivo_status=400))]
    ended = send(daemon, NUMBER, "hello")
    assert (1, "") == (ended.status, ended.out)
    assert ended.err.startswith(f"plivostatusctl: no, thanks; plivo_status 400 ({status})")
    assert 1 == len(daemon.asked)


def test_one_of_several_refused(tmp_path: Path) -> None:
    """When Plivo refused one of several, all are printed and the exit status is 1."""
    with serving("tcp", tmp_path) as daemon:
        messages = [{"id": "1", "status": "refused"}, {"id": "2", "status": "queued"}]
        daemon.script = [always(Answer(202, {"messages": messages}))]
        ended = send(daemon, "--to", NUMBER, "--to", NUMBER, "hello")
    assert (1, "1  refused\n2  queued\n") == (ended.status, ended.out)


def test_try_again(daemon: Daemon) -> None:
    """503 means that nothing was recorded: 75."""
    answer = problem(503, "Plivo refuses the account", hint="Look at the account's credit")
    daemon.script = [always(answer)]
    ended = send(daemon, NUMBER, "hello")
    assert (75, "") == (ended.status, ended.out)
    assert (
        "plivostatusctl: Plivo refuses the account (503). Nothing was recorded; try again later."
        " Look at the account's credit\n" == ended.err
    )


def test_nobody_there(tmp_path: Path) -> None:
    """A daemon that is not there has recorded nothing: 75, saying what was tried."""
    socket, port = tmp_path / "none.sock", free_port()
    over_socket = run("send", "--socket", str(socket), NUMBER, "hello")
    over_tcp = run("send", "--url", f"http://127.0.0.1:{port}", NUMBER, "hello")
    assert (75, 75) == (over_socket.status, over_tcp.status)
    assert f"unix:{socket} (no such file)" in over_socket.err
    assert f"http://127.0.0.1:{port} (connection refused)" in over_tcp.err


def test_lost_answer(daemon: Daemon) -> None:
    """A lost answer is asked for again under the same key, so that one message is sent."""
    daemon.script = [lambda asked: Answer(is_lost=daemon.obey(asked).status == 202)]
    ended = send(daemon, NUMBER, "hello")
    (message_id,) = daemon.messages
    assert (0, f"{message_id}  queued\n") == (ended.status, ended.out)
    assert 1 == len({asked.headers["Idempotency-Key"] for asked in daemon.asked})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "a number is wanted"),
        ((NUMBER,), "a text is wanted"),
        (("--text", "hello"), "a number is wanted"),
        ((NUMBER, "hello", "world"), "put the text in quotes"),
        (("--to", NUMBER, "--text", "a", "b"), "put the text in quotes"),
        ((NUMBER, "hello", "--expiry", "soon"), "is no time"),
        ((NUMBER, "hello", "--idempotency-key", ""), "a key is 1 to"),
        ((NUMBER, "hello", "--idempotency-key", "a b"), "a key is 1 to"),
        ((NUMBER, "\udcff"), "not UTF-8"),
    ],
)
def test_usage(tmp_path: Path, words: tuple[str, ...], expected: str) -> None:
    """A command line that makes no sense is 64, one line, and nothing is asked."""
    with serving("unix", tmp_path) as daemon:
        ended = send(daemon, *words)
    assert 64 == ended.status
    assert expected in ended.err
    assert 1 == len(ended.err.splitlines())
    assert [] == daemon.asked
    assert NUMBER not in ended.err


@pytest.mark.parametrize("stdin", [b"", b"\nhello", b"\xff\xfe\n"])
def test_bad_input(tmp_path: Path, stdin: bytes) -> None:
    """Standard input that holds no number, or is not UTF-8, sends nothing."""
    with serving("unix", tmp_path) as daemon:
        ended = send(daemon, "-", "-", stdin=stdin)
    assert 1 == ended.status
    assert [] == daemon.asked


def test_full_disk_does_not_send_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once recorded it is 0, though the answer cannot be written: nobody must send again."""
    from plivostatusd.ctl.__main__ import main

    with serving("unix", tmp_path) as daemon, Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        status = main(["send", *daemon.options, NUMBER, "hello"])
        monkeypatch.undo()
    assert 0 == status
    assert "recorded, but the answer cannot be written: No space" in capsys.readouterr().err


def test_errors_as_json(daemon: Daemon) -> None:
    """With --json an error is one JSON object on standard error."""
    daemon.script = [always(problem(503, "paused"))]
    ended = send(daemon, NUMBER, "hello", "--json")
    document = json.loads(ended.err)
    assert ("", 75) == (ended.out, ended.status)
    assert 75 == document["exit_status"]
    assert "paused (503)" == document["detail"]
