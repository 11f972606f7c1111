"""
From a file and an environment to a `Config`, or to every reason why not.

Owns the order of things: file, environment, defaults, tokens, checks across settings. Depends on
its arguments and the files they name alone; never looks at `os.environ`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from plivostatusd.config import environment, ini, tokens
from plivostatusd.config import file as files
from plivostatusd.config.checks import check
from plivostatusd.config.kinds import PLACEHOLDER
from plivostatusd.config.problem import ConfigError, Problem, Unfit
from plivostatusd.config.report import Origin, Report
from plivostatusd.config.setting import Setting, attribute, rows
from plivostatusd.config.table import SECTIONS, SETTINGS, Config

DEFAULT_PATH = Path("/etc/plivostatusd/plivostatusd.conf")

_KNOWN: Mapping[str, tuple[str, ...]] = {
    section: tuple(row.key for row in SETTINGS if row.section == section) for section in SECTIONS
}
_ROWS: Mapping[str, Setting] = {row.name: row for row in SETTINGS}
_COMMENT_BEHIND = re.compile(r"\s[#;]")
_QUOTED = re.compile(r"""(["']).*\1""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration that can be used, and what is doubtful about it."""

    config: Config
    warnings: tuple[Problem, ...]


class _Given(NamedTuple):
    row: Setting
    text: str
    origin: Origin


def load(
    path: Path, environ: Mapping[str, str], *, testing: bool = False, with_secrets: bool = True
) -> Loaded:
    """
    Read the configuration in *path*, overridden by *environ*.

    *testing* is for `plivostatusd -t`, which is not the daemon: tokens are looked for, last, in
    the place where the package stores them, and a warning says so where only root may look.
    Without *with_secrets* no token is looked for, which is enough for a restore.

    Raises:
        ConfigError: the configuration cannot be used; it holds every problem that was found.
    """
    report = Report(str(path))
    given = _from_file(path, report)
    values = dict(_values(given, report))
    report.problems.sort(key=lambda problem: problem.line or 0)
    report.problems.extend(environment.strangers(environ))
    values.update(_values(_from_environment(environ), report))
    _require(report)
    config = _config(values)
    if with_secrets:
        config = _with_secrets(config, environ, report, testing=testing)
        check(config, report)
    if report.problems:
        raise ConfigError(report.problems, command=report.command)
    return Loaded(config=config, warnings=tuple(report.warnings))


def _from_file(path: Path, report: Report) -> list[_Given]:
    """Return what the file sets; a file that is no text at all ends the reading."""
    try:
        content = files.read(path)
    except Unfit as unfit:
        problem = Problem(file=report.file, found=f"the file {unfit.what}")
        raise ConfigError((problem,), command=unfit.command) from unfit
    reading = ini.parse(content.data, report.file, _KNOWN)
    if not reading.is_text:
        raise ConfigError(reading.problems)
    report.problems.extend(reading.problems)
    given = [
        _Given(_ROWS[f"{entry.section}.{entry.key}"], entry.value, Origin(report.file, entry.line))
        for entry in reading.entries
    ]
    if content.is_read_by_others:
        return [item for item in given if not _is_exposed(item, report)]
    return given


def _is_exposed(item: _Given, report: Report) -> bool:
    """Say, and tell *report*, whether a file that others may read holds the token itself."""
    name = item.row.name
    if name != "plivo.auth_token" or item.text in {"", PLACEHOLDER}:
        return False
    report.origins[name] = item.origin
    report.refuse(
        name,
        "other users can read the token here",
        "the token in a file of its own, or this file closed to them: chmod o= FILE",
    )
    return True


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Given]:
    for row, text in environment.overrides(environ):
        yield _Given(row, text, Origin(environment.source(row.variable)))


def _values(given: Iterable[_Given], report: Report) -> Iterator[tuple[str, object]]:
    """Yield each value that can be used, by name; tell *report* of the others."""
    for row, text, origin in given:
        report.origins[row.name] = origin
        try:
            yield row.name, _value(row, text)
        except Unfit as unfit:
            for part in unfit.parts:
                found = part.sentence(sensitive=row.is_sensitive or "@" in text)
                report.refuse(row.name, found, row.kind.expected)


def _value(row: Setting, text: str) -> object:
    if not text:
        if row.is_required or row.default:
            raise Unfit("is empty")
        return None
    if not text.isprintable():
        raise Unfit("holds a character that cannot be printed")
    if _COMMENT_BEHIND.search(text):
        raise Unfit("has a comment behind it, which needs a line of its own")
    if _QUOTED.fullmatch(text):
        raise Unfit("stands in quotes, which are taken literally here")
    return row.kind.convert(text)


def _require(report: Report) -> None:
    for row in SETTINGS:
        if row.is_required and row.name not in report.origins:
            report.refuse(row.name, "is not set", row.kind.expected)


def _config(values: Mapping[str, Any]) -> Config:
    """Build the record; what has no value gets its default, even where that will be refused."""
    built = {
        section: declared(
            **{
                attribute(row.key): values[row.name] if row.name in values else row.fallback()
                for row in rows(section, declared)
            }
        )
        for section, declared in SECTIONS.items()
    }
    return Config(**built)


def _with_secrets(
    config: Config, environ: Mapping[str, str], report: Report, *, testing: bool
) -> Config:
    stored = tokens.STORED if testing else None
    _check_authorities(config.plivo.ca_file, report)
    found = tokens.find(config.plivo, config.api, environ, report, stored=stored)
    return replace(config, secrets=found)


def _check_authorities(path: Path | None, report: Report) -> None:
    """Look into `plivo.ca_file` now: found out at the first send, it would cost messages."""
    if path is None:
        return
    try:
        if b"CERTIFICATE-----" in files.read(path).data:
            return
        unfit = Unfit("holds no certificate")
    except Unfit as unreadable:
        unfit = unreadable
    found = f"the file that it names {unfit.what}"
    report.refuse("plivo.ca_file", found, "a PEM file", command=unfit.command)
