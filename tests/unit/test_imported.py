"""A row of another program's table: what is taken of it, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from plivostatusd.domain.imported import BadRow, Imported, parse

NOW_US = 1_790_000_000_000_000
UUID = "b795906a-8a79-11ec-9bd3-0242ac110003"
ROW = {"message_uuid": UUID, "status": "delivered"}
NINE_US = 1_763_888_402_000_000


def test_whole_row() -> None:
    """Every field of the tutorial's table is read, as PostgreSQL spells it."""
    row = parse(
        {
            "message_uuid": UUID,
            "status": "Delivered",
            "to": "14155552323",
            "from": "+14155551212",
            "text": "hello, \u00e4",
            "error_code": "000",
            "status_at": "2025-11-23 09:00:02+00",
            "created_at": "2025-11-23 10:00:02.000000+01",
            "updated_at": "2025-11-24T09:00:02Z",
        },
        now_us=NOW_US,
    )
    assert (
        Imported(
            message_uuid=UUID,
            status="delivered",
            to="+14155552323",
            sender="+14155551212",
            text="hello, \u00e4",
            error_code=None,
            at_us=NINE_US,
            created_us=NINE_US,
        )
        == row
    )
    assert "1415" not in repr(row)
    assert "hello" not in repr(row)


@pytest.mark.parametrize("nothing", [None, "", "  ", "NULL", "\\N"])
def test_nothing(nothing: str | None) -> None:
    """What a table has no value for is none, however it spells that."""
    names = ("to", "from", "text", "error_code", "status_at", "created_at", "updated_at")
    row = parse(ROW | dict.fromkeys(names, nothing), now_us=NOW_US)
    assert (None, None, None, None, None, NOW_US) == (
        row.to,
        row.sender,
        row.text,
        row.error_code,
        row.at_us,
        row.created_us,
    )


def test_times_stand_in() -> None:
    """Where no time of the status is kept, that of the last change is; and it began no later."""
    row = parse(ROW | {"updated_at": "2025-11-23 09:00:02"}, now_us=NOW_US)
    assert (NINE_US, NINE_US) == (row.at_us, row.created_us)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("message_uuid", ""),
        ("message_uuid", "17"),
        ("status", None),
        ("status", "pending"),
        ("status", "on its way"),
        ("to", "nobody"),
        ("from", "a name that is too long"),
        ("text", "a\x00b"),
        ("text", "\ud800"),
        ("text", "x" * 10_001),
        ("error_code", "E30"),
        ("status_at", "yesterday"),
        ("created_at", "2999-01-01T00:00:00Z"),
        ("updated_at", "1969-12-31T23:59:59Z"),
        ("to", 14155552323),
        ("tag", "x"),
    ],
)
def test_bad_rows(name: str, said: Any) -> None:
    """A field that cannot be is named, with what is expected, and without what it holds."""
    with pytest.raises(BadRow) as caught:
        parse(ROW | {name: said}, now_us=NOW_US)
    assert name == caught.value.field
    assert not (isinstance(said, str) and len(said) > 2 and said in str(caught.value))
