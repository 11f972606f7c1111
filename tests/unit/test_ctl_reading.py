"""`show`, `list` and `stats`, over both transports, and where options stand."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from plivostatusd.domain import error_codes
from tests.unit.test_ctl_daemon import Answer, Daemon, always, free_port, problem, run, serving

STATS = {
    "messages": {"sent": 3, "delivered": 12},
    "total": 15,
    "open": 3,
    "delivery_ratio": 0.8,
    "delivery_seconds": {"p50": 2.5, "p95": 90.0, "messages": 12},
    "outbox": {"pending": 1, "claimed": 0, "unknown": 0, "held": True, "paused": None},
}


@pytest.fixture(params=["tcp", "unix"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon over each transport in turn."""
    with serving(request.param, tmp_path) as one:
        yield one


def test_show(daemon: Daemon) -> None:
    """A message is shown field by field, then its events as a timeline, then what it came to."""
    message = daemon.add_message(text="one\ntwo\x1b[2J", tag="order-7")
    daemon.add_event(message, "delivered")
    ended = run("show", *daemon.options, message["id"])
    fields, events, ending = ended.out.split("\n\n")
    assert (0, "") == (ended.status, ended.err)
    assert "status        delivered" in fields.splitlines()
    assert "text          one\\ntwo\\x1b[2J" in fields.splitlines()
    told = "callback  full   -                 -  Plivo called back"
    titles = "when                       after  status     source    trust  Plivo's time  delay"
    assert [
        f"{titles}  what happened",
        f"2026-11-23 09:00:02.123Z  0.000s  queued     {told}",
        f"2026-11-23 09:00:02.123Z  0.000s  delivered  {told}",
    ] == events.splitlines()
    assert "open  more may come\n" == ending


def test_show_an_error(daemon: Daemon) -> None:
    """What an error code means, whose fault it is and what to do stand below the timeline."""
    explained = error_codes.explained("30", "undelivered")
    message = daemon.add_message(status="undelivered", final=True, error_explained=explained)
    ended = run("show", *daemon.options, message["id"])
    assert "error_explained" not in ended.out
    assert [
        "error    spam detected: the carrier's filter, or too many messages from a long code",
        "fault    the sender",
        "charged  yes: the carrier had taken it",
    ] == ended.out.split("\n\n")[2].splitlines()[:3]


def test_show_by_plivos_id(daemon: Daemon) -> None:
    """Plivo's message_uuid finds the message too."""
    message = daemon.add_message()
    assert message == run("show", *daemon.options, "uuid-1", "--json").json


def test_show_nothing(daemon: Daemon) -> None:
    """What is not there is 1, in one line."""
    ended = run("show", *daemon.options, "a/../b?c")
    expected = "plivostatusctl: no such message (404)\n"
    assert (1, "", expected) == (ended.status, ended.out, ended.err)
    assert "/messages/a%2F..%2Fb%3Fc" == daemon.asked[0].path


def test_unreachable(tmp_path: Path) -> None:
    """A daemon that is not there is 69, saying what was tried and how to start it."""
    ended = run("show", "x", "--socket", str(tmp_path / "none.sock"))
    assert (69, "") == (ended.status, ended.out)
    assert (
        f"plivostatusctl: the daemon cannot be reached; tried unix:{tmp_path}/none.sock"
        " (no such file). Start it: systemctl start plivostatusd\n" == ended.err
    )


def test_second_address(tmp_path: Path) -> None:
    """Of what the configuration names, the first that takes a connection is asked."""
    with serving("tcp", tmp_path) as daemon:
        message = daemon.add_message()
        path = tmp_path / "c.conf"
        path.write_text(f"[api]\nlisten = {daemon.place}, unix:{tmp_path}/none.sock\n")
        ended = run("show", message["id"], "-c", str(path), "--json")
    assert message == ended.json


