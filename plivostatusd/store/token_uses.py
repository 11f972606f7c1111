"""
When each token last verified a callback: tells whether an old one can be dropped.

Written in the transaction of the callback itself, once a minute a token (`flows/token_uses.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from plivostatusd.store.transaction import Transaction

_NOTE: Final = {
    "V3": "INSERT INTO token_uses (key, v3_at) VALUES (?1, ?2)"
    " ON CONFLICT (key) DO UPDATE SET v3_at = max(?2, ifnull(v3_at, 0))",
    "V2": "INSERT INTO token_uses (key, v2_at) VALUES (?1, ?2)"
    " ON CONFLICT (key) DO UPDATE SET v2_at = max(?2, ifnull(v2_at, 0))",
}


class TokenUse(NamedTuple):
    """A token (by its fingerprint) verified a callback by a family of signatures, V3 or V2."""

    key: str
    family: str


def note(transaction: Transaction, use: TokenUse, at_us: int) -> None:
    """Write down that a token verified a callback at *at_us*."""
    transaction.execute(_NOTE[use.family], (use.key, at_us))
