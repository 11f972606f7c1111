"""
The log: JSON lines on standard output, nothing in them that must not be seen.

Owns the one way out for log lines. Ours come through `get_logger()`, those of Tornado, urllib3,
aiosqlite, asyncio and Python's warnings through a handler on the root logger, as `library_logged`;
tokens (`***`) and phone numbers (`+1415****2323`) are masked in all of them, tracebacks included.
Any floor above the domain may log; only the daemon calls `configure`, again at each reload.

Promises: a line is one JSON object with `timestamp`, `level` and `event` first; it is written when
the call returns, or at the end of the `together` block around it; a stream that cannot be written
to costs lines and nothing else; what `configure` changes holds for every logger from the next line
on.

A line with six fields costs about 3 microseconds (CPython 3.11) and, alone, a write, a filtered one
0.1: structlog's processors are called without the loggers that bind, proxy and copy around them.
Through `logging` it would be four times as much.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache, partial
from json import JSONEncoder
from json.encoder import encode_basestring_ascii as quoted
from pathlib import PurePath
from threading import get_ident
from types import TracebackType
from typing import Any, BinaryIO, Final

import structlog

from plivostatusd.domain.phone import mask
from plivostatusd.domain.secret import MASK, Secret

Fields = MutableMapping[str, Any]
Renderer = Callable[[object, str, Fields], bytes]
Chain = list[Callable[..., Any]]

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}

# sd-daemon(3): the journal takes this off a line, and `journalctl -p err` finds it.
_JOURNAL_PREFIXES: Final = {
    "debug": b"<7>",
    "info": b"<6>",
    "warning": b"<4>",
    "error": b"<3>",
    "critical": b"<2>",
}

_MAY_WAIT: Final = frozenset({"debug", "info"})

_PINNED: Final = {
    "aiosqlite": logging.WARNING,  # at DEBUG it logs every statement with its parameters
    "urllib3": logging.ERROR,  # at DEBUG it logs paths, at WARNING what it could not read
    "tornado.general": logging.WARNING,  # at INFO it quotes the header that it could not read
    "tornado.access": logging.CRITICAL + 1,  # we log requests ourselves, without their query
}

_PHONE_LIKE: Final = re.compile(r"(?<![0-9])\+?[0-9]{7,15}(?![0-9])")


class _WayOut:
    """Where lines go now. There is one; `configure` alone changes it."""

    __slots__ = ("hidden", "level", "log", "writer")

    def __init__(self) -> None:
        self.level = logging.DEBUG
        self.log: Callable[[str, Fields], object] = _log_by_structlog
        self.writer: _Writer | None = None
        self.hidden: set[str] = set()


def _log_by_structlog(level: str, line: Fields) -> None:
    """Log while nothing is configured."""
    getattr(structlog.get_logger(), level)(**line)


_way_out: Final = _WayOut()


class BoundLogger:
    """
    What `get_logger` returns: a method a level, each taking an event and its fields.

    An event is a noun and a past participle in snake case, such as `callback_recorded`.
    """

    __slots__ = ()

    def debug(self, event: str, **fields: Any) -> None:
        """Log what helps a developer."""
        if _way_out.level <= logging.DEBUG:
            _way_out.log("debug", {"event": event, **fields})

    def info(self, event: str, **fields: Any) -> None:
        """Log what happened as it should."""
        if _way_out.level <= logging.INFO:
            _way_out.log("info", {"event": event, **fields})

    def warning(self, event: str, **fields: Any) -> None:
        """Log what somebody should look at."""
        if _way_out.level <= logging.WARNING:
            _way_out.log("warning", {"event": event, **fields})

    def error(self, event: str, **fields: Any) -> None:
        """Log what somebody must look at; the field `hint` is the command to type."""
        _way_out.log("error", {"event": event, **fields})

    def exception(self, event: str, **fields: Any) -> None:
        """Log an error with the traceback of the exception that is being handled."""
        _way_out.log("error", {"event": event, "exc_info": True, **fields})

    def critical(self, event: str, **fields: Any) -> None:
        """Log what ends the program."""
        _way_out.log("critical", {"event": event, **fields})


def get_logger() -> BoundLogger:
    """Return a logger. It may be made at import, before anything is configured."""
    return BoundLogger()


@contextmanager
def together() -> Iterator[None]:
    """
    Have what this thread logs in the block written in one go at its end; the outermost block's.

    For a batch of answers: writing takes as long as all else about a line. From `warning` on a line
    goes out at once, behind those that wait. SIGKILL within the block costs the lines of the block.
    """
    writer = _way_out.writer
    if writer is None or not writer.hold():
        yield
        return
    try:
        yield
    finally:
        writer.release()


def configure(  # noqa: PLR0913 - three settings, the tokens, and two for tests
    *,
    level: str,
    format: str,  # noqa: A002 - the setting's name
    numbers: str,
    secrets: Iterable[Secret],
    stream: BinaryIO | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """
    Set the log up, or set it up anew.

    *level*, *format* and *numbers* are the settings of section `log`. *secrets* are hidden in
    every line; those of earlier calls stay hidden, for a token that was replaced is still one.
    *stream* is standard output by default. When *environ* (the process's own by default) says
    that the journal reads *stream*, each JSON line gets its priority in front.
    """
    out = sys.stdout.buffer if stream is None else stream
    _way_out.hidden.update(secret.reveal() for secret in secrets if secret)
    if format == "console":
        render = _console_renderer(out)
    else:
        render = _json_renderer(_prefixes(out, os.environ if environ is None else environ))
    masks = [mask_numbers] if numbers == "masked" else []
    hide = _hider(_way_out.hidden)
    chain: Chain = [_trace, *masks, _stamp, render, hide]
    structlog.configure(processors=chain)
    writer = _Writer(out)
    _way_out.level = LEVELS[level]
    _way_out.writer = writer
    # As structlog has it now: tests listen in front.
    _way_out.log = partial(_log, structlog.get_config()["processors"], writer)
    _adopt_foreign_loggers(_ForeignHandler(partial(_log, chain, writer)), LEVELS[level])
    sys.excepthook = _log_crash


# What must not be seen


def mask_numbers(_logger: object, _method: str, fields: Fields) -> Fields:
    """Mask the fields that are phone numbers, and what looks like one in those of free text."""
    if _RULES.keys().isdisjoint(fields):
        return fields
    for name, value in fields.items():
        rule = _RULES.get(name)
        if rule is not None and value is not None:
            fields[name] = rule(value)
    return fields


def mask_text(text: object) -> str:
    """Mask every run of 7 to 15 digits, with or without a plus sign, in *text*."""
    return _PHONE_LIKE.sub(lambda match: _masked(match[0]), str(text))


def _masked(number: object) -> str:
    text = str(number)
    return mask(f"+{text}").removeprefix("+") if text.isdigit() else mask(text)


def _masked_each(number: object) -> object:
    if isinstance(number, list | tuple):
        return [_masked(each) for each in number]
    return _masked(number)


_RULES: Final[Mapping[str, Callable[[object], object]]] = {
    **dict.fromkeys(
        ("to", "from", "from_", "from_number", "to_number", "number", "sender", "recipient"),
        _masked_each,
    ),
    **dict.fromkeys(
        ("detail", "error", "exception", "message", "plivo_error", "problem", "reason"), mask_text
    ),
}


def _hider(hidden: Iterable[str]) -> Callable[[object, str, bytes], bytes]:
    """Make the last step: whatever a line is made of, no secret leaves in it."""
    forms = {form for secret in hidden for form in (secret, _escaped(secret))}
    needles = sorted((form.encode() for form in forms), key=len, reverse=True)
    stars = MASK.encode()

    def hide(_logger: object, _method: str, line: bytes) -> bytes:
        for needle in needles:
            if needle in line:
                line = line.replace(needle, stars)
        return line

    return hide


def _escaped(text: str) -> str:
    """Return *text* as it stands between the quotes of a JSON string."""
    return JSONEncoder().encode(text)[1:-1]


# How a line looks


def _trace(logger: object, method: str, fields: Fields) -> Fields:
    """Spell an exception that is to be shown."""
    if "exc_info" in fields:
        return structlog.processors.format_exc_info(logger, method, fields)
    return fields


def _stamp(_logger: object, method: str, fields: Fields) -> Fields:
    seconds, microseconds = divmod(time.time_ns() // 1_000, 1_000_000)
    stamp = f"{_spelt_second(seconds)}.{microseconds:06}Z"
    return {"timestamp": stamp, "level": method, **fields}


@lru_cache(2)
def _spelt_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat()


def _json_renderer(prefixes: Mapping[str, bytes]) -> Renderer:
    encode = JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain).encode

    def spell(value: object) -> str:
        """Spell a value that is no text: nearly all are whole numbers, and need no encoder."""
        return str(value) if value.__class__ is int else encode(value)

    def render(_logger: object, method: str, fields: Fields) -> bytes:
        try:
            values = [quoted(v) if v.__class__ is str else spell(v) for v in fields.values()]
            text = _shape(tuple(fields)) % tuple(values)
        except Exception:  # noqa: BLE001 - a value that cannot be shown must not break its caller
            text = encode({name: _salvaged(value) for name, value in fields.items()})
        return prefixes.get(method, b"") + text.encode("ascii")

    return render


@lru_cache(256)  # each event has the same fields, each time
def _shape(names: tuple[str, ...]) -> str:
    """Spell a line of the fields *names*, with a gap for each value."""
    members = [f"{quoted(name).replace('%', '%%')}:%s" for name in names]
    return f"{{{','.join(members)}}}"


def _console_renderer(out: BinaryIO) -> Renderer:
    renderer = structlog.dev.ConsoleRenderer(
        colors=out.isatty() and not os.environ.get("NO_COLOR"),
        exception_formatter=structlog.dev.plain_traceback,
    )

    def render(logger: object, method: str, fields: Fields) -> bytes:
        return str(renderer(logger, method, fields)).encode("utf-8", "backslashreplace")

    return render


def _plain(value: object) -> str:
    """Spell a value that JSON has no word for."""
    return str(value) if isinstance(value, PurePath) else mask_text(repr(value))


def _salvaged(value: object) -> str | int | None:
    if value is None or isinstance(value, str | int):
        return value
    try:
        return _plain(value)
    except Exception:  # noqa: BLE001 - the value's own __repr__ is broken
        return f"<{type(value).__name__}>"


def _prefixes(out: BinaryIO, environ: Mapping[str, str]) -> Mapping[str, bytes]:
    """Return the priorities to write, if the other end of *out* is the journal: sd-daemon(3)."""
    try:
        status = os.fstat(out.fileno())
    except (OSError, ValueError):
        return {}
    is_journal = environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
    return _JOURNAL_PREFIXES if is_journal else {}


class _Writer:
    """Writes whole lines, from any thread; those of one may be held and written together."""

    __slots__ = ("_held", "_holder", "_out")

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._holder = 0
        self._held: list[bytes] = []

    def hold(self) -> bool:
        """Keep what this thread writes from here on; False where something is kept already."""
        if self._holder:
            return False
        self._holder = get_ident()
        return True

    def release(self) -> None:
        """Write what was kept, and keep nothing any more."""
        self._holder = 0
        self._write(b"")

    def write(self, line: bytes, *, may_wait: bool) -> None:
        """Write one line; a full disk or a reader that is gone must not stop callbacks."""
        if not self._holder or self._holder != get_ident():
            self._put(line + b"\n")
        elif may_wait:
            self._held.append(line + b"\n")
        else:
            self._write(line + b"\n")

    def _write(self, line: bytes) -> None:
        """Write what is held, with *line* behind it."""
        held, self._held = self._held, []
        self._put(b"".join([*held, line]))

    def _put(self, text: bytes) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError):
            return


def _log(chain: Chain, writer: _Writer, level: str, line: Any) -> None:
    """Send a line, whose fields are *line*, down the *chain* and to the *writer*."""
    for process in chain:
        line = process(None, level, line)
    writer.write(line, may_wait=level in _MAY_WAIT)


# Lines of others


class _ForeignHandler(logging.Handler):
    """Sends the standard library's records down the same chain."""

    def __init__(self, log: Callable[[str, Fields], object]) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record* as `library_logged`; its text is masked, and its traceback."""
        line = {
            "event": "library_logged",
            "logger": record.name,
            "message": _message(record),
            "exc_info": record.exc_info,
        }
        self._log(_level_name(record.levelno), line)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit the format are the library's fault
        return str(record.msg)


def _level_name(number: int) -> str:
    return next((name for name, least in reversed(LEVELS.items()) if number >= least), "debug")


def _adopt_foreign_loggers(handler: logging.Handler, level: int) -> None:
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _ForeignHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name, least in _PINNED.items():
        logging.getLogger(name).setLevel(least)
    logging.captureWarnings(capture=True)


def _log_crash(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Log what nobody caught: Python itself would print it as it is, numbers and all."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        line = {"event": "daemon_crashed", "exc_info": (kind, error, trace)}
        _way_out.log("critical", line)
