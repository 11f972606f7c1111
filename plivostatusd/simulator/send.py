"""
What one send asks for: Plivo's parameters checked. Pure.

Source: plivo.com/docs/messaging/api/messages and docs.plivo.com, "send a message", read 2026-11.
Parameters that Plivo knows and this file does not name are taken and ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from . import phone, segments

_RECIPIENTS_MAX = 1_000
_SENDER_DIGITS_MAX = 14
_SENDER_NAME_MAX = 11
_GSM_MAX, _UNICODE_MAX, _WHATSAPP_MAX = 1_600, 737, 4_096
_MEDIA_MAX = 10
_EXPIRY_S_MIN, _EXPIRY_S_MAX = 5, 10_800
_TYPES = ("sms", "mms", "whatsapp")
_LOG = ("true", "false", "content_only", "number_only")
_CONTENT = ("text", "media_urls", "media_ids", "template", "interactive", "location")


class ParameterError(Exception):
    """A parameter is missing or invalid; the text is what the 400 says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One accepted request: the same message to one or more recipients."""

    src: str
    recipients: tuple[str, ...]
    invalid: tuple[str, ...] = ()
    powerpack_uuid: str = ""
    text: str = ""
    kind: str = "sms"
    url: str = ""
    method: str = "POST"


def read(parameters: Mapping[str, object]) -> Send:
    """
    Check the parameters of a send.

    Raises:
        ParameterError: on the first problem.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    recipients, invalid = _recipients(_text(given, "dst"))
    src, powerpack = _sender(given, recipients)
    kind = _choice(given, "type", _TYPES)
    _check_rest(given)
    return Send(
        src=src,
        powerpack_uuid=powerpack,
        recipients=recipients,
        invalid=invalid,
        text=_content(given, kind),
        kind=kind,
        url=_url(given),
        method=_method(given),
    )


def _text(given: Mapping[str, object], name: str, default: str = "") -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        message = f"{name} should be a string"
        raise ParameterError(message)
    return value


def _choice(given: Mapping[str, object], name: str, choices: tuple[str, ...]) -> str:
    value = _text(given, name, choices[0])
    if value not in choices:
        message = f"{name} should be one of {', '.join(choices)}"
        raise ParameterError(message)
    return value


def _recipients(dst: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split at `<`, drop repeats, set aside what is no number."""
    if not dst:
        message = "dst parameter not present"
        raise ParameterError(message)
    read_as = {entry: phone.digits(entry) for entry in dst.split("<")}
    good = tuple(dict.fromkeys(number for number in read_as.values() if number))
    if not good:
        message = "dst is not a valid phone number"
        raise ParameterError(message)
    if len(good) > _RECIPIENTS_MAX:
        message = f"dst has more than {_RECIPIENTS_MAX} unique numbers"
        raise ParameterError(message)
    return good, tuple(entry for entry, number in read_as.items() if not number)


def _sender(given: Mapping[str, object], recipients: tuple[str, ...]) -> tuple[str, str]:
    src, powerpack = _text(given, "src"), _text(given, "powerpack_uuid")
    if bool(src) == bool(powerpack):
        message = "specify either src or powerpack_uuid, and not both"
        raise ParameterError(message)
    bare = re.sub(r"[^A-Za-z0-9]", "", src)
    if src and not 0 < len(bare) <= (_SENDER_DIGITS_MAX if bare.isdigit() else _SENDER_NAME_MAX):
        message = "src is not a valid sender"
        raise ParameterError(message)
    if bare in recipients:
        message = "src and dst cannot be the same"
        raise ParameterError(message)
    return bare, powerpack


def _content(given: Mapping[str, object], kind: str) -> str:
    text = _text(given, "text")
    if not any(given.get(name) for name in _CONTENT):
        message = "text parameter not present"
        raise ParameterError(message)
    limit = _GSM_MAX if segments.is_gsm(text) else _UNICODE_MAX
    if segments.length(text) > (_WHATSAPP_MAX if kind == "whatsapp" else limit):
        message = "text is too long"
        raise ParameterError(message)
    media = given.get("media_urls", [])
    if not isinstance(media, list) or len(media) > _MEDIA_MAX:
        message = f"media_urls should be a list of {_MEDIA_MAX} at most"
        raise ParameterError(message)
    return text


def _url(given: Mapping[str, object]) -> str:
    url = _text(given, "url")
    parts = urlsplit(url)
    if url and (parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii()):
        message = "url is not a valid http or https URL"
        raise ParameterError(message)
    return url


def _method(given: Mapping[str, object]) -> str:
    method = _text(given, "method", "POST").upper()
    if method not in {"POST", "GET"}:
        message = "method should be POST or GET"
        raise ParameterError(message)
    return method


def _check_rest(given: Mapping[str, object]) -> None:
    _choice(given, "log", _LOG)
    expiry = given.get("message_expiry", _EXPIRY_S_MAX)
    is_number = isinstance(expiry, int) and not isinstance(expiry, bool)
    if not is_number or not _EXPIRY_S_MIN <= int(str(expiry)) <= _EXPIRY_S_MAX:
        message = f"message_expiry should be {_EXPIRY_S_MIN} to {_EXPIRY_S_MAX} seconds"
        raise ParameterError(message)
    if not isinstance(given.get("trackable", False), bool):
        message = "trackable should be true or false"
        raise ParameterError(message)