def test_list(daemon: Daemon) -> None:
    """Messages stand newest first in aligned columns."""
    daemon.add_message(to="+14155550001")
    daemon.add_message(to="+4915112345678", status="delivered", final=True, tag="x")
    ended = run("list", *daemon.options)
    assert 0 == ended.status
    first, second = reversed(daemon.messages)
    assert [
        f"created               {'id':36}  to              status     final  error  tag",
        f"2026-11-23 09:00:02Z  {first}  +4915112345678  delivered  yes    -      x",
        f"2026-11-23 09:00:02Z  {second}  +14155550001    queued     no     -      -",
    ] == ended.out.splitlines()


def test_list_filters(daemon: Daemon) -> None:
    """Each filter is handed to the API, times in RFC 3339."""
    words = (
        "--status sent --to 14155552323 --from Acme --tag a&b --since 2026-11-23T10:00+01:00"
        " --until 2026-11-24 --open --limit 7 --error 030 --carrier 310/150 --by cron"
    )
    assert 0 == run("list", *daemon.options, *words.split()).status
    assert {
        "status": "sent",
        "to": "+14155552323",
        "from": "Acme",
        "error": "30",
        "carrier": "310-150",
        "by": "cron",
        "tag": "a&b",
        "since": "2026-11-23T09:00:00Z",
        "until": "2026-11-24T00:00:00Z",
        "final": "false",
        "limit": "7",
    } == daemon.asked[0].query


def test_list_as_csv(daemon: Daemon) -> None:
    """--csv writes every field of each message exactly, with a line of titles."""
    daemon.add_message(text='say "hi",\nall', final=True)
    ended = run("list", *daemon.options, "--csv")
    titles, row = csv.reader(io.StringIO(ended.out))
    found = dict(zip(titles, row, strict=True))
    assert ('say "hi",\nall', "true", "", "+14155552323") == (
        found["text"],
        found["final"],
        found["tag"],
        found["to"],
    )
    assert ["created_at", "id", "message_uuid"] == titles[:3]


def test_an_empty_list_as_csv(daemon: Daemon) -> None:
    """Where nothing is found the titles stand alone."""
    assert 1 == len(run("list", *daemon.options, "--csv").out.splitlines())


def test_list_follows_pages(tmp_path: Path) -> None:
    """Pages are followed until the limit; the cursor goes on from there."""
    with serving("tcp", tmp_path) as daemon:
        ids = [daemon.add_message()["id"] for _ in range(1_205)][::-1]
        whole = run("list", *daemon.options, "--json", "--limit", "5000")
        part = run("list", *daemon.options, "--json", "--limit", "1100")
        rest = run("list", *daemon.options, "--json", "--cursor", part.json["next"])
    assert ids == [message["id"] for message in whole.json["messages"]]
    assert whole.json["next"] is None
    assert ["1000", "1000", "1000", "100", "50"] == [asked.query["limit"] for asked in daemon.asked]
    assert ids[:1_150] == [one["id"] for one in part.json["messages"] + rest.json["messages"]]


def test_list_says_that_there_are_more(tmp_path: Path) -> None:
    """A list that the limit cut says so, beside the results."""
    with serving("tcp", tmp_path) as daemon:
        for _ in range(3):
            daemon.add_message()
        ended = run("list", *daemon.options, "--limit", "2")
    assert 3 == len(ended.out.splitlines())
    assert "plivostatusctl: there are more: --limit N, or --cursor 2\n" == ended.err


def test_stats(daemon: Daemon) -> None:
    """Counts stand at the right, then totals and the outbox."""
    daemon.stats = STATS
    ended = run("stats", *daemon.options, "--since", "2026-11-23")
    assert (0, {"since": "2026-11-23T00:00:00Z"}) == (ended.status, daemon.asked[0].query)
    assert [
        "status       messages",
        f"sent                3  {'#' * 8}",
        f"delivered          12  {'#' * 30}",
        "",
        "total           15",
        "open            3",
        "delivered       80.0%",
        "delivery p50    2.500s",
        "delivery p95    1.5m",
        "outbox pending  1",
        "outbox claimed  0",
        "outbox unknown  0",
        "outbox held     yes",
        "outbox paused   -",
    ] == ended.out.splitlines()


