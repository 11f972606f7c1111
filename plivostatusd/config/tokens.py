"""
Finding the tokens: the files and variables that hold them, and what makes one unusable.

Promises that no token gets into a problem: a line is named by its number alone. Files that other
users may read or write are refused (the group's bits say nothing, see `file.py`). In a token file
blank lines and lines that begin with `#` are skipped; a token of Plivo's holds no blank and no
`#`. The word `unset` counts as no token: it is what a unit's `SetCredential=` hands over while
nothing is stored yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from plivostatusd.config import file as files
from plivostatusd.config.environment import source
from plivostatusd.config.kinds import PLACEHOLDER, SECRET
from plivostatusd.config.problem import Problem, Unfit
from plivostatusd.config.report import Report
from plivostatusd.config.sections import Api, Plivo
from plivostatusd.config.table import Config, Secrets
from plivostatusd.domain.secret import Secret

STORED = Path("/etc/plivostatusd/credentials")
"""Where the package stores auth_token and api_token, for root and systemd to read."""

API_TOKEN_CHARS_MIN = 16

_UNSET = "no token for TCP clients is stored"
_MADE = "NAME TOKEN; to have one made, type: dpkg-reconfigure plivostatusd"
_PLAIN_VARIABLE = "PLIVO_AUTH_TOKEN"
_NO_API_TOKENS: Mapping[str, Secret] = MappingProxyType({})
_API_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def find(
    plivo: Plivo,
    api: Api,
    environ: Mapping[str, str],
    report: Report,
    *,
    stored: Path | None = None,
) -> Secrets:
    """
    Return every token that the settings lead to; problems and warnings go to *report*.

    *stored* is the folder where `-t` looks last, a place that the daemon itself cannot read.
    """
    main = _of_setting(plivo.main_auth_token_file, "plivo.main_auth_token_file", report)
    return Secrets(
        auth_tokens=_auth_tokens(plivo, environ, report, stored),
        main_auth_tokens=main or (),
        api_tokens=_api_tokens(api, environ, report, stored),
    )


def handed_over(config: Config, environ: Mapping[str, str]) -> list[str]:
    """Name the tokens of *config* that systemd has handed over: it does so at a start, for sure."""
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    if not credentials:
        return []
    from_settings = {"auth_token": config.plivo.auth_token_file, "api_token": config.api.token_file}
    return [
        name
        for name, path in from_settings.items()
        if path is None and (Path(credentials) / name).is_file()
    ]


def _auth_tokens(
    plivo: Plivo, environ: Mapping[str, str], report: Report, stored: Path | None
) -> tuple[Secret, ...]:
    """Return the tokens of the first place that holds any."""
    for tokens in _places(plivo, environ, report, stored):
        if tokens is None:
            return ()
        if tokens:
            return tokens
    if {"plivo.auth_token", "plivo.auth_token_file"}.isdisjoint(report.refused):
        usual = "" if stored is None else f"in {stored / 'auth_token'}, "
        report.refuse(
            "plivo.auth_token_file",
            "no token of the account was found",
            f"one {usual}in a file named here, in $CREDENTIALS_DIRECTORY/auth_token, in auth_token,"
            f" or in the environment variable {_PLAIN_VARIABLE}",
        )
    return ()


def _places(
    plivo: Plivo, environ: Mapping[str, str], report: Report, stored: Path | None
) -> Iterator[tuple[Secret, ...] | None]:
    """Yield what each place holds, in order: nothing, or None where it was complained of."""
    name = "plivo.auth_token_file"
    yield _of_setting(plivo.auth_token_file, name, report)
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    if credentials:
        yield _if_there(Path(credentials) / "auth_token", name, report)
    yield (plivo.auth_token,) if plivo.auth_token else ()
    yield _of_variable(environ.get(_PLAIN_VARIABLE, ""), report)
    if stored is not None:
        yield _stored(stored / "auth_token", name, report)


def _of_setting(path: Path | None, name: str, report: Report) -> tuple[Secret, ...] | None:
    """Read the token file that the setting *name* points to: it has to be there."""
    if path is None:
        return ()
    try:
        return _tokens(path, name, report)
    except Unfit as unfit:
        report.refuse_file(name, unfit)
        return None


def _if_there(path: Path, name: str, report: Report) -> tuple[Secret, ...] | None:
    """Read a token file that need not exist."""
    try:
        return _tokens(path, name, report)
    except files.Missing:
        return ()
    except Unfit as unfit:
        report.problems.append(_in_file(path, name, f"the file {unfit.what}"))
        return None


def _stored(path: Path, name: str, report: Report) -> tuple[Secret, ...] | None:
    try:
        content = files.read(path)
    except files.Forbidden:
        found = "the token could not be checked: only root may look there"
        report.warnings.append(_in_file(path, name, found))
        return None
    except Unfit:
        return _if_there(path, name, report)
    return _parsed(content, path, name, report)


def _of_variable(text: str, report: Report) -> tuple[Secret, ...] | None:
    stripped = text.strip()
    if stripped in {"", PLACEHOLDER}:
        return ()
    try:
        return (SECRET.convert(stripped),)
    except Unfit as unfit:
        place = source(_PLAIN_VARIABLE)
        found = unfit.sentence(sensitive=True)
        report.problems.append(Problem(file=place, found=found, expected=SECRET.expected))
        return None


def _tokens(path: Path, name: str, report: Report) -> tuple[Secret, ...] | None:
    return _parsed(files.read(path), path, name, report)


def _parsed(
    content: files.Content, path: Path, name: str, report: Report
) -> tuple[Secret, ...] | None:
    """Return the file's tokens, each once; None when the file or a line of it is refused."""
    before = len(report.problems)
    lines = tuple(_lines(content, path, name, report))
    tokens: list[Secret] = []
    for number, line in lines:
        try:
            token = SECRET.convert(line)
        except Unfit as unfit:
            report.problems.append(
                _in_file(path, name, unfit.sentence(sensitive=True), number, SECRET.expected)
            )
        else:
            if token and token not in tokens:
                tokens.append(token)
    if not lines and len(report.problems) == before:
        report.problems.append(_in_file(path, name, "the file holds no token"))
    return tuple(tokens) if len(report.problems) == before else None


