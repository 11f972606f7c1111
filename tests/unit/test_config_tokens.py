from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.config import Address, Api, Callbacks, Config, Plivo, Secrets, handed_over
from plivostatusd.config.report import Report
from plivostatusd.config.tokens import find
from plivostatusd.domain.secret import Secret

ID = "MA" + "0" * 18
ONE, TWO, THREE = (Secret(letter * 40) for letter in "abc")
NOBODY = 65_534

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write a file of a mode and return its path."""

    def write(name: str, text: str | bytes, mode: int = 0o600) -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    return write


@pytest.fixture
def report() -> Report:
    """Return an empty report."""
    return Report("x.conf")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be without root's power to read everything."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(me)


def look(
    report: Report,
    environ: Mapping[str, str] | None = None,
    *,
    stored: Path | None = None,
    **settings: Any,
) -> Secrets:
    """Find the tokens that *settings* lead to."""
    api = Api(token_file=settings.pop("token_file", None))
    return find(Plivo(auth_id=ID, **settings), api, environ or {}, report, stored=stored)


def said(report: Report) -> list[str]:
    """Return the problems as they are printed."""
    return [str(problem) for problem in report.problems]


def test_the_places_are_looked_at_in_order(put: Put, report: Report, tmp_path: Path) -> None:
    """File, credential, setting, variable, stored: the first that holds a token wins."""
    put("auth_token", "credential")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "PLIVO_AUTH_TOKEN": "variable"}
    settings: dict[str, Any] = {
        "auth_token_file": put("file", "file"),
        "auth_token": Secret("setting"),
    }
    stored = tmp_path / "package's"
    stored.mkdir()
    (stored / "auth_token").write_text("stored")
    (stored / "auth_token").chmod(0o600)
    found = []
    for gone in ("auth_token_file", "CREDENTIALS_DIRECTORY", "auth_token", "PLIVO_AUTH_TOKEN", ""):
        secrets = look(report, environ, stored=stored, **settings)
        found.append(secrets.auth_tokens[0].reveal())
        settings.pop(gone, None)
        environ.pop(gone, None)
    assert found == ["file", "credential", "setting", "variable", "stored"]
    assert said(report) == []


def test_a_token_file_holds_several_for_rotation(put: Put, report: Report) -> None:
    """One token a line, the first first; blank lines, comments, CR and repeats say nothing."""
    path = put("t", f"\ufeff# new\r\n{ONE.reveal()}\r\n\n  {TWO.reveal()}\n{ONE.reveal()}\n")
    assert look(report, auth_token_file=path).auth_tokens == (ONE, TWO)


def test_the_main_accounts_tokens(put: Put, report: Report) -> None:
    """A subaccount's daemon reads the main account's tokens as well."""
    path, main = put("t", ONE.reveal()), put("m", f"{TWO.reveal()}\n{THREE.reveal()}\n")
    secrets = look(report, auth_token_file=path, main_auth_token_file=main)
    assert secrets.main_auth_tokens == (TWO, THREE)


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o640, 0o660])
def test_the_groups_bits_say_nothing(put: Put, report: Report, mode: int) -> None:
    """A file that its group can read is fine: Debian 13 shows credentials so."""
    look(report, auth_token_file=put("t", "token", mode))
    assert said(report) == []


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o606])
@pytest.mark.parametrize("setting", ["auth_token_file", "main_auth_token_file", "token_file"])
def test_a_file_open_to_others_is_refused(
    put: Put, report: Report, mode: int, setting: str
) -> None:
    """A token that other users can read, or put there, is not used."""
    path = put("open", f"name {ONE.reveal()}", mode)
    settings: dict[str, Any] = {"auth_token": TWO, setting: path}
    secrets = look(report, **settings)
    section = "api" if setting == "token_file" else "plivo"
    assert said(report) == [
        (
            f"{path}: [{section}] {setting}: other users may read or write the file; "
            f"expected a file of your own; type: chmod o= {path}"
        )
    ]
    assert ONE not in secrets.values()


def test_no_token_anywhere(report: Report, tmp_path: Path) -> None:
    """Without a token the problem names every place that was looked at."""
    look(report, {"CREDENTIALS_DIRECTORY": str(tmp_path), "PLIVO_AUTH_TOKEN": " "})
    assert said(report) == [
        (
            "x.conf: [plivo] auth_token_file: no token of the account was found; expected "
            "one in a file named here, "
            "in $CREDENTIALS_DIRECTORY/auth_token, in auth_token, or in the environment variable "
            "PLIVO_AUTH_TOKEN"
        )
    ]


def test_the_placeholder_is_no_token(put: Put, report: Report, tmp_path: Path) -> None:
    """`unset`, which a unit hands over until a token is stored, counts as none."""
    put("auth_token", "unset\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "PLIVO_AUTH_TOKEN": "unset"}
    secrets = look(report, environ, main_auth_token_file=put("m", "unset"))
    assert secrets.values() == ()
    assert [problem.found for problem in report.problems] == ["no token of the account was found"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", ": [plivo] auth_token_file: the file holds no token"),
        ("# nothing\n\n", ": [plivo] auth_token_file: the file holds no token"),
        (
            "good\nSECRET TOKEN\n",
            (
                ":2: [plivo] auth_token_file: the value has a blank or a character outside ASCII; "
                "expected one token, without blanks"
            ),
        ),
        (
            b"SECRET\xff\0",
            (
                ":1: [plivo] auth_token_file: the value has a blank or a character outside ASCII; "
                "expected one token, without blanks"
            ),
        ),
    ],
)
def test_a_file_without_a_usable_token(
    put: Put, report: Report, content: str | bytes, what: str
) -> None:
    """A token file that is empty or garbled is a problem, told without its content."""
    path = put("t", content)
    assert look(report, {"PLIVO_AUTH_TOKEN": "x"}, auth_token_file=path).auth_tokens == ()
    assert said(report) == [f"{path}{what}"]


@pytest.mark.parametrize(
    ("name", "what"),
    [("missing", "does not exist"), ("missing/t", "does not exist"), ("", "is a directory")],
)
@pytest.mark.parametrize("setting", ["auth_token_file", "main_auth_token_file", "token_file"])
def test_a_file_that_is_not_there(
    report: Report, tmp_path: Path, name: str, what: str, setting: str
) -> None:
    """A named file has to be a file; no other place is looked at instead of it."""
    secrets = look(report, {"PLIVO_AUTH_TOKEN": "x"}, **{setting: tmp_path / name})
    section = "api" if setting == "token_file" else "plivo"
    assert said(report) == [
        f"x.conf: [{section}] {setting}: the file that it names {what}; expected a readable file"
    ]
    assert len(secrets.auth_tokens) == (setting != "auth_token_file")


def test_a_file_that_may_not_be_read(put: Put, report: Report) -> None:
    """A named file that this user may not read is a problem, and what root types mends it."""
    path = put("t", "token", 0)
    with as_nobody():
        look(report, auth_token_file=path)
    assert report.command.startswith("chgrp ")
    assert report.command.endswith(f" {path} && chmod g+r {path}")
    assert [problem.found for problem in report.problems] == [
        "the file that it names may not be read by this user"
    ]


def test_a_credential_that_may_not_be_read(put: Put, report: Report, tmp_path: Path) -> None:
    """A credential that is there and cannot be read is told, not passed over."""
    put("auth_token", "token", 0)
    with as_nobody():
        look(report, {"CREDENTIALS_DIRECTORY": str(tmp_path), "PLIVO_AUTH_TOKEN": "x"})
    assert [each.found for each in report.problems if each.key == "auth_token_file"] == [
        "the file may not be read by this user"
    ]


def test_a_stored_token_that_may_not_be_read_is_a_doubt(put: Put, report: Report) -> None:
    """`-t` by an ordinary user warns that it could not look at root's token."""
    path = put("auth_token", "token", 0)
    with as_nobody():
        look(report, stored=path.parent)
    assert said(report) == []
    assert [str(each) for each in report.warnings if each.key == "auth_token_file"] == [
        f"{path}: [plivo] auth_token_file: the token could not be checked: only root may look there"
    ]


