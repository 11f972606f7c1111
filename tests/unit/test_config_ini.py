from __future__ import annotations

import pytest

from plivostatusd.config.ini import Entry, parse

KNOWN = {"plivo": ("auth_id", "auth_token"), "api": ("listen", "token_file")}


def entries(text: str | bytes) -> list[Entry]:
    """Read a file that is good."""
    reading = parse(text if isinstance(text, bytes) else text.encode(), "x.conf", KNOWN)
    assert reading.problems == []
    return reading.entries


def problems(text: str | bytes) -> list[str]:
    """Read a file and return what is wrong with it, without its name."""
    reading = parse(text if isinstance(text, bytes) else text.encode(), "x.conf", KNOWN)
    return [str(problem).removeprefix("x.conf:") for problem in reading.problems]


def test_a_file_is_sections_keys_and_comments() -> None:
    """Values come out stripped, with their section, key and line; comments and blanks do not."""
    text = "# c\n\n[plivo]\nauth_id = MA1\n  # an indented comment\n[api]\nlisten=a = b\n \t\n"
    assert entries(text) == [
        Entry("plivo", "auth_id", "MA1", 4),
        Entry("api", "listen", "a = b", 7),
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbf[plivo]\nauth_id = x",
        b"[plivo]\r\nauth_id = x\r\n",
        b"[plivo] \nauth_id\t=\tx \t",
    ],
    ids=["byte order mark", "CR LF", "blanks at the end"],
)
def test_what_editors_do_is_no_matter(text: str) -> None:
    """A byte order mark, CR LF and trailing blanks change nothing."""
    assert entries(text) == [Entry("plivo", "auth_id", "x", 2)]


@pytest.mark.parametrize("value", ["a%b", "%(x)s", "a:b", "a ; b", "a # b", '"q"', "${x}", ""])
def test_values_are_taken_literally(value: str) -> None:
    """No interpolation, no inline comment, no quotes: a value is what stands behind the =."""
    assert entries(f"[plivo]\nauth_id = {value}") == [Entry("plivo", "auth_id", value, 2)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[plivo]\nauth_id = x\n  more = y",
            (
                "3: [plivo]: the line begins with a blank; "
                "expected each setting on one line, from its start"
            ),
        ),
        (
            "[plivo]\nauth_id = x\nauth_id = y",
            "3: [plivo] auth_id: was there before, in line 2; expected it once",
        ),
        (
            "[plivo]\n[api]\n[plivo]",
            "3: [plivo]: was there before, in line 1; expected it once",
        ),
        (
            "[DEFAULT]\nauth_id = x",
            (
                "1: [DEFAULT]: this section has no meaning here; "
                "expected settings in their own sections"
            ),
        ),
        ("[pluvo]\nx = y", "1: [pluvo]: unknown section; did you mean 'plivo'?"),
        ("[ plivo ]", "1: [(7 characters)]: unknown section; did you mean 'plivo'?"),
        ("[xyz]", "1: [xyz]: unknown section; expected one of plivo, api"),
        ("[plivo]\nauth_di = x", "2: [plivo] auth_di: unknown key; did you mean 'auth_id'?"),
        ("[plivo]\nAUTH_ID = x", "2: [plivo] AUTH_ID: unknown key; did you mean 'auth_id'?"),
        ("[plivo]\nlisten = x", "2: [plivo] listen: unknown key; it belongs into [api]"),
        ("[plivo]\nzz = x", "2: [plivo] zz: unknown key; expected one of auth_id, auth_token"),
        ("auth_id = x", "1: a setting stands before the first section; expected [section] first"),
        ("[plivo]\nauth_id x", "2: [plivo]: the line has no =; expected key = value"),
        ("[plivo]\nauth_id: x", "2: [plivo]: the line has no =; expected key = value"),
        ("[plivo\n", "1: the line begins with [ and is no section; expected [section] alone"),
        (
            "[plivo] # c",
            "1: the line begins with [ and is no section; expected [section] alone",
        ),
        ("; c", "1: the line begins with a semicolon; expected # before a comment"),
        (
            b"[plivo]\nauth_id = \xff",
            "2: [plivo]: the line is not UTF-8; expected UTF-8 or plain ASCII",
        ),
        (
            "[plivo]\nauth_id = a\x1bb",
            "2: [plivo]: the line holds the character U+001B; expected plain text",
        ),
        (
            "[plivo]\nauth_id = a\x0bb",
            "2: [plivo]: the line holds the character U+000B; expected plain text",
        ),
        (
            "[plivo]\rauth_id = a",
            "1: the line holds the character U+000D; expected plain text",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, expected: str) -> None:
    """Each fault of form gives one problem, which names the line and the way out."""
    assert problems(text) == [expected]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[plivo]\n".encode("utf-16"), "x.conf: the file is UTF-16; expected UTF-8 text"),
        (
            b"[plivo]\nauth_id = \0\nnonsense",
            "x.conf: the file holds a NUL byte, in line 2, and is no text; expected UTF-8 text",
        ),
    ],
)
def test_what_is_no_text_is_told_once(content: bytes, expected: str) -> None:
    """A file that is no text gives one problem, not one a line."""
    reading = parse(content, "x.conf", KNOWN)
    assert [str(problem) for problem in reading.problems] == [expected]
    assert not reading.is_text


def test_all_faults_are_told_at_once() -> None:
    """One fault does not hide the next."""
    text = "x\n[pluvo]\ny = 1\n[plivo]\n z\nauth_di = 1\nauth_id = 1\nauth_id = 2\n"
    assert [line.partition(":")[0] for line in problems(text)] == ["1", "2", "5", "6", "8"]


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[plivo]\n{}",
        "[plivo]\n{} = 1",
        "[plivo]\n{}==",
        "[plivo]\n {}",
        "[{}]",
        "[plivo]\nauth_token = 1\nauth_token = {}",
        "[plivo]\nauth_token = {}\x07",
    ],
)
def test_a_token_in_the_wrong_place_is_not_shown(text: str) -> None:
    """Wherever a token was pasted by mistake, no problem repeats it."""
    token = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFy"
    found = problems(text.format(token))
    assert found
    assert token not in "".join(found)
