"""
What a send may contain: fields as a client gave them in, checked `Draft`s or `BadSend` out.

Pure. Every problem is reported at once. The limits are Plivo's own, so that what it would refuse is
refused here, before anything is recorded.
Source: plivo.com/docs/messaging/api/messages and .../send-a-message, read 2026-11.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from plivostatusd.domain import phone
from plivostatusd.domain.errors import BadSend

RECIPIENTS_MAX: Final = 1_000
SLICE: Final = 200
"""Recipients that are checked in one step: a tenth of a millisecond."""
GSM_SEPTETS_MAX: Final = 1_600
UNICODE_UNITS_MAX: Final = 737
WHATSAPP_CHARACTERS_MAX: Final = 4_096
MEDIA_MAX: Final = 10
MEDIA_URL_CHARACTERS_MAX: Final = 2_048
FORM_FIELDS_MAX: Final = RECIPIENTS_MAX + 100
UNKNOWN_NAMES_TOLD_MAX: Final = 20
EXPIRY_S: Final = range(5, 10_800)
TAG_CHARACTERS_MAX: Final = 256
_DLT_CHARACTERS_MAX: Final = 64
_TYPES: Final = ("sms", "mms", "whatsapp")
_DLT_CATEGORIES: Final = (
    "transactional",
    "promotional",
    "service_implicit",
    "service_explicit",
)
_POWERPACK: Final = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_URL: Final = re.compile(r"[^\s\x00-\x1f\x7f]+")
_NAME_CHARACTERS_MAX: Final = 64
_LISTS: Final = frozenset({"to", "media_urls", "ids"})
"""Fields that a form may name several times; `ids` is what an operator asks about."""
_TWICE: Final = object()
"""Stands for the value of a field that was given more than once, until `parse` names it."""

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One message that may be recorded. Numbers are E.164; *options* go to Plivo as they are."""

    to: str = field(repr=False)
    sender: str | None = field(repr=False)
    text: str = field(repr=False)
    tag: str | None
    options: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A whole `POST /send`: its drafts, whether `to` was a list, and what a repeat must equal."""

    drafts: tuple[Draft, ...]
    is_list: bool
    fingerprint: bytes


class _Refused(ValueError):
    """A value that is not what its field takes; the text says what is."""


def _blank_is_plus(number: str) -> str:
    """In a form `+` means a blank: what `curl -d to=+1415…` sends begins with one."""
    return f"+{number[1:]}" if re.match(r" \d", number) else number


def fields_of_form(body: bytes) -> Fields:
    """Read a form as the fields of a send. Raises `BadSend` when it is none."""
    try:
        pairs = parse_qsl(
            body.decode(),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=FORM_FIELDS_MAX,
        )
    except ValueError as error:
        raise BadSend((("body", "neither a JSON object nor a form"),)) from error
    fields: dict[str, Any] = {}
    for name, value in pairs:
        given = _blank_is_plus(value) if name in {"to", "from"} else value
        if name not in fields:
            fields[name] = given
        elif name in _LISTS:
            if not isinstance(fields[name], list):
                fields[name] = [fields[name]]
            fields[name].append(given)
        else:
            fields[name] = _TWICE
    return fields


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        fields[name] = _TWICE if name in fields else value
    return fields


def fields_of_json(body: bytes) -> Fields:
    """Read a JSON object as the fields of a send. Raises `BadSend` when it is none."""
    try:
        fields = json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BadSend((("body", "not readable as JSON"),)) from error
    if not isinstance(fields, dict):
        raise BadSend((("body", "expected a JSON object"),))
    return fields


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Refused("expected a string")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _Refused("holds half a surrogate pair") from error
    return value


def _recipient(value: object) -> str:
    number = phone.normalise(_text(value))
    if number is None:
        raise _Refused("expected an international number such as +14155552323")
    return number


def _sender(value: object) -> str:
    sender = phone.normalise_sender(_text(value))
    if sender is None:
        raise _Refused("expected a number, a short code, or at most 11 letters and digits")
    return sender


def _body(value: object) -> str:
    text = _text(value)
    if "\x00" in text:
        raise _Refused("holds a NUL character")
    return text


def _tag(value: object) -> str:
    tag = _text(value)
    if len(tag) > TAG_CHARACTERS_MAX or _CONTROL.search(tag):
        raise _Refused(f"expected at most {TAG_CHARACTERS_MAX} printable characters")
    return tag


def _one_of(*words: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise _Refused(f"expected one of {', '.join(words)}")
        return value

    return check


def _expiry(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"\d{1,6}", value, re.ASCII):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value not in EXPIRY_S:
        raise _Refused(f"expected whole seconds from {EXPIRY_S.start} to {EXPIRY_S.stop - 1}")
    return value


def _powerpack(value: object) -> str:
    if not isinstance(value, str) or not _POWERPACK.fullmatch(value):
        raise _Refused("expected a Powerpack's UUID")
    return value


def _media(value: object) -> list[str]:
    urls = [value] if isinstance(value, str) else value
    if not isinstance(urls, list) or not 1 <= len(urls) <= MEDIA_MAX:
        raise _Refused(f"expected 1 to {MEDIA_MAX} URLs")
    return [_media_url(url) for url in urls]


def _media_url(value: object) -> str:
    url = _text(value)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _Refused("expected http or https URLs") from error
    if parts.scheme not in {"http", "https"} or not parts.netloc or not _URL.fullmatch(url):
        raise _Refused("expected http or https URLs")
    if len(url) > MEDIA_URL_CHARACTERS_MAX:
        raise _Refused(f"expected URLs of at most {MEDIA_URL_CHARACTERS_MAX} characters")
    return url


def _dlt(value: object) -> str:
    text = _text(value)
    if not text or len(text) > _DLT_CHARACTERS_MAX or _CONTROL.search(text):
        raise _Refused(f"expected 1 to {_DLT_CHARACTERS_MAX} printable characters")
    return text


_OPTIONS: Final[Mapping[str, Callable[[object], Any]]] = {
    "type": _one_of(*_TYPES),
    "media_urls": _media,
    "powerpack_uuid": _powerpack,
    "message_expiry": _expiry,
    "dlt_entity_id": _dlt,
    "dlt_template_id": _dlt,
    "dlt_template_category": _one_of(*_DLT_CATEGORIES),
}
_SINGLE: Final[Mapping[str, Callable[[object], Any]]] = {
    "from": _sender,
    "text": _body,
    "tag": _tag,
    **_OPTIONS,
}
FIELDS: Final = ("to", *_SINGLE)


class _Problems(dict[str, str]):
    """What is wrong, by field; the first thing said of a field stands."""

    def add(self, name: str, why: str) -> None:
        """Say *why* a field cannot be taken; names, some a client's own, are made fit to print."""
        shown = "".join(letter if letter.isprintable() else "?" for letter in name)
        self.setdefault(shown[:_NAME_CHARACTERS_MAX], why)