@pytest.mark.parametrize("content", [None, "unset"])
def test_a_stored_token_that_is_missing_is_a_problem(
    put: Put, report: Report, tmp_path: Path, content: str | None
) -> None:
    """`-t` by root finds out that no token is stored."""
    if content is not None:
        put("auth_token", content)
    look(report, stored=tmp_path)
    assert [problem.found for problem in report.problems] == ["no token of the account was found"]


def test_a_bad_variable_is_told_without_its_value(report: Report) -> None:
    """A garbled PLIVO_AUTH_TOKEN is a problem that names the variable alone."""
    look(report, {"PLIVO_AUTH_TOKEN": "SECRET TOKEN"})
    assert said(report) == [
        (
            "environment variable PLIVO_AUTH_TOKEN: the value has a blank or a character outside "
            "ASCII; expected one token, without blanks"
        )
    ]


@pytest.mark.parametrize("place", ["systemd's", "the package's"])
def test_api_tokens_without_a_setting(put: Put, report: Report, place: str) -> None:
    """Without api.token_file, it is systemd's api_token; for -t the one that is stored."""
    folder = put("api_token", f"local {ONE.reveal()}\n").parent
    credentials = {"CREDENTIALS_DIRECTORY": str(folder)} if place == "systemd's" else {}
    stored = None if credentials else folder
    secrets = look(report, credentials, stored=stored, auth_token=THREE)
    assert secrets.api_tokens == {"local": ONE}
    assert said(report) == []


def test_the_setting_goes_first(put: Put, report: Report) -> None:
    """A file that api.token_file names is the only one that is read."""
    folder = put("api_token", f"local {ONE.reveal()}\n").parent
    named = put("named", f"cron {TWO.reveal()}\n")
    environ = {"CREDENTIALS_DIRECTORY": str(folder)}
    assert look(report, environ, auth_token=THREE, token_file=named).api_tokens == {"cron": TWO}


