"""
Refused callbacks, kept a while for an operator to find out why: never a message, never an event.

Few, as a stranger can cause them: the newest `KEPT_MAX`, for `KEPT_US` at most. What is in one is
as private as in any callback, and proved by nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from plivostatusd.domain import phone, signature
from plivostatusd.domain.errors import CallbackUnreadable
from plivostatusd.store.spooled import request_of

if TYPE_CHECKING:
    from plivostatusd.domain.signature import Signed
    from plivostatusd.store.transaction import Transaction

KEPT_MAX: Final = 200
KEPT_US: Final = 7 * 86_400 * 1_000_000
_ABOUT: Final = ("host", "content-type", "content-length", "content-encoding", "forwarded", "via")
_FAMILIES: Final = ("x-plivo-", "x-forwarded-", "x-original-", "x-rewrite-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One refused callback; *reason* is the log's word, *raw* the request as `verbatim` has it."""

    received_us: int
    reason: str
    message_uuid: str
    raw: bytes


def verbatim(request: Signed) -> bytes:
    """Spell *request* with those headers that can tell why it was refused (`request_of` reads)."""
    head = [f"{request.method} {request.target}"]
    head += [f"{name}: {value}" for name, value in request.headers.items() if _tells(name)]
    return "\n".join(head).encode("latin-1", "replace") + b"\n\n" + request.body


def _tells(name: str) -> bool:
    return name in _ABOUT or name.startswith(_FAMILIES)


def keep(transaction: Transaction, refused: Refused) -> None:
    """Write one down, and let the oldest go."""
    row = transaction.insert(
        "INSERT INTO refused (received_at, reason, message_uuid, raw) VALUES (?, ?, ?, ?)",
        (refused.received_us, refused.reason, refused.message_uuid, refused.raw),
    )
    transaction.execute("DELETE FROM refused WHERE row <= ?", (row - KEPT_MAX,))


def delete_old(transaction: Transaction, before_us: int) -> bool:
    """Delete those received before *before_us*; False, as no step is left."""
    transaction.execute("DELETE FROM refused WHERE received_at < ?", (before_us,))
    return False


def forget(transaction: Transaction, number: str) -> int:
    """
    Blank every one in which *number* (E.164) stands, and say how many that were.

    The row keeps its size: were its page merged with another, copies of it could stay behind.
    """
    rows = transaction.execute("SELECT row, raw FROM refused").fetchall()
    named = [(row,) for row, raw in rows if not is_blank(raw) and number in _numbers(raw)]
    transaction.connection.executemany(
        "UPDATE refused SET message_uuid = '', raw = zeroblob(length(raw)) WHERE row = ?", named
    )
    return len(named)


def is_blank(raw: bytes) -> bool:
    """Say whether a request was forgotten."""
    return raw[:1] in {b"", b"\0"}


def _numbers(raw: bytes) -> set[str | None]:
    """Find every value in a request that is a number, whatever field it stands in."""
    request = request_of(raw)
    try:
        pairs = signature.parameters(request)[0]
        pairs = pairs + signature.pairs_of((request.query or "").encode("latin-1"))
    except CallbackUnreadable:
        return set()
    return {phone.normalise(value.decode()) for _, value in pairs}
