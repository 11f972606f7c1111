"""
The configuration reader: any file is a `Loaded`, or a `ConfigError` that says every reason why not.

An input is the file. The account's token comes from the environment; another one, pasted into the
wrong place, may stand anywhere in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from plivostatusd.config import SETTINGS, Config, ConfigError, Loaded, Problem, load
from plivostatusd.config.ini import parse
from plivostatusd.config.reader import _KNOWN
from plivostatusd.domain.secret import Secret

ENVIRON: Final = {"PLIVO_AUTH_TOKEN": "bXlfdG9rZW5fbXlfdG9rZW5fbXlfdG9rZW5fMDA"}
PASTED: Final = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFy"
WORDS: Final = (
    *b"unix:/run/x.sock [::1]:1 0.0.0.0:8787 http:// https:// % @ 0 ms m h d KiB GiB".split(),
    *b"/etc/hostname".split(),
    *(f"\n{row.key} = {row.default or row.sample}".encode() for row in SETTINGS),
    *(f"\n[{section}]".encode() for section in _KNOWN),
    PASTED.encode(),
    b"\n# ",
    b" # ",
    b"\n;",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\0",
    b"\xc2\xa0",
    b", ",
    b"\xe2\x80\xa8",
)


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Give the target."""
    yield partial(_check, folder / "fuzzed.conf")


def _check(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    try:
        loaded = load(path, ENVIRON)
    except ConfigError as error:
        _check_problems(error.problems, least=1)
    else:
        _check_loaded(path, content, loaded)
    _check_syntax(content)


def _check_problems(problems: tuple[Problem, ...], *, least: int = 0) -> None:
    """Say that each can be printed, on a line of its own, and shows no token."""
    assert len(problems) >= least
    for problem in problems:
        line = str(problem)
        line.encode()
        assert line.isprintable()
        assert PASTED not in line
        assert ENVIRON["PLIVO_AUTH_TOKEN"] not in line


def _check_loaded(path: Path, content: bytes, loaded: Loaded) -> None:
    """Say that what was loaded is within bounds, shows no token, and loads the same again."""
    config = loaded.config
    _check_problems(loaded.warnings)
    _check_bounds(config)
    token = Secret(ENVIRON["PLIVO_AUTH_TOKEN"])
    assert token.reveal() not in repr(config)
    assert token in config.hidden() or config.plivo.auth_token is not None
    path.write_bytes(content.rstrip(b"\n") + b"\n# the end\n")
    again = load(path, ENVIRON).config
    assert (again, ()) == (config, again.differences(config))


def _check_bounds(config: Config) -> None:
    """Say that nothing absurd gets past the table, whatever its kinds do."""
    assert 1 <= config.plivo.concurrency <= 1_000
    assert 0 < config.plivo.timeout <= 3_600
    assert 0 < config.callbacks.body_max <= 16 * 2**20
    assert 0 < config.callbacks.queue_max
    assert config.callbacks.public_url
    assert config.callbacks.listen
    assert config.api.listen
    assert config.secrets.auth_tokens
    assert 0 < config.store.commit_timeout <= 60
    assert 0 <= config.send.per_day


def _check_syntax(content: bytes) -> None:
    """Say that what has no fault of form is read by configparser too, and says the same to it."""
    reading = parse(content, "fuzzed.conf", _KNOWN)
    if reading.problems:
        return
    parser = ConfigParser(
        interpolation=None,
        delimiters=("=",),
        comment_prefixes=("#",),
        default_section="\0none",
        empty_lines_in_values=False,
    )
    parser.read_string(content.decode("utf-8-sig"))
    theirs = {
        (section, key): value
        for section in parser.sections()
        for key, value in parser.items(section)
    }
    assert theirs == {(entry.section, entry.key): entry.value for entry in reading.entries}
