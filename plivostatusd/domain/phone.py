"""Phone numbers as E.164, senders, and how many parts a text becomes. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

_SEPARATORS = str.maketrans("", "", " -.()\u00a0")
_E164 = re.compile(r"\+?([1-9]\d{6,14})", re.ASCII)
_SHORT_CODE = re.compile(r"\d{3,6}", re.ASCII)
_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]{1,11}", re.ASCII)
_CALLING_CODE = re.compile(
    r"\+([17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-9]\d{2})", re.ASCII
)
_MASKED_MIDDLE = "****"
_LEADING_KEPT_MAX = 5
_TRAILING_KEPT = 4
_HIDDEN_MIN = 3
_MASKED_WHOLE_MAX = _LEADING_KEPT_MAX + _TRAILING_KEPT

# GSM 03.38, the basic character set, and what its escape reaches (each costs two septets).
_GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED = frozenset("\f^{}\\[~]|€")
_GSM = _GSM_BASIC | _GSM_EXTENDED


def normalise(number: str) -> str | None:
    """Spell *number* as E.164 with its plus sign; None when it is no international number."""
    # Plivo's own spelling has nothing to take out.
    match = _E164.fullmatch(number) or _E164.fullmatch(number.strip().translate(_SEPARATORS))
    return f"+{match[1]}" if match else None


@lru_cache(1_024)  # a store has few senders, and each callback names one
def normalise_sender(sender: str) -> str | None:
    """
    Check a sender: a number (as E.164), a short code, or an alphanumeric name of at most 11.

    Source: plivo.com/docs/messaging/api/message/send-a-message (`src`), read 2026-11.
    """
    stripped = sender.strip()
    if _SHORT_CODE.fullmatch(stripped) or _ALPHANUMERIC.fullmatch(stripped):
        return stripped
    return normalise(stripped)


def from_plivo(number: str) -> str:
    """Spell a number as Plivo writes it (digits alone) as E.164; leave any other sender be."""
    return normalise(number) or number.strip()


def for_plivo(number: str) -> str:
    """Spell a number as Plivo takes it: digits alone."""
    return number.removeprefix("+")


def calling_code(number: str | None) -> str | None:
    """
    Give the country calling code of an E.164 *number*, such as `49`; None for what is none.

    Source: ITU-T E.164, list of assigned codes: of one digit (1, 7), of two, else of three.
    """
    match = _CALLING_CODE.match(number) if number else None
    return match[1] if match else None


def mask(number: str) -> str:
    """
    Hide the middle of a number: `+14155552323` becomes `+1415****2323`.

    At least three characters are hidden, of a short number all.
    """
    if len(number) <= _MASKED_WHOLE_MAX:
        return _MASKED_MIDDLE
    leading = min(_LEADING_KEPT_MAX, len(number) - _TRAILING_KEPT - _HIDDEN_MIN)
    return f"{number[:leading]}{_MASKED_MIDDLE}{number[-_TRAILING_KEPT:]}"


def is_gsm(text: str) -> bool:
    """Say whether every character of *text* exists in GSM 03.38."""
    return _GSM.issuperset(text)


def septets(text: str) -> int:
    """Count the septets of a GSM 03.38 text: one a character, two behind an escape."""
    return len(text) + sum(map(text.count, _GSM_EXTENDED))


def utf16_units(text: str) -> int:
    """Count the UTF-16 units of *text*, which is what a Unicode SMS is measured in."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
