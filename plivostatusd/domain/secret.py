"""
A value that must not be seen: a token that sends, verifies or lets somebody in.

Promises that no accident shows it: `repr`, `str`, `format` and f-strings give `***`, a
pickle or copy through pickle is refused, and comparing takes the same time whatever differs.
Any floor may hold one; only the code that hands it to Plivo, to HMAC or to a comparison calls
`reveal`.
"""

from __future__ import annotations

import hmac
from typing import NoReturn, final

MASK = "***"


@final
class Secret:  # noqa: PLW1641 - it must not be hashed, as said here
    """
    One secret text, shown as `***`.

    Not hashable, since it has an `__eq__` and no `__hash__`: a look-up by hash would tell by its
    time how much of a guess is right.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself. Never log, store or raise what comes back."""
        return self._value

    def matches(self, text: str) -> bool:
        """Say whether *text*, given by a stranger, is this secret, in constant time."""
        return hmac.compare_digest(_bytes(self._value), _bytes(text))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return self.matches(other.reveal())

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        message = "a Secret is not pickled or copied: it would leave the process in the clear"
        raise TypeError(message)


def _bytes(text: str) -> bytes:
    """Encode any text, lone surrogates too: `compare_digest` takes ASCII alone as `str`."""
    return text.encode("utf-8", "surrogatepass")