def test_stats_per_carrier(daemon: Daemon) -> None:
    """Told apart by a part, each group has its figures and a bar, and what is left out is said."""
    took = STATS["delivery_seconds"]
    groups = [
        {
            "carrier": "310-150",
            "total": 8,
            "open": 0,
            "delivery_ratio": 0.5,
            "delivery_seconds": took,
        },
        {"carrier": None, "total": 1, "open": 1, "delivery_ratio": None, "delivery_seconds": {}},
    ]
    left_out = {"groups": 2, "messages": 6}
    daemon.stats = {**STATS, "per": "carrier", "groups": groups, "left_out": left_out}
    words = "--per carrier --limit 2 --tag x --carrier 310"
    ended = run("stats", *daemon.options, *words.split())
    assert {"per": "carrier", "limit": "2", "tag": "x", "carrier": "310"} == daemon.asked[0].query
    assert [
        "carrier  messages  open  delivered     p50   p95",
        f"310-150         8     0      50.0%  2.500s  1.5m  {'#' * 30}",
        f"-               1     1          -       -     -  {'#' * 4}",
    ] == ended.out.splitlines()
    assert "plivostatusctl: 2 more, of 6 messages: --limit N\n" == ended.err


def test_stats_per_country(daemon: Daemon) -> None:
    """A country is its calling code and whose that is."""
    countries = [
        {"country": "+1", "iso": ["US", "CA"], "total": 1, "open": 0},
        {"country": "+999", "iso": [""], "total": 1, "open": 0},
        {"country": None, "total": 1, "open": 0},
    ]
    daemon.stats = {**STATS, "per": "country", "groups": countries}
    lines = run("stats", *daemon.options, "--per", "country").out.splitlines()
    assert ["+1 US/CA", "+999", "-"] == [line.partition("  ")[0] for line in lines[1:]]


def test_stats_as_csv(daemon: Daemon) -> None:
    """--csv gives a line a status, or a line a group."""
    group = {"day": "2026-11-23", "total": 8, "open": 0, "delivery_ratio": 0.5}
    daemon.stats = {**STATS, "groups": [{**group, "delivery_seconds": {"p50": 2.5, "p95": None}}]}
    plain = run("stats", *daemon.options, "--csv")
    assert ["status,messages", "sent,3", "delivered,12"] == plain.out.splitlines()
    grouped = run("stats", *daemon.options, "--csv", "--per", "day")
    assert [
        "day,messages,open,delivery_ratio,p50_seconds,p95_seconds",
        "2026-11-23,8,0,0.5,2.5,",
    ] == grouped.out.splitlines()


def test_stats_as_json(daemon: Daemon) -> None:
    """--json prints the daemon's answer whole."""
    daemon.stats = STATS
    assert STATS == run("--json", *daemon.options, "stats").json


def test_options_stand_anywhere(tmp_path: Path) -> None:
    """Options that every command takes stand before it, behind it, or on both sides."""
    (tmp_path / "token").write_text("cron token-16-characters\n")
    with serving("tcp", tmp_path, token="token-16-characters") as daemon:
        message = daemon.add_message()
        token = ["--token-file", str(tmp_path / "token")]
        where, what = daemon.options, ["show", message["id"]]
        ended = [
            run(*where, *token, "--json", *what),
            run(*what, *where, *token, "--json"),
            run("show", "--json", *where, message["id"], *token),
            run("--json", *token, *what, *where),
        ]
    assert [message] * 4 == [one.json for one in ended]


def test_token_is_wanted(tmp_path: Path) -> None:
    """Without its token a TCP listener is 1, with the option to give."""
    with serving("tcp", tmp_path, token="token-16-characters") as daemon:
        ended = run("stats", *daemon.options)
        expected = f"a token is wanted (401). http://{daemon.place} wants --token-file FILE"
    assert (1, f"plivostatusctl: {expected}\n") == (ended.status, ended.err)