def _api_tokens(
    api: Api, environ: Mapping[str, str], report: Report, stored: Path | None
) -> Mapping[str, Secret]:
    """Return the tokens of the first place there is: the setting's, systemd's, the package's."""
    name, path = "api.token_file", api.token_file
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    if path is not None:
        try:
            return _api_lines(files.read(path), path, report)
        except Unfit as unfit:
            report.refuse_file(name, unfit)
            return _NO_API_TOKENS
    if credentials and _is_unset(Path(credentials) / "api_token"):
        if not all(address.is_unix for address in api.listen):
            report.problems.append(_in_file(STORED / "api_token", name, _UNSET, expected=_MADE))
        return _NO_API_TOKENS
    if credentials and (tokens := _api_tokens_in(Path(credentials), report)) is not None:
        return tokens
    if (
        stored is not None
        and (tokens := _api_tokens_in(stored, report, may_look=False)) is not None
    ):
        return tokens
    return _NO_API_TOKENS


def _is_unset(path: Path) -> bool:
    """Say whether a unit's `SetCredential=` stands in for a file that is missing."""
    try:
        return files.read(path).data.strip() == PLACEHOLDER.encode()
    except Unfit:
        return False


def _api_tokens_in(
    folder: Path, report: Report, *, may_look: bool = True
) -> Mapping[str, Secret] | None:
    """Read the folder's api_token, which need not exist; None without one."""
    place, name = folder / "api_token", "api.token_file"
    try:
        return _api_lines(files.read(place), place, report)
    except files.Missing:
        return None
    except files.Forbidden as forbidden:
        if may_look:
            report.problems.append(_in_file(place, name, f"the file {forbidden.what}"))
        else:
            found = "the tokens could not be checked: only root may look there"
            report.warnings.append(_in_file(place, name, found))
    except Unfit as unfit:
        report.problems.append(_in_file(place, name, f"the file {unfit.what}"))
    return _NO_API_TOKENS


def _api_lines(content: files.Content, path: Path, report: Report) -> Mapping[str, Secret]:
    """Read `NAME TOKEN` lines: names and tokens are each given once."""
    name = "api.token_file"
    tokens: dict[str, Secret] = {}
    before = len(report.problems)
    for number, line in _lines(content, path, name, report):
        found = _take_api_line(line, tokens)
        if found:
            report.problems.append(_in_file(path, name, found, number, "NAME TOKEN"))
    if not tokens and len(report.problems) == before:
        report.problems.append(_in_file(path, name, "the file holds no token"))
    return MappingProxyType(tokens)


def _take_api_line(line: str, tokens: dict[str, Secret]) -> str:
    """Add one line's token to *tokens*; return what is wrong with the line, or nothing."""
    name, *rest = line.split()
    if not _API_NAME.fullmatch(name) or len(rest) != 1:
        return "the line is no name (letters, digits, _ . -) with one token after it"
    if len(rest[0]) < API_TOKEN_CHARS_MIN:
        return f"the token is shorter than {API_TOKEN_CHARS_MIN} characters"
    if name in tokens:
        return "the name was there before"
    try:
        token = SECRET.convert(rest[0])
    except Unfit as unfit:
        return f"the token {unfit.what}"
    if token in tokens.values():
        return "the token was there before, under another name"
    tokens[name] = token
    return ""


def _lines(
    content: files.Content, path: Path, name: str, report: Report
) -> Iterator[tuple[int, str]]:
    """Yield the lines that say something, numbered; none of a file that others may touch."""
    if content.is_open_to_others:
        report.problems.append(
            _in_file(
                path,
                name,
                "other users may read or write the file",
                expected=f"a file of your own; type: chmod o= {path}",
            )
        )
        return
    text = content.data.decode("utf-8-sig", "replace")
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _in_file(
    path: Path, name: str, found: str, line: int | None = None, expected: str = ""
) -> Problem:
    section, _, key = name.partition(".")
    return Problem(
        file=str(path), line=line, section=section, key=key, found=found, expected=expected
    )
