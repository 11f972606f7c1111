"""`plivostatusctl import`: which column is what, and what is said of bad rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.ctl.import_csv import ROWS_AT_ONCE
from tests.unit.test_ctl_daemon import Answer, Asked, Daemon, always, problem, run, serving

UUID = "b795906a-8a79-11ec-9bd3-0242ac110003"
TUTORIAL = (
    "id,message_uuid,sender_number,recipient_number,message_body,initial_status,current_status,"
    "status_timestamp,error_code,created_at,updated_at\n"
)
CELLS = (
    f'7,{UUID},+14155551212,+14155552323,"a, ""b""\nc",queued,delivered,'
    "2025-11-23 09:00:02+00,,x,y\n"
)
GOOD = {"imported": 1, "changed": 0, "unchanged": 0, "bad": []}


def taking(asked: Asked) -> Answer:
    """Take every row."""
    return Answer(200, GOOD | {"imported": len(asked.json["rows"])})


def imported(folder: Path, text: str, *words: str, acts: Any = (taking,)) -> tuple[Any, Daemon]:
    """Import a file with *text* in it."""
    file = folder / "table.csv"
    file.write_text(text, "utf-8")
    with serving("unix", folder) as daemon:
        daemon.script += acts
        ended = run("import", str(file), *daemon.options, *words)
    return ended, daemon


def test_tutorials_table(tmp_path: Path) -> None:
    """The columns of the tutorial's table are understood without a word."""
    ended, daemon = imported(tmp_path, TUTORIAL + CELLS)
    assert (0, "") == (ended.status, ended.err)
    assert ["imported", "1"] == ended.out.splitlines()[0].split()
    (asked,) = daemon.asked
    assert ("POST", "/import") == (asked.method, asked.path)
    assert [
        {
            "message_uuid": UUID,
            "from": "+14155551212",
            "to": "+14155552323",
            "text": 'a, "b"\nc',
            "status": "delivered",
            "status_at": "2025-11-23 09:00:02+00",
            "error_code": "",
            "created_at": "x",
            "updated_at": "y",
        }
    ] == asked.json["rows"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_names(tmp_path: Path, delimiter: str) -> None:
    """A column can be named for what it is; one that is not understood is named, and left out."""
    text = "\ufeffuuid,Zustand,price\n" + f"{UUID},sent,0.0035\n"
    ended, daemon = imported(
        tmp_path, text.replace(",", delimiter), "--column", "status=Zustand", "--json"
    )
    assert (0, "") == (ended.status, ended.err)
    assert {**GOOD, "columns_left_out": ["price"]} == json.loads(ended.out)
    assert [{"message_uuid": UUID, "status": "sent"}] == daemon.asked[0].json["rows"]


def test_column_that_is_not_understood(tmp_path: Path) -> None:
    """A person is told of each column that is left out; of those that say nothing new he is not."""
    ended, _ = imported(tmp_path, f"id,uuid,status,price\n1,{UUID},sent,0.0035\n")
    assert 0 == ended.status
    assert "the column price is not understood" in ended.err
    assert 1 == ended.err.count("\n")


def test_bad_rows(tmp_path: Path) -> None:
    """Bad rows are listed by the line they begin at, not shown, and end it with 1."""
    text = f'message_uuid,status,text\n{UUID},sent,"a\nb"\nsecret\n\nsecret,sent,x\n{UUID},sent,x\n'
    bad = [{"row": 1, "field": "message_uuid", "problem": "expected Plivo's message_uuid"}]
    answer = always(Answer(200, GOOD | {"imported": 2, "bad": bad}))
    ended, daemon = imported(tmp_path, text, acts=(answer,))
    assert 1 == ended.status
    assert [
        "line 4: has not as many cells as the header",
        "line 6: message_uuid: expected Plivo's message_uuid",
    ] == ended.out.splitlines()[:2]
    assert "secret" not in ended.out + ended.err
    assert ["bad", "2"] == ended.out.splitlines()[-1].split()
    assert 3 == len(daemon.asked[0].json["rows"])


def test_many_rows(tmp_path: Path) -> None:
    """A long table is handed in a few rows at a time, all of them once and in order."""
    count = 2 * ROWS_AT_ONCE + 1
    rows = [f"{number:08x}{UUID[8:]}" for number in range(count)]
    text = "message_uuid,status\n" + "".join(f"{each},sent\n" for each in rows)
    ended, daemon = imported(tmp_path, text, "--json", acts=[taking] * 3)
    assert (0, count) == (ended.status, json.loads(ended.out)["imported"])
    assert rows == [row["message_uuid"] for asked in daemon.asked for row in asked.json["rows"]]


def test_long_rows(tmp_path: Path) -> None:
    """No request is larger than the daemon takes, however long the texts are."""
    long = "x" * 10_000
    text = "message_uuid,status,text\n" + f"{UUID},sent,{long}\n" * 150
    ended, daemon = imported(tmp_path, text, "--json", acts=[taking] * 3)
    assert (0, 150) == (ended.status, json.loads(ended.out)["imported"])
    assert max(len(asked.body) for asked in daemon.asked) < 2**20


@pytest.mark.parametrize(
    ("text", "words", "status", "said"),
    [
        ("", (), 1, "no header"),
        ("status\nsent\n", (), 64, "--column message_uuid=NAME"),
        ("uuid,message_uuid,status\n", (), 64, "could both be message_uuid"),
        ("uuid,status\n", ("--column", "to=number"), 64, "no column 'number'"),
        ("uuid,status\n", ("--column", "price=x"), 64, "want FIELD=NAME"),
        ("uuid,status\n", ("--column", "to"), 64, "want FIELD=NAME"),
        (f'uuid,status\n{UUID},"{"x" * 200_000}"\n', (), 1, "no CSV"),
    ],
)
def test_no_table(
    tmp_path: Path, text: str, words: tuple[str, ...], status: int, said: str
) -> None:
    """A file that is not understood as a whole is refused in one line, and nothing is asked."""
    ended, daemon = imported(tmp_path, text, *words, acts=())
    assert status == ended.status
    assert said in ended.err
    assert [] == daemon.asked


def test_no_utf_8(tmp_path: Path) -> None:
    """A file of another encoding is refused as such; so is one that is not there."""
    file = tmp_path / "table.csv"
    file.write_bytes(b"uuid,status\n\xe4,sent\n")
    ended = run("import", str(file))
    assert 1 == ended.status
    assert "UTF-8" in ended.err
    ended = run("import", str(tmp_path / "nothing.csv"))
    assert (64, 1) == (ended.status, ended.err.count("\n"))


def test_standard_input(tmp_path: Path) -> None:
    """With - the table is read from standard input, a byte order mark and all."""
    with serving("unix", tmp_path) as daemon:
        daemon.script.append(taking)
        text = f"\ufeffmessage_uuid,status\n{UUID},read\n"
        ended = run("import", "-", *daemon.options, stdin=text.encode())
    assert 0 == ended.status
    assert [{"message_uuid": UUID, "status": "read"}] == daemon.asked[0].json["rows"]


def test_without_the_right(tmp_path: Path) -> None:
    """Whoever may not is told the line to type."""
    ended, _ = imported(
        tmp_path, TUTORIAL + CELLS, acts=(always(problem(403, "Only root may do this")),)
    )
    assert 1 == ended.status
    assert "sudo plivostatusctl import" in ended.err
