"""One request to the daemon and the answer it got: a line of the truth."""

from __future__ import annotations

from dataclasses import dataclass

from .signer import Signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """
    An attempt that has ended.

    `answer` is the HTTP status, or None when none came; `trouble` then says why. `forgery` names
    the kind of a forged callback and is blank for a genuine one. `attempt` is 1 for the first.
    """

    uuid: str
    status: str
    sequence: int
    request: Signed
    ended_us: int
    answer: int | None
    trouble: str = ""
    attempt: int = 1
    forgery: str = ""

    @property
    def is_forged(self) -> bool:
        """Nobody at Plivo signed it."""
        return bool(self.forgery)

    @property
    def is_acknowledged(self) -> bool:
        """Plivo's rule: any 2xx, and nothing else, ends the retries."""
        return self.answer is not None and 200 <= self.answer <= 299  # noqa: PLR2004 - HTTP's successes
