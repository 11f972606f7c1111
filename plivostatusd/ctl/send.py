"""
Send a message. A '-' for number or text reads standard input, so that neither
stands in the process list: numbers one a line; or, when both are '-', the
number in the first line and the text in the rest.
"""

from __future__ import annotations

import json
import os
import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Any

from plivostatusd.ctl.client import Request, records
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.delivery import doubt_about, hand_in
from plivostatusd.ctl.errors import DONE, FAILED, CtlError, UsageError
from plivostatusd.ctl.visible import visible

WORDS = "NUMBER TEXT"
STDIN = "-"
_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)
_ANSWER_TIMEOUT_S = 60.0
_UNITS_S = {"s": 1, "m": 60, "h": 3600}
_FIELDS = {
    "from": "from",
    "type": "type",
    "tag": "tag",
    "media_url": "media_urls",
    "powerpack": "powerpack_uuid",
    "expiry": "message_expiry",
    "dlt_entity_id": "dlt_entity_id",
    "dlt_template_id": "dlt_template_id",
    "dlt_template_category": "dlt_template_category",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the message."""
    add = parser.add_argument
    add("words", nargs="*", metavar="NUMBER TEXT", help="to whom, and what; - reads it")
    add("--to", action="append", metavar="NUMBER", help="to whom; may be given several times")
    add("--text", metavar="TEXT", help="what")
    add("--from", metavar="SENDER", help="other than the configured sender")
    add("--type", metavar="TYPE", help="sms, mms or whatsapp")
    add("--tag", metavar="TAG", help="kept with the message, not sent")
    add("--media-url", action="append", metavar="URL", help="may be given several times")
    add("--powerpack", metavar="UUID", help="Plivo's number pool to send from")
    add("--expiry", type=seconds, metavar="TIME", help="Plivo gives up after this: 90, 5m, 2h")
    add("--dlt-entity-id", metavar="ID", help="for India")
    add("--dlt-template-id", metavar="ID", help="for India")
    add("--dlt-template-category", metavar="CATEGORY", help="for India")
    add("--idempotency-key", type=key, metavar="KEY", help="sends once, however often repeated")
    add("--no-wait", action="store_true", help="end before Plivo has answered")


def seconds(text: str) -> int:
    """Read `90`, `90s`, `5m` or `2h` as seconds. For argparse."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS_S else (text, "s")
    if not (number.isascii() and number.isdigit()):
        raise ArgumentTypeError(f"{text!r} is no time; want 90, 90s, 5m or 2h")
    return int(number) * _UNITS_S[unit]


def key(text: str) -> str:
    """Read an Idempotency-Key, which travels in a header. For argparse."""
    if not _KEY.fullmatch(text):
        raise ArgumentTypeError("a key is 1 to 255 ASCII characters without blanks")
    return text


def run(run: Run) -> int:
    """Send, and print id and status of each message."""
    body = json.dumps(_message(run)).encode("ascii")
    once = run.options.idempotency_key or os.urandom(16).hex()
    request = Request(
        "POST",
        "/send",
        {"wait": 0} if run.options.no_wait else None,
        body,
        {"Content-Type": "application/json", "Idempotency-Key": once},
        _ANSWER_TIMEOUT_S,
    )
    try:
        reply = hand_in(run.client, request, once, run.pause)
    except KeyboardInterrupt:
        run.output.complaint(doubt_about(run.client, once))
        raise
    document = run.client.checked(reply)
    _print(run, document)
    return FAILED if any(one.get("status") == "refused" for one in _messages(document)) else DONE


def _message(run: Run) -> dict[str, Any]:
    numbers, text = _read_input(run, *_addressed(run.options))
    given = {field: getattr(run.options, name) for name, field in _FIELDS.items()}
    message = {name: value for name, value in given.items() if value is not None}
    message |= {"to": numbers[0] if len(numbers) == 1 else numbers, "text": text}
    _check_text(message)
    return message


def _addressed(options: Namespace) -> tuple[list[str], str]:
    """Tell numbers from text, whether they came as options or as plain words."""
    words = list(options.words)
    numbers = list(options.to or [])
    if not numbers and words:
        numbers = [words.pop(0)]
    text: str | None = options.text
    if text is None and words:
        text = words.pop(0)
    if words:
        raise UsageError("send: more words than a number and a text; put the text in quotes")
    if not numbers or text is None:
        missing = "text" if numbers else "number"
        raise UsageError(f"send: a {missing} is wanted; - reads it from standard input")
    return numbers, text


def _read_input(run: Run, numbers: list[str], text: str) -> tuple[list[str], str]:
    if STDIN not in numbers and text != STDIN:
        return numbers, text
    content = _decoded(run.read_input())
    if STDIN not in numbers:
        return numbers, _without_last_newline(content)
    if text != STDIN:
        read = [line.strip() for line in content.splitlines() if line.strip()]
    else:
        first, _, rest = content.partition("\n")
        read, text = [first.strip()], _without_last_newline(rest)
    if not all(read) or not read:
        raise CtlError("no number on standard input")
    given = [number for number in numbers if number != STDIN]
    return given + read, text


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise CtlError("standard input is not UTF-8") from None


def _without_last_newline(text: str) -> str:
    """Drop the newline that `echo` and editors add; one that is meant would be a second."""
    return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")


def _check_text(message: dict[str, Any]) -> None:
    try:
        json.dumps(message, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError("send: the command line is not UTF-8") from None


def _messages(document: dict[str, Any]) -> list[dict[str, Any]]:
    return records(document, "messages") if "messages" in document else [document]


def _print(run: Run, document: dict[str, Any]) -> None:
    """
    Print what was recorded. That nobody can read it any more changes nothing about that: the exit
    status must not make anybody send again.
    """
    try:
        if run.output.as_json:
            run.output.document(document)
        else:
            for message in _messages(document):
                run.output.line(_line(message))
        run.output.flush()
    except OSError as error:
        run.output.abandon()
        if not isinstance(error, BrokenPipeError):
            run.output.note(f"recorded, but the answer cannot be written: {error.strerror}")


def _line(message: dict[str, Any]) -> str:
    words = [visible(message.get("id")), visible(message.get("status"))]
    if message.get("reason"):
        words.append(visible(message["reason"]))
    return "  ".join(words)
