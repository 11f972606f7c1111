"""
Plivo's answer as it came, and the one place that says what it means.

Pure: bytes in, outcome out. What Plivo's codes mean: https://www.plivo.com/docs/messaging/api/
(read 2026-11). Only this package calls it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from plivostatusd.plivo import record
from plivostatusd.plivo.outcome import (
    Absent,
    Accepted,
    AccountRefused,
    Finding,
    Found,
    Listed,
    Listing,
    NotSent,
    Outcome,
    Probe,
    Reachable,
    Refused,
    Unknown,
)
from plivostatusd.plivo.query import LIMIT_MAX, ListQuery, Page, next_page
from plivostatusd.plivo.record import MessageRecord

ERROR_CHARS_MAX = 500
UUID_CHARS_MAX = 100
_TAKEN = range(200, 300)
_ACCOUNT = frozenset({401, 402, 403})
_MESSAGE = frozenset(range(400, 500)) - _ACCOUNT - {408, 429}
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """One whole HTTP answer; *at_s* is when it came, in seconds since the Unix epoch."""

    status: int
    body: bytes
    retry_after: str | None = None
    at_s: float = 0.0

    def __repr__(self) -> str:
        return f"Answer(status={self.status})"

    @classmethod
    def refusal(cls, error: str) -> Answer:
        """Make the answer that Plivo would give to what the SDK's own checks refused."""
        return cls(HTTPStatus.BAD_REQUEST, json.dumps({"error": error}).encode())

    def without(self, *secrets: str) -> Answer:
        """Take *secrets* out, in case whatever answered repeats what it was sent."""
        body = self.body
        for secret in secrets:
            body = _spellings(secret).sub(b"***", body)
        return replace(self, body=body)

    def fields(self) -> dict[str, Any]:
        """Return the JSON object in the body; empty when there is none."""
        try:
            content = json.loads(self.body.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    def error(self) -> str:
        """Return Plivo's own words, printable and short; our own when it sent none."""
        said = self.fields().get("error") or f"HTTP {self.status} without an explanation"
        text = said if isinstance(said, str) else json.dumps(said)
        return "".join(c if c.isprintable() else " " for c in text[:ERROR_CHARS_MAX])


def judge_send(answer: Answer) -> Outcome:
    """Say what Plivo's answer to a send means."""
    if answer.status in _TAKEN:
        return _judge_taken(answer)
    if answer.status in _MESSAGE:
        return Refused(answer.status, answer.error())
    return _judge_common(answer)


def judge_probe(answer: Answer) -> Probe:
    """Say what Plivo's answer to a harmless question means."""
    if answer.status == HTTPStatus.OK and answer.fields():
        return Reachable()
    return _judge_common(answer)


def judge_get(answer: Answer, message_uuid: str) -> Finding:
    """Say what Plivo's answer to a question about *message_uuid* means."""
    if answer.status == HTTPStatus.NOT_FOUND and answer.fields():
        return Absent()
    if answer.status != HTTPStatus.OK:
        return _judge_common(answer)
    found = record.parse(answer.body)
    if found is None or found.message_uuid != message_uuid:
        return Unknown("an answer that does not tell of the message", answer.status)
    return Found(found)


def judge_list(answer: Answer, query: ListQuery) -> Listing:
    """Say what Plivo's answer to *query* means."""
    if answer.status != HTTPStatus.OK:
        return _judge_common(answer)
    fields = answer.fields()
    rows, meta = fields.get("objects"), fields.get("meta")
    if not isinstance(rows, list) or not isinstance(meta, dict):
        return Unknown("an answer that is no list", answer.status)
    if len(rows) > LIMIT_MAX:
        return Unknown("a page longer than was asked for", answer.status)
    link = meta.get("next")
    following = _page_after(query.page, link)
    if link and following is None:
        return Unknown("a list that does not say how it goes on", answer.status)
    read = [_record(row) for row in rows]
    records = tuple(each for each in read if each is not None)
    return Listed(records, following, len(read) - len(records))


def retry_after_s(value: str | None, *, now_s: float) -> float | None:
    """
    Read a Retry-After header: seconds, or a date that is turned into seconds from *now_s*.

    A date gone by is 0. None when the header is absent or makes no sense. Never raises.
    """
    if value is None:
        return None
    # HTTP's blanks alone: float() does not take for blank all that str.strip() does.
    text = value.strip(" \t")
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        zoned = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, zoned.timestamp() - now_s)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _spellings(secret: str) -> re.Pattern[bytes]:
    """Match *secret* however JSON spells it: each of its letters may be an escape."""
    letters = ((re.escape(bytes([byte])), b"%02x" % byte) for byte in secret.encode())
    return re.compile(b"".join(rb"(?:\\?%b|\\u00(?i:%b))" % each for each in letters))


def _judge_taken(answer: Answer) -> Outcome:
    """Read a 2xx: only a UUID proves that the message was taken."""
    fields = answer.fields()
    uuid = _first(fields.get("message_uuid"))
    if uuid is not None:
        return Accepted(uuid, _word(fields.get("api_id")))
    if fields.get("message_uuid") == [] and fields.get("invalid_number"):
        return Refused(answer.status, "Plivo says that the number is invalid")
    return Unknown("an answer that names no message", answer.status)


def _record(row: object) -> MessageRecord | None:
    """Read one row of a list; its raw form is the row spelled anew."""
    try:
        return record.parse(json.dumps(row).encode())
    except RecursionError:  # pragma: no cover - writing goes as deep as reading did, so far
        return None


def _page_after(page: Page | None, link: object) -> Page | None:
    following = next_page(link) if isinstance(link, str) else None
    return following if following is not None and following.is_after(page) else None


def _judge_common(answer: Answer) -> AccountRefused | NotSent | Unknown:
    if answer.status in _ACCOUNT:
        return AccountRefused(answer.status, answer.error())
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        wait_s = retry_after_s(answer.retry_after, now_s=answer.at_s)
        return NotSent("Plivo asks to slow down (429)", wait_s, throttled=True)
    return Unknown(f"HTTP {answer.status}", answer.status)


def _first(uuids: object) -> str | None:
    """Return the one UUID of the list that Plivo sends (a bare string is understood too)."""
    return _word(uuids[0] if isinstance(uuids, list) and uuids else uuids)


def _word(value: object) -> str | None:
    """Return *value* when it is a short text that can be stored and shown."""
    if not isinstance(value, str) or not value.isprintable():
        return None
    return value if 0 < len(value) <= UUID_CHARS_MAX else None
