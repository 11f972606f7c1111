"""
Show which of Plivo's tokens verified callbacks when last, without showing the tokens.

After a rotation: once the new token verifies, and the old one has not for as long as
Plivo repeats a callback (seven minutes), the old one can be dropped from its file.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from plivostatusd.ctl.by_hand import look
from plivostatusd.ctl.client import records
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE
from plivostatusd.ctl.table import Column
from plivostatusd.ctl.visible import moment, visible

WORDS = ""
NO_LONGER = "not configured"
_COLUMNS = (
    Column("token", least=len(NO_LONGER)),
    Column("fingerprint", least=16),
    Column("last V3", least=20),
    Column("last V2", least=20),
    Column("use"),
)


def add_arguments(parser: ArgumentParser) -> None:
    """Nothing to declare."""


def run(run: Run) -> int:
    """Ask and print."""
    document = look(run, "/tokens")
    if run.output.as_json:
        run.output.document(document)
        return DONE
    run.output.table(_COLUMNS, [_row(token) for token in records(document, "tokens")])
    return DONE


def _row(token: dict[str, Any]) -> list[str]:
    return [
        visible(token.get("name") or NO_LONGER),
        visible(token.get("fingerprint")),
        moment(token.get("last_v3_at")),
        moment(token.get("last_v2_at")),
        _use(token),
    ]


def _use(token: dict[str, Any]) -> str:
    if not token.get("in_force"):
        return "dropped"
    verb = "sends, verifies" if token.get("sends") else "verifies"
    return verb if token.get("last_used_at") else f"{verb} (never of use yet)"
