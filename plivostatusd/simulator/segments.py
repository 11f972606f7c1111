"""How many units Plivo bills for a text. Pure."""

from __future__ import annotations

_GSM_ONE = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWO = frozenset("\f^{}\\[~]|€")


def is_gsm(text: str) -> bool:
    """Say whether GSM 03.38 can spell *text*."""
    return (_GSM_ONE | _GSM_TWO).issuperset(text)


def length(text: str) -> int:
    """Count septets of a GSM text, UTF-16 units of any other."""
    if is_gsm(text):
        return len(text) + sum(letter in _GSM_TWO for letter in text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def units(text: str) -> int:
    """
    Count the parts of *text*: 160 or 153 septets each, 70 or 67 UTF-16 units.

    An estimate: a pair that would straddle two parts is counted as if it could be cut.
    """
    whole, part = (160, 153) if is_gsm(text) else (70, 67)
    size = length(text)
    return 1 if size <= whole else -(-size // part)