def test_somebody_else(tmp_path: Path) -> None:
    """An answer that is not the daemon's is 1, whether it is JSON or not."""
    with serving("tcp", tmp_path) as daemon:
        daemon.script = [
            always(Answer(200, raw=b"<html>", headers={"Content-Type": "text/html"})),
            always(Answer(200, {"hello": "world"})),
            always(Answer(200, {"messages": "many"})),
            always(Answer(301, raw=b"", headers={"Location": "http://x/"})),
        ]
        ended = [run("list", *daemon.options) for _ in range(4)]
    assert [1] * 4 == [one.status for one in ended]
    assert [1] * 4 == [len(one.err.splitlines()) for one in ended]
    assert "not the daemon's JSON" in ended[0].err


def test_answer_lost(daemon: Daemon) -> None:
    """A question without an answer is 69."""
    daemon.script = [always(Answer(is_lost=True))]
    ended = run("list", *daemon.options)
    assert 69 == ended.status
    assert "took the request and gave no answer" in ended.err


def test_problem_as_json(daemon: Daemon) -> None:
    """With --json the daemon's problem stands on standard error, as it was sent."""
    daemon.script = [always(problem(404, "gone", problems=[{"field": "id", "problem": "x"}]))]
    ended = run("show", *daemon.options, "x", "--json")
    document = json.loads(ended.err)
    assert ("urn:x", 404, "gone", 1) == tuple(
        document[name] for name in ("type", "status", "detail", "exit_status")
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "a command is wanted: send, show"),
        (("--json",), "a command is wanted: send, show"),
        (("lst",), "there is no command 'lst'; did you mean list? See plivostatusctl --help"),
        (("show",), "show: the following arguments are required: ID"),
        (("show", "a", "b"), "show: unrecognized arguments: b"),
        (("list", "--limit", "0"), "list: argument --limit: '0' is no number above 0"),
        (("list", "--since", "soon"), "list: argument --since: 'soon' is no moment"),
        (("list", "--stat", "x"), "list: unrecognized arguments: --stat"),
        (("list", "--final", "--open"), "not allowed with argument"),
        (("list", "--to", "1"), "list: argument --to: '1' is no number, such as +14155552323"),
        (("list", "--carrier", "1"), "list: argument --carrier: '1' is no network"),
        (("list", "--error", "spam"), "list: argument --error: 'spam' is no error code"),
        (("list", "--json", "--csv"), "list: --json and --csv exclude each other"),
        (("tail", "--after", "x", "--since", "2h"), "not allowed with argument"),
        (("--socket", "/x", "list", "--url", "http://x"), "exclude each other"),
        (("--url", "x", "list"), "--url: want http://HOST:PORT"),
        (("--nonsense", "list"), "unrecognized arguments: --nonsense"),
        (("hold", "now"), "hold: unrecognized arguments: now"),
    ],
)
def test_usage(words: tuple[str, ...], expected: str) -> None:
    """A command line that makes no sense is 64, in one line."""
    ended = run(*words)
    line = json.loads(ended.err)["detail"] if "--json" in words else ended.err
    assert (64, "") == (ended.status, ended.out)
    assert expected in line
    assert 1 == len(ended.err.splitlines())


def test_nobody_on_the_port() -> None:
    """A port where nobody listens is 69."""
    ended = run("list", "--url", f"http://127.0.0.1:{free_port()}")
    assert (69, "") == (ended.status, ended.out)


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "no-such-host.invalid"])
def test_host_that_cannot_be(host: str) -> None:
    """A name that cannot be looked up is a daemon that cannot be reached."""
    assert 69 == run("list", "--url", f"http://{host}:1").status


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_asking_the_tool_itself(word: str) -> None:
    """--help and --version are 0 and ask nobody."""
    ended = run(word)
    assert (0, "") == (ended.status, ended.err)
    assert "plivostatusctl" in ended.out


@pytest.mark.parametrize(
    "command", ["send", "show", "list", "tail", "stats", "hold", "release", "cancel"]
)
def test_help_of_each_command(command: str) -> None:
    """Every command explains itself within 80 columns."""
    ended = run(command, "--help")
    assert (0, "") == (ended.status, ended.err)
    assert ended.out.startswith(f"usage: plivostatusctl {command}")
    assert 80 > max(map(len, ended.out.splitlines()))
