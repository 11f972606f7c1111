"""
The sample file, made from the table: every setting explained beside its commented default.

Pure. What this returns is what stands in `plivostatusd.conf.example`; a test holds them equal.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from plivostatusd.config.setting import Setting, rows
from plivostatusd.config.table import SECTIONS

_COLUMNS = 88

_HEAD = """\
Settings of plivostatusd. Two are required, auth_id and public_url; all others show their default
behind a #.

A setting is one line, key = value, without quotes. A comment has a line of its own and begins
with #. Durations carry a unit: ms, s, m, h or d. So do sizes: B, KiB, MiB, GiB (1024), kB, MB, GB
(1000).

plivostatusd -t tests this file. systemctl reload plivostatusd applies changes, except to settings
marked "after a restart". PLIVOSTATUSD_<SECTION>_<KEY> in the environment overrides a setting, for
instance PLIVOSTATUSD_SEND_WAIT=5s.
"""


def example() -> str:
    """Return the text of `plivostatusd.conf.example`."""
    head = [_comment(paragraph) for paragraph in _HEAD.split("\n\n")]
    body = [_section(section, declared) for section, declared in SECTIONS.items()]
    return "\n#\n".join(head) + "\n\n\n" + "\n\n\n".join(body) + "\n"


def _section(section: str, declared: type[Any]) -> str:
    intro = _comment(declared.__doc__ or "")
    return "\n\n".join([f"{intro}\n[{section}]", *map(_setting, rows(section, declared))])


def _setting(row: Setting) -> str:
    return "\n".join([_comment(" ".join(_sentences(row))), *_lines(row)])


def _sentences(row: Setting) -> Iterator[str]:
    if row.is_required:
        yield "Required."
    yield row.about
    if not row.is_reloadable:
        yield "Takes effect after a restart."


def _lines(row: Setting) -> Iterator[str]:
    """Show how the setting is written: required ones live, all others behind a #."""
    yield _comment(f"Value: {row.kind.expected}")
    if row.sample:
        yield f"# Example: {row.key} = {row.sample}"
    mark = "" if row.is_required else "#"
    yield f"{mark}{row.key} = {row.default}".rstrip()


def _comment(text: str) -> str:
    return textwrap.fill(
        " ".join(text.split()),
        width=_COLUMNS,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )
