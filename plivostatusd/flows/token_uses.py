"""Which token verified callbacks when last: known here to the moment, written once a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from plivostatusd.store.token_uses import TokenUse

if TYPE_CHECKING:
    from plivostatusd.domain.signature import Verdict

WRITE_EVERY_S: Final = 60.0


class TokenUses:
    """Remembers uses, and says which are to be written. Times are monotonic seconds, handed in."""

    def __init__(self) -> None:
        self.last_us: dict[TokenUse, int] = {}
        self._written_s: dict[TokenUse, float] = {}

    def note(self, verdict: Verdict, now_us: int, now_s: float) -> TokenUse | None:
        """Hear of one use; it comes back when it is to be written with its callback."""
        use = TokenUse(verdict.key.fingerprint, verdict.family)
        self.last_us[use] = now_us
        if now_s - self._written_s.get(use, float("-inf")) < WRITE_EVERY_S:
            return None
        self._written_s[use] = now_s
        return use