def test_no_api_tokens_anywhere(report: Report, tmp_path: Path) -> None:
    """Folders without api_token are no problem: then there are no tokens."""
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    secrets = look(report, environ, stored=tmp_path, auth_token=THREE)
    assert secrets.api_tokens == {}
    assert said(report) == []


def test_no_api_token_is_needed_for_unix(put: Put, report: Report, tmp_path: Path) -> None:
    """A listener whose file guards it goes without the token that a unit has none of."""
    put("api_token", "unset\n")
    api = Api(listen=(Address(path=tmp_path / "api.sock"),))
    plivo = Plivo(auth_id=ID, auth_token=THREE)
    secrets = find(plivo, api, {"CREDENTIALS_DIRECTORY": str(tmp_path)}, report)
    assert secrets.api_tokens == {}
    assert said(report) == []


def test_handed_over(put: Put) -> None:
    """Only a token that no setting names, and that systemd has brought, waits for a restart."""
    path = put("auth_token", "x" * 20)
    config = Config(plivo=Plivo(auth_id=ID), callbacks=Callbacks(public_url=()))
    environ = {"CREDENTIALS_DIRECTORY": str(path.parent)}
    assert ([], ["auth_token"]) == (handed_over(config, {}), handed_over(config, environ))
    named = replace(config, plivo=Plivo(auth_id=ID, auth_token_file=path))
    assert [] == handed_over(named, environ)


@pytest.mark.parametrize(
    ("content", "mode", "found"),
    [
        ("local short", 0o600, "the token is shorter than 16 characters"),
        ("unset", 0o600, "no token for TCP clients is stored"),
        ("", 0o600, "the file holds no token"),
        (f"local {'x' * 20}", 0o604, "other users may read or write the file"),
        (f"local {'x' * 20}", 0, "the file may not be read by this user"),
    ],
)
def test_a_bad_api_token_never_opens_the_door(
    put: Put, report: Report, content: str, mode: int, found: str
) -> None:
    """A credential api_token that cannot be used is a problem, never an API without tokens."""
    folder = put("api_token", content, mode).parent
    with as_nobody() if not mode else nullcontext():
        look(report, {"CREDENTIALS_DIRECTORY": str(folder)}, auth_token=THREE)
    assert [found] == [each.found for each in report.problems if each.key == "token_file"]


def test_a_stored_api_token_that_may_not_be_read_is_a_doubt(put: Put, report: Report) -> None:
    """`-t` by an ordinary user warns that it could not look at root's API tokens."""
    path = put("api_token", f"local {ONE.reveal()}", 0)
    with as_nobody():
        look(report, auth_token=THREE, stored=path.parent)
    assert said(report) == []
    assert [str(each) for each in report.warnings] == [
        f"{path}: [api] token_file: the tokens could not be checked: only root may look there"
    ]


def test_api_tokens_have_names(put: Put, report: Report) -> None:
    """Each line of api.token_file is a name and a token."""
    path = put("a", f"# who may send\ncron {ONE.reveal()}\n\nnagios.1\t{TWO.reveal()}\r\n")
    secrets = look(report, auth_token=THREE, token_file=path)
    assert secrets.api_tokens == {"cron": ONE, "nagios.1": TWO}
    assert secrets.values() == (THREE, ONE, TWO)
    assert said(report) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("lonely", "the line is no name (letters, digits, _ . -) with one token after it"),
        ("a b c", "the line is no name (letters, digits, _ . -) with one token after it"),
        (f"a/b {'x' * 16}", "the line is no name (letters, digits, _ . -) with one token after it"),
        (
            f"{'n' * 65} {'x' * 16}",
            "the line is no name (letters, digits, _ . -) with one token after it",
        ),
        (f"new {'x' * 15}", "the token is shorter than 16 characters"),
        (f"new {'x' * 16}é", "the token has a blank or a character outside ASCII"),
        (f"cron {TWO.reveal()}", "the name was there before"),
        (f"new {ONE.reveal()}", "the token was there before, under another name"),
    ],
)
def test_what_is_no_api_token(put: Put, report: Report, line: str, found: str) -> None:
    """Every bad line is told by its number, never by its content."""
    path = put("a", f"cron {ONE.reveal()}\n{line}\n")
    look(report, auth_token=THREE, token_file=path)
    assert said(report) == [f"{path}:2: [api] token_file: {found}; expected NAME TOKEN"]


@pytest.mark.parametrize("content", ["", "# nobody\n"])
def test_an_api_token_file_lets_nobody_in_by_being_empty(
    put: Put, report: Report, content: str
) -> None:
    """An empty token file is a problem: it must not come to mean that no token is needed."""
    look(report, auth_token=THREE, token_file=put("a", content))
    assert [problem.found for problem in report.problems] == ["the file holds no token"]


def test_a_file_without_end_is_not_read_to_its_end(report: Report) -> None:
    """A device in a token file's place is refused after a mebibyte."""
    look(report, auth_token_file=Path("/dev/zero"))
    assert [problem.found for problem in report.problems] == [
        "the file that it names is larger than 1 MiB"
    ]
