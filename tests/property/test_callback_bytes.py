"""Whatever arrives is a report, or cannot be read."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

from hypothesis import given, settings
from hypothesis import strategies as st

from plivostatusd.domain import callback, signature, times
from plivostatusd.domain.callback import Report
from plivostatusd.domain.errors import CallbackUnreadable
from plivostatusd.domain.signature import Signed
from plivostatusd.domain.statuses import OURS

NAMES = [
    "MessageUUID",
    "ParentMessageUUID",
    "Status",
    "From",
    "To",
    "Sequence",
    "Units",
    "TotalAmount",
    "MCC",
    "MNC",
    "ErrorCode",
    "MessageTime",
    "QueuedTime",
    "SentTime",
    "DeliveryReportTime",
]
VALUES = [
    "83876bdb-2033-4876-bfaf-0ff8693705af",
    "delivered",
    "refused",
    "14155552323",
    "+14155552323",
    "2026-11-23 09:00:02.123456",
    "9999-12-31 23:59:59-23:59",
    "0001-01-01 00:00:00+23:59",
    "0.0035",
    "٣",
    "-1",
    "1e9",
    "9" * 5000,
]

bodies = (
    st.binary(max_size=300)
    | st.text(max_size=100).map(lambda text: ("{" + text).encode("utf-8", "surrogatepass"))
    | st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text(max_size=20)).map(
            lambda pair: f"{pair[0]}={quote_plus(pair[1].encode('utf-8', 'surrogatepass'))}"
        )
    ).map(lambda pairs: "&".join(pairs).encode())
)
types = st.sampled_from(
    [
        "",
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data",
    ]
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def read(request: Signed) -> Report | None:
    """Read a request as the ingest flow does; None when it cannot be read."""
    try:
        pairs, _ = signature.parameters(request)
    except CallbackUnreadable:
        return None
    return callback.parse(pairs)


def check(report: Report | None) -> None:
    """Say that a report, if it is one, can be stored and shown as it is."""
    if report is None:
        return
    assert report.status not in OURS
    for instant_us in (report.at_us, report.sent_us, report.delivered_us):
        assert instant_us is None or times.parse(times.rfc3339(instant_us)) == instant_us
    for number in (report.sequence, report.units):
        assert number is None or 0 <= number < 10**9
    for text in (report.message_uuid, report.status, report.sender, report.recipient):
        assert text is None or (text.isascii() and len(text) <= 36)


@settings(max_examples=400)
@given(bodies, types)
def test_any_body(body: bytes, content_type: str) -> None:
    """Any bytes in a body are a report or unreadable, and nothing else."""
    check(read(Signed("POST", "/plivo/status", None, {"content-type": content_type}, body)))


@settings(max_examples=300)
@given(bodies)
def test_any_query(query: bytes) -> None:
    """Any bytes in a query are a report or unreadable, and nothing else."""
    check(read(Signed("GET", "/plivo/status", query.decode("latin-1"), {}, b"")))


@settings(max_examples=120)
@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), json_values))
def test_any_json(fields: dict[str, Any]) -> None:
    """Any JSON object is a report or unreadable, and nothing else."""
    body = json.dumps(fields).encode()
    check(read(Signed("POST", "/plivo/status", None, {"content-type": "application/json"}, body)))
