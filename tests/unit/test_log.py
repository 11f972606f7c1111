"""plivostatusd.log: what a line of ours says, and what it does not."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from plivostatusd.domain.secret import Secret
from plivostatusd.log import get_logger, mask_text
from tests.unit import log_place
from tests.unit.log_place import NUMBER, TOKEN, Journal, Start, fail

log = get_logger()

untouched = log_place.untouched
journal = log_place.journal
start = log_place.start

pytestmark = pytest.mark.usefixtures("start")


def test_a_line_is_one_json_object(journal: Journal) -> None:
    """A line begins with its time, level and event, and has the fields behind them."""
    before = datetime.now(UTC)
    log.info("callback_recorded", message_id="0192", sequence=2, tag=None)
    text = journal.getvalue().decode("ascii")
    assert re.fullmatch(
        r'\{"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z","level":"info",'
        r'"event":"callback_recorded","message_id":"0192","sequence":2,"tag":null\}\n',
        text,
    )
    at = datetime.fromisoformat(journal.last()["timestamp"])
    assert before <= at <= datetime.now(UTC)


@pytest.mark.allow_log("loud")
def test_every_level_has_its_method(start: Start, journal: Journal) -> None:
    """The level stands in the line under the name that the configuration uses."""
    start(level="debug")
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(log, level)("loud")
    found = [line["level"] for line in journal.lines()]
    assert found == ["debug", "info", "warning", "error", "critical"]


@pytest.mark.allow_log("loud")
@pytest.mark.parametrize(
    ("level", "count"), [("debug", 5), ("info", 4), ("warning", 3), ("error", 2)]
)
def test_the_level_drops_what_is_less(
    start: Start, journal: Journal, level: str, count: int
) -> None:
    """Lines below the configured level are not written."""
    start(level=level)
    for method in ("debug", "info", "warning", "error", "critical"):
        getattr(log, method)("loud")
    assert len(journal.lines()) == count


def test_a_reload_changes_loggers_that_were_used(start: Start) -> None:
    """Level, stream, numbers and secrets of a logger in use are those of the last `configure`."""
    log.debug("x")
    second = Journal()
    start(level="debug", numbers="full", secrets=[Secret(TOKEN)], stream=second)
    log.debug("x", to=NUMBER, token=TOKEN)
    assert [(line["to"], line["token"]) for line in second.lines()] == [(NUMBER, "***")]
    start(level="info", numbers="masked", stream=second)
    log.debug("x")
    log.info("x", to=NUMBER, token=TOKEN)
    assert [(line["to"], line["token"]) for line in second.lines()[1:]] == [
        ("+1415****2323", "***")
    ]


@pytest.mark.parametrize("name", ["to", "from", "from_number", "number", "sender"])
def test_numbers_are_masked(journal: Journal, name: str) -> None:
    """A phone number in a field of its own is masked, in a list too."""
    log.info("x", **{name: NUMBER})
    log.info("x", **{name: [NUMBER, "14155552323"]})
    log.info("x", **{name: None})
    assert [line[name] for line in journal.lines()] == [
        "+1415****2323",
        ["+1415****2323", "1415****2323"],
        None,
    ]


def test_numbers_in_full(start: Start, journal: Journal) -> None:
    """With numbers = full nothing is masked but secrets."""
    start(numbers="full", secrets=[Secret(TOKEN)])
    log.info("x", to=NUMBER, error=f"{NUMBER} {TOKEN}")
    assert (journal.last()["to"], journal.last()["error"]) == (NUMBER, f"{NUMBER} ***")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to +14155552323 failed", "to +1415****2323 failed"),
        ("14155552323", "1415****2323"),
        ("dst=14155552323&src=+442071838750", "dst=1415****2323&src=+4420****8750"),
        ("1234567", "****"),
        ("123456", "123456"),
        ("1234567890123456", "1234567890123456"),
        ("line 42 at 127.0.0.1:8787, 2026-11-23", "line 42 at 127.0.0.1:8787, 2026-11-23"),
    ],
)
def test_what_looks_like_a_number_in_free_text(text: str, masked: str) -> None:
    """A run of 7 to 15 digits is masked, shorter and longer ones stay."""
    assert mask_text(text) == masked


@pytest.mark.allow_log("broke")
def test_free_text_of_our_own_is_masked(journal: Journal) -> None:
    """Reasons and errors that quote a foreign text show no number."""
    log.error("broke", error=ValueError(f"no {NUMBER}"), reason=f"bad {NUMBER}")
    assert (journal.last()["error"], journal.last()["reason"]) == (
        "no +1415****2323",
        "bad +1415****2323",
    )


@pytest.mark.allow_log("broke")
def test_a_traceback_shows_no_number_secret_or_local(start: Start, journal: Journal) -> None:
    """An exception comes with its traceback, masked, and without the values of variables."""
    start(secrets=[Secret(TOKEN)])
    try:
        fail(ValueError(f"{NUMBER} {TOKEN}"))
    except ValueError as error:
        log.exception("broke")
        caught = error
    log.error("broke", exc_info=caught)
    log.error("broke", exc_info=(type(caught), caught, caught.__traceback__))
    for line in journal.lines():
        assert line["exception"].startswith("Traceback (most recent call last):")
        assert line["exception"].endswith("ValueError: +1415****2323 ***")
        assert "exc_info" not in line
        assert "private" not in line["exception"]


@pytest.mark.parametrize("secret", [TOKEN, 'quo"ted\\back', "pass</script>"])
@pytest.mark.parametrize("shape", ["{}", "Bearer {}", "x{}x"])
def test_a_secret_is_hidden_wherever_it_is(
    start: Start, journal: Journal, secret: str, shape: str
) -> None:
    """A secret leaves in no value, list, object or key, whatever characters it has."""
    start(secrets=[Secret(secret), Secret("")])
    text = shape.format(secret)
    log.info(text, a=text, b=[text, {"c": text}], d=Path(text), e=ValueError(text), f=Secret(text))
    log.info("x", **{text: 1})
    raw = journal.getvalue().decode()
    assert secret not in raw
    assert json.dumps(secret)[1:-1] not in raw
    assert journal.lines()[0]["a"] == shape.format("***")


def test_a_longer_secret_is_hidden_whole(start: Start, journal: Journal) -> None:
    """Of two secrets of which one begins with the other, no rest of the longer is left."""
    start(secrets=[Secret("abcdefgh"), Secret("abcdefghijkl")])
    log.info("x", value="abcdefghijkl")
    assert journal.last()["value"] == "***"


def test_a_replaced_secret_stays_hidden(start: Start, journal: Journal) -> None:
    """A token that a reload took away is still not logged."""
    start(secrets=[Secret(TOKEN)])
    start(secrets=[])
    log.info("x", value=TOKEN)
    assert journal.last()["value"] == "***"


class Broken:
    """An object that cannot be printed, twice: the third time it is the log book that asks."""

    def __init__(self) -> None:
        self._faults = iter([RuntimeError("broken"), RuntimeError("broken")])

    def __repr__(self) -> str:
        """Fail twice."""
        for fault in self._faults:
            raise fault
        return "mended"


def test_what_json_has_no_word_for(journal: Journal) -> None:
    """Paths, objects, NaN, circles and broken objects do not keep a line from being written."""
    circle: list[object] = []
    circle.append(circle)
    log.info("x", path=Path("/a"), odd={1}, text="\u2028\udcff\n\x1b", count=1)
    log.info("x", bad=Broken(), count=1)
    log.info("x", bad=float("nan"), count=1)
    log.info("x", bad=circle, count=1)
    lines = journal.lines()
    assert (lines[0]["path"], lines[0]["odd"], lines[0]["text"]) == (
        "/a",
        "{1}",
        "\u2028\udcff\n\x1b",
    )
    assert [line["count"] for line in lines] == [1, 1, 1, 1]
    assert [line["bad"] for line in lines[1:]] == ["<Broken>", "nan", "[[...]]"]
    assert journal.getvalue().isascii()
    assert journal.getvalue().count(b"\n") == 4


def test_an_object_in_a_field_shows_no_number(journal: Journal) -> None:
    """What is printed for lack of a better way is masked as foreign text."""
    log.info("x", thing=frozenset({NUMBER}))
    assert journal.last()["thing"] == "frozenset({'+1415****2323'})"
