"""Any bytes, names and values give a configuration or a list of problems, and nothing else."""

from __future__ import annotations

import os
import string
import tempfile
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plivostatusd.config import SETTINGS, Config, ConfigError, Setting, load
from plivostatusd.config.ini import parse
from plivostatusd.config.problem import Unfit
from plivostatusd.config.reader import _KNOWN

ID = "MA" + "0" * 18
SECRET = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFy"

names = st.sampled_from([row.key for row in SETTINGS])
defaults = st.sampled_from([row.default or row.sample for row in SETTINGS])
strange = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.one_of(
    defaults, strange, st.from_regex(r"[0-9]{1,4}(ms|s|KiB|:)?[0-9]{0,3}", fullmatch=True)
)
lines = st.one_of(
    st.builds("{} = {}".format, st.one_of(names, strange), values),
    st.builds("{}{}".format, st.sampled_from(["", " ", "#", ";", "\t", "["]), strange),
)


def section(name: str) -> st.SearchStrategy[str]:
    """Return texts of the section *name*: its own settings, well or ill, and some other lines."""
    own = st.builds("{} = {}".format, st.sampled_from(_KNOWN[name]), values)
    return st.lists(st.one_of(own, own, lines), max_size=5).map(
        lambda body: "\n".join([f"[{name}]", *body])
    )


files = st.lists(
    st.one_of(st.sampled_from(sorted(_KNOWN)).flatmap(section), lines), max_size=6
).map("\n".join)


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    """Return a file's name, for a file that every example writes anew."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder, "x.conf")


def outcome(path: Path, content: bytes, environ: Mapping[str, str]) -> Config | tuple[str, ...]:
    """Load *content*; return the configuration, or what the problems say."""
    path.write_bytes(content)
    path.chmod(0o600)
    try:
        return load(path, {"PLIVO_AUTH_TOKEN": SECRET, **environ}).config
    except ConfigError as error:
        return tuple(map(str, error.problems))


def check(found: Config | tuple[str, ...]) -> None:
    """Hold what must be true of every outcome."""
    if isinstance(found, Config):
        assert SECRET not in repr(found)
        return
    assert found
    for text in found:
        assert text.isprintable()
        assert SECRET not in text


@given(content=st.binary(max_size=400))
@example(content=b"\xef\xbb\xbf")
@example(content=b"\xff\xfe[\0p\0")
@example(content=b"[plivo]\nauth_id = \0")
@example(content=b"\r")
def test_any_bytes(path: Path, content: bytes) -> None:
    """Whatever bytes the file holds, every problem is one printable line."""
    check(outcome(path, content, {}))


@given(text=files)
def test_any_lines(path: Path, text: str) -> None:
    """Whatever lines the file holds, nothing but problems comes of the bad ones."""
    check(outcome(path, text.encode(), {}))


@given(text=files, place=st.integers(0, 500))
def test_a_token_anywhere(path: Path, text: str, place: int) -> None:
    """Wherever in a file a token was pasted, no problem shows it."""
    check(outcome(path, (text[:place] + SECRET + text[place:]).encode(), {}))


@given(
    environ=st.dictionaries(
        st.one_of(
            st.sampled_from([row.variable for row in SETTINGS]),
            st.text(string.ascii_uppercase + "_", max_size=12).map("PLIVOSTATUSD_{}".format),
        ),
        st.one_of(values, st.binary(max_size=9).map(os.fsdecode)),
        max_size=4,
    )
)
def test_any_environment(path: Path, environ: dict[str, str]) -> None:
    """Whatever the environment holds, nothing but problems comes of it."""
    content = f"[plivo]\nauth_id = {ID}\n[callbacks]\npublic_url = https://a.example\n"
    check(outcome(path, content.encode(), environ))


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
@given(text=st.one_of(values, strange, st.text(string.printable, max_size=30)))
def test_any_value(row: Setting, text: str) -> None:
    """A converter returns a value, or refuses; it raises nothing else."""
    try:
        row.kind.convert(text)
    except Unfit as unfit:
        parts = unfit.parts
    else:
        return
    assert parts
    assert all(part.what for part in parts)


@given(content=st.one_of(files.map(str.encode), st.binary(max_size=200)))
@example(content=b"[plivo]\nauth_id = a = b\n\n# c\n  # d\nproxy=x")
def test_what_is_accepted_is_ini(content: bytes) -> None:
    """A file without faults of form is read by configparser, and says the same to it."""
    reading = parse(content, "x.conf", _KNOWN)
    if reading.problems:
        return
    parser = ConfigParser(
        interpolation=None,
        strict=True,
        delimiters=("=",),
        comment_prefixes=("#",),
        inline_comment_prefixes=None,
        default_section="\0none",
        empty_lines_in_values=False,
    )
    parser.read_string(content.decode("utf-8-sig"))
    theirs = {
        (section, key): value
        for section in parser.sections()
        for key, value in parser[section].items()
    }
    assert {(entry.section, entry.key): entry.value for entry in reading.entries} == theirs
