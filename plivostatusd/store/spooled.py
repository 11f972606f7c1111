"""
How a callback is spelt in the spool: what was found when it was verified, then the request itself.

What the request says is read from it again when it is drained, by the same rules.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from plivostatusd.domain import callback, identity, signature
from plivostatusd.domain.errors import CallbackUnreadable
from plivostatusd.domain.signature import Signed
from plivostatusd.store.receipts import Arrival

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MESSAGE_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INSTANTS_US: Final = range(10**17)
"""Until the year 5138: what `times.rfc3339` can spell, and SQLite can hold."""


def pack(arrival: Arrival) -> bytes:
    """Spell *arrival* as one record."""
    head = {
        "ref": arrival.ref,
        "trust": arrival.trust,
        "key_name": arrival.key_name,
        "key_fingerprint": arrival.key_fingerprint,
        "received_us": arrival.received_us,
        "message_id": arrival.message_id,
        "doubtful": arrival.doubtful,
    }
    return json.dumps(head).encode() + b"\n" + arrival.raw


def unpack(record: bytes) -> Arrival:
    """Read a record that `pack` made. Raises `ValueError` for any other."""
    head, _, raw = record.partition(b"\n")
    found = _found(head)
    request = request_of(raw)
    try:
        pairs, _ = signature.parameters(request)
    except CallbackUnreadable:
        pairs = []
    return Arrival(
        report=callback.parse(pairs),
        ref=found["ref"],
        trust=found["trust"],
        key_name=found["key_name"],
        key_fingerprint=found["key_fingerprint"],
        nonces=request.nonces,
        digest=request.digest,
        raw=raw,
        received_us=found["received_us"],
        message_id=found["message_id"],
        doubtful=found.get("doubtful") is True,  # no earlier version knew the word
    )


def request_of(raw: bytes) -> Signed:
    """Read a request as it is kept verbatim beside an event."""
    head, _, body = raw.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    method, _, target = first.partition(" ")
    path, mark, query = target.partition("?")
    headers = dict(line.split(": ", 1) for line in lines)
    return Signed(method, path, query if mark else None, headers, body)


def _found(head: bytes) -> Mapping[str, Any]:
    """Read what was found; a word more than these, from another version, is left alone."""
    try:
        found = json.loads(head)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(found, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - what is in a file is a value to us
    for name, is_good in _GOOD.items():
        if name not in found or not is_good(found[name]):
            raise ValueError(f"{name} is not what was put there")
    return found


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


_GOOD: Final[Mapping[str, Callable[[object], bool]]] = {
    "ref": lambda value: value is None or (isinstance(value, str) and identity.is_ref(value)),
    "trust": lambda value: value in ("full", "url-only"),
    "key_name": _is_word,
    "key_fingerprint": _is_word,
    "received_us": lambda value: type(value) is int and value in _INSTANTS_US,
    "message_id": lambda value: isinstance(value, str) and bool(_MESSAGE_ID.fullmatch(value)),
}
