"""
Saying of most hashes that they were never put in, in a few mebibytes of memory: a Bloom filter.

It may say "perhaps" of one that was not, and never "no" of one that was. Nothing is taken out.
Whoever puts hashes in sees that none is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_BITS_LOG2: Final = 25
_MASK: Final = (1 << _BITS_LOG2) - 1
_UPPER: Final = 64 - _BITS_LOG2
FULL: Final = 1 << 23
"""How many hashes it can tell apart: of so many, one new one in seven is taken for an old one."""


class Sieve:
    """Hashes of 64 bits, of which two places of 25 bits each are marked. Takes 4 MiB once used."""

    __slots__ = ("_bits", "held")

    def __init__(self) -> None:
        self.held = 0
        self._bits = bytearray()

    def add(self, hashes: Iterable[int]) -> None:
        """Put some in."""
        if not self._bits:
            self._bits = bytearray(1 << (_BITS_LOG2 - 3))
        bits = self._bits
        for one in hashes:
            low, high = one & _MASK, one >> _UPPER
            bits[low >> 3] |= 1 << (low & 7)
            bits[high >> 3] |= 1 << (high & 7)
            self.held += 1

    def may_hold(self, one: int) -> bool:
        """Say whether *one* may have been put in; False is certain."""
        bits = self._bits
        if not bits:
            return False
        low = one & _MASK
        if not bits[low >> 3] >> (low & 7) & 1:
            return False
        high = one >> _UPPER
        return bool(bits[high >> 3] >> (high & 7) & 1)