def _check_names(fields: Fields, problems: _Problems) -> None:
    """Look at which fields there are, before what they hold."""
    for name in islice((name for name in fields if name not in FIELDS), UNKNOWN_NAMES_TOLD_MAX):
        problems.add(name, "is not a field of a send")
    for name, value in fields.items():
        if value is _TWICE and name in FIELDS:
            problems.add(name, "given twice")
    for name in ("to", "text"):
        if fields.get(name) in (None, ""):
            problems.add(name, "is required")


def _recipients(value: object, problems: _Problems) -> Generator[None, None, dict[str, str]]:
    """Check `to`, a number or a list of them; each good one comes back under its own name."""
    entries = {"to": value}
    if isinstance(value, list):
        entries = {f"to[{index}]": entry for index, entry in enumerate(value)}
    if not 1 <= len(entries) <= RECIPIENTS_MAX:
        problems.add("to", f"expected 1 to {RECIPIENTS_MAX} numbers")
        return {}
    numbers = {}
    for index, (name, entry) in enumerate(entries.items(), start=1):
        try:
            numbers[name] = _recipient(entry)
        except _Refused as error:
            problems.add(name, str(error))
        if index % SLICE == 0:
            yield
    return numbers


def _checked(fields: Fields, problems: _Problems) -> dict[str, Any]:
    """Check every field but `to`; those that are wrong are left out and named in *problems*."""
    values: dict[str, Any] = {}
    for name, check in _SINGLE.items():
        if fields.get(name) is None:
            continue
        try:
            values[name] = check(fields[name])
        except _Refused as error:
            problems.add(name, str(error))
    return values


def _too_long(text: str, kind: str) -> str | None:
    if kind == "whatsapp":
        over = len(text) > WHATSAPP_CHARACTERS_MAX
        return f"longer than {WHATSAPP_CHARACTERS_MAX} characters" if over else None
    if phone.is_gsm(text):
        over = phone.septets(text) > GSM_SEPTETS_MAX
        return f"longer than {GSM_SEPTETS_MAX} GSM characters" if over else None
    over = phone.utf16_units(text) > UNICODE_UNITS_MAX
    return f"longer than {UNICODE_UNITS_MAX} Unicode characters" if over else None


def _sender_of(
    fields: Fields, values: dict[str, Any], problems: _Problems, default: str | None
) -> str | None:
    """Choose the sender: the one given, else the default, else none where a Powerpack chooses."""
    is_given = fields.get("from") is not None
    if fields.get("powerpack_uuid") is not None:
        if is_given:
            problems.add("from", "a Powerpack chooses the number: give one of the two")
        return None
    sender: str | None = values.get("from") if is_given else default
    if sender is None:
        problems.add("from", "is required, as send.from is not set")
    return sender


def parse(fields: Fields, *, default_sender: str | None) -> Request:
    """
    Check a send's *fields*; one draft a recipient comes back, in the order given.

    Raises `BadSend` with every problem, one a field.
    """
    steps = parsing(fields, default_sender=default_sender)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            request: Request = end.value
            return request


def parsing(fields: Fields, *, default_sender: str | None) -> Generator[None, None, Request]:
    """Do what `parse` does in steps, for whoever has something else to do between them."""
    problems = _Problems()
    _check_names(fields, problems)
    numbers = yield from _recipients(fields.get("to"), problems)
    values = _checked(fields, problems)
    if "text" in values and (why := _too_long(values["text"], values.get("type", "sms"))):
        problems.add("text", why)
    sender = _sender_of(fields, values, problems, default_sender)
    for name, number in numbers.items():
        if number == sender:
            problems.add(name, "is the sender itself")
    if problems:
        raise BadSend(tuple(problems.items()))
    options = {name: values[name] for name in _OPTIONS if name in values}
    drafts = []
    for index, to in enumerate(numbers.values(), start=1):
        text, tag = values["text"], values.get("tag")
        drafts.append(Draft(to=to, sender=sender, text=text, tag=tag, options=options))
        if index % SLICE == 0:
            yield
    is_list = isinstance(fields["to"], list)
    made = tuple(drafts)
    return Request(drafts=made, is_list=is_list, fingerprint=_fingerprint(fields, made))


def _fingerprint(fields: Fields, drafts: tuple[Draft, ...]) -> bytes:
    """Hash what was asked for, so that a repeated Idempotency-Key can be told from a reused one."""
    numbers = [draft.to for draft in drafts]
    asked = {**fields, "to": numbers if isinstance(fields["to"], list) else numbers[0]}
    spelt = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(spelt.encode(), digest_size=16).digest()
