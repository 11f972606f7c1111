"""
The sample file, made from the table: every setting explained beside its commented default.

Pure. What this returns is what stands in `plivostatusd.conf.example`; a test holds them equal. The
package's own configuration file is the same with a few settings given.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

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

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def example(given: Mapping[str, str] = _NOTHING) -> str:
    """
    Return the text of `plivostatusd.conf.example`.

    *given* holds values, by `section.key`, that stand there instead of a commented default.
    """
    head = [_comment(paragraph) for paragraph in _HEAD.split("\n\n")]
    body = [_section(section, declared, given) for section, declared in SECTIONS.items()]
    return "\n#\n".join(head) + "\n\n\n" + "\n\n\n".join(body) + "\n"


def _section(section: str, declared: type[Any], given: Mapping[str, str]) -> str:
    intro = _comment(declared.__doc__ or "")
    settings = [_setting(row, given.get(row.name)) for row in rows(section, declared)]
    return "\n\n".join([f"{intro}\n[{section}]", *settings])


def _setting(row: Setting, given: str | None) -> str:
    return "\n".join([_comment(" ".join(_sentences(row))), *_lines(row, given)])


def _sentences(row: Setting) -> Iterator[str]:
    if row.is_required:
        yield "Required."
    yield row.about
    if not row.is_reloadable:
        yield "Takes effect after a restart."


def _lines(row: Setting, given: str | None) -> Iterator[str]:
    """Show how the setting is written: required and given ones live, all others behind a #."""
    yield _comment(f"Value: {row.kind.expected}")
    if row.sample:
        yield f"# Example: {row.key} = {row.sample}"
    mark = "" if row.is_required else "#"
    yield f"{mark}{row.key} = {row.default}".rstrip()
    if given is not None:
        yield f"{row.key} = {given}"


def _comment(text: str) -> str:
    return textwrap.fill(
        " ".join(text.split()),
        width=_COLUMNS,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )
