"""
What a setting may be: a converter from text, and the words that say what it takes.

Pure. Every converter returns the finished value or raises `Unfit`; the table of settings is made
of these, so what `-t` complains of and what the sample file explains cannot drift apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from plivostatusd.config.address import Address, address, is_host
from plivostatusd.config.problem import Unfit, near_miss
from plivostatusd.config.units import duration_s, size_bytes
from plivostatusd.config.urls import api_url, proxy_url, public_url
from plivostatusd.domain.phone import normalise_sender
from plivostatusd.domain.secret import Secret

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Number = TypeVar("Number", int, float)

PLACEHOLDER = "unset"
"""Stands where a token will be: what `SetCredential=` hands over while none is stored."""

_WHOLE = re.compile(r"[0-9]{1,15}")
_DECIMAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_ACCOUNT = re.compile(r"(?:MA|SA)[A-Z0-9]{18}")
_VISIBLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T_co]):
    """One kind of value. `expected` completes the sentence "expected ..."."""

    convert: Callable[[str], T_co]
    expected: str


def duration(least: str, most: str, *, zero: str = "") -> Kind[float]:
    """Make a duration from *least* to *most*, in seconds; *zero* says what 0 means, if allowed."""
    return _bounded(duration_s, "a duration", least, most, zero)


def size(least: str, most: str) -> Kind[int]:
    """Make a size from *least* to *most*, in bytes."""
    return _bounded(size_bytes, "a size", least, most, "")


def whole(least: str, most: str, *, zero: str = "") -> Kind[int]:
    """Make a whole number from *least* to *most*; *zero* says what 0 means, if allowed."""
    return _bounded(_whole, "a whole number", least, most, zero)


def decimal(least: str, most: str) -> Kind[float]:
    """Make a number, with or without a decimal point, from *least* to *most*."""
    return _bounded(_decimal, "a number", least, most, "")


def choice(*words: str) -> Kind[str]:
    """Make one of *words*, written exactly so."""

    def convert(text: str) -> str:
        if text not in words:
            raise Unfit(f"is none of them{near_miss(text, words)}", text)
        return text

    return Kind(convert, " or ".join(words))


def listed(item: Kind[T]) -> Kind[tuple[T, ...]]:
    """Make several of *item*, separated by commas, none twice."""

    def convert(text: str) -> tuple[T, ...]:
        values: list[T] = []
        faults: list[Unfit] = []
        for part in (part.strip() for part in text.split(",")):
            try:
                values.append(_another(item, part, values))
            except Unfit as unfit:
                faults.append(unfit)
        if faults:
            raise Unfit.together(faults)
        return tuple(values)

    return Kind(convert, f"{item.expected}; several are separated by commas")


def _bounded(
    convert: Callable[[str], Number], noun: str, least: str, most: str, zero: str
) -> Kind[Number]:
    low, high = convert(least), convert(most)

    def bounded(text: str) -> Number:
        value = convert(text)
        if value == 0 and zero:
            return value
        if not low <= value <= high:
            side = "small" if value < low else "large"
            raise Unfit(f"is too {side}", text)
        return value

    meaning = f", or 0, which {zero}" if zero else ""
    return Kind(bounded, f"{noun} from {least} to {most}{meaning}")


def _another(item: Kind[T], part: str, before: list[T]) -> T:
    if not part:
        raise Unfit("has nothing before or after a comma")
    value = item.convert(part)
    if value in before:
        raise Unfit("is named twice", part)
    return value


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise Unfit("is not a whole number", text)
    return int(text)


def _decimal(text: str) -> float:
    if not _DECIMAL.fullmatch(text):
        raise Unfit("is not a number", text)
    return float(text)


def _account(text: str) -> str:
    if not _ACCOUNT.fullmatch(text):
        raise Unfit(f"has {len(text)} characters and is no account id")
    return text


def _sender(text: str) -> str:
    sender = normalise_sender(text)
    if sender is None:
        raise Unfit("is none of these")
    return sender


def _path(text: str) -> Path:
    if not text.startswith("/"):
        raise Unfit("does not begin with a slash", text)
    return Path(text)


def _host(text: str) -> str:
    if text.count(":") > 1 and is_host(f"[{text}]"):
        raise Unfit("is an IPv6 address without its brackets", text)
    if not is_host(text):
        raise Unfit("is not a host alone, without scheme and port", text)
    return text.lower()


def _secret(text: str) -> Secret:
    if not _VISIBLE.fullmatch(text):
        raise Unfit("has a blank or a character outside ASCII")
    return Secret("" if text == PLACEHOLDER else text)


ACCOUNT = Kind(_account, "20 characters: MA or SA, then capital letters and digits")
SENDER = Kind(
    _sender,
    "a number with country code (+14155551212), a short code, or up to 11 letters and digits",
)
PATH = Kind(_path, "the full path of a file, beginning with a slash")
SECRET = Kind(_secret, "one token, without blanks")
API_URL = Kind(api_url, "https://HOST, or http:// to loopback")
PROXY = Kind(proxy_url, "http://[USER:PASSWORD@]HOST:PORT")
ADDRESSES: Kind[tuple[Address, ...]] = listed(
    Kind(address, "ADDRESS:PORT ([ADDRESS]:PORT for IPv6) or unix:/PATH")
)
HOSTS = listed(Kind(_host, "host names and addresses (IPv6 in brackets), without ports"))
PUBLIC_URLS = listed(
    Kind(public_url, "https://HOST, with :PORT and /PREFIX if need be and no slash at the end")
)
