"""The page RESULTS.md: figures as they were found, and what was written by hand left alone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench import page
from bench.results import BARE
from tests.unit.bench_found import latency, overload, rates, results


def written(folder: Path, load: str = "0.2", old: str | None = None) -> str:
    """The page of a whole run, in the place of an *old* one."""
    file = folder / "RESULTS.md"
    if old is not None:
        file.write_text(old)
    page.write(replace(results(), machine={"load": load}), file)
    return file.read_text()


def test_every_part_is_there(tmp_path: Path) -> None:
    """A whole run has all its chapters, every table has cells for all its titles."""
    text = written(tmp_path)
    chapters = ["Against the targets", "Side by side", "At half the rate", "At twice the rate"]
    assert [*chapters, "Sends", "At rest"] == re.findall(r"^## (.*)$", text, re.MULTILINE)
    for table in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        assert 1 == len({line.count("|") for line in table.splitlines()}), table


def test_what_was_written_by_hand_stays(tmp_path: Path) -> None:
    """A new page replaces all above "By hand", and nothing from there on."""
    by_hand = "## By hand\n\nA table of ours.\n"
    text = written(tmp_path, old=f"# What was measured\n\nold figures\n\n{by_hand}")
    assert text.endswith(f"\n\n{by_hand}")
    assert "old figures" not in text
    assert text == written(tmp_path, old=text)


@pytest.mark.parametrize(("load", "is_said"), [("0.7", False), ("0.8", True)])
def test_a_busy_machine_is_said(tmp_path: Path, load: str, is_said: bool) -> None:
    """Figures of a machine that was busy are marked as such."""
    assert is_said == ("The machine was busy" in written(tmp_path, load))


def test_rates() -> None:
    """A rate is the median with least and most; a ratio is made of rounds."""
    text = page.of_rates(rates(BARE, [4_000.0, 6_000.0, 5_000.0], [1_000.0, 3_000.0, 1_000.0]))
    assert "5,000 (4,000 to 6,000)" in text
    assert "| 1,000 (1,000 to 3,000) | 4.00 (2.00 to 5.00) " in text
    assert "Each answered 3,000 callbacks, all with 200." in text
    assert text.endswith("All messages had their last status.")


def test_messages_left_behind() -> None:
    """Whose messages were left with an old status is said."""
    found = replace(rates(BARE, [1.0], [1.0]), stale={"Fastify, log": 45, "Fastify, SQLite": 0})
    assert page.of_rates(found).endswith("overtook each other: 45 of Fastify, log.")


def test_unanswered_callbacks_are_said() -> None:
    """Whose callbacks were not answered is said."""
    assert "Not answered" not in page.of_latency({"a": latency(1.0)})
    found = {"a": replace(latency(1.0), unanswered=1_234)}
    assert page.of_latency(found).endswith("counted as 8 s: 1,234 of a.")


def test_a_server_that_never_was_well() -> None:
    """It is said how long one was watched that did not recover."""
    assert "| not within 6 s |" in page.of_overload({"a": overload(recovered_s=None)})
    assert "| 0.5 s |" in page.of_overload({"a": overload()})
