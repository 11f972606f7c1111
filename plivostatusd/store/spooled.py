"""
How a callback is spelt in the spool: what was found when it was verified, then the request itself.

What the request says is read from it again when it is drained, by the same rules.
"""

from __future__ import annotations

import json

from plivostatusd.domain import callback, signature
from plivostatusd.domain.errors import CallbackUnreadable
from plivostatusd.domain.signature import Signed
from plivostatusd.store.receipts import Arrival


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
    found = json.loads(head)
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
        doubtful=found["doubtful"],
    )


def request_of(raw: bytes) -> Signed:
    """Read a request as it is kept verbatim beside an event."""
    head, _, body = raw.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    method, _, target = first.partition(" ")
    path, mark, query = target.partition("?")
    headers = dict(line.split(": ", 1) for line in lines)
    return Signed(method, path, query if mark else None, headers, body)
