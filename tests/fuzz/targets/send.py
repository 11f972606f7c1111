"""
What a send may contain: any body is a request that can be recorded, or every reason why not.

An input is a line with the body's type, then the body. It is read with and without a default
sender; what passes is put into a real store, in a transaction that is rolled back.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from plivostatusd.domain import message, phone
from plivostatusd.domain.errors import BadSend
from plivostatusd.domain.message import FIELDS, Draft, Fields, Request
from plivostatusd.store import database, entries, submissions
from plivostatusd.store.entries import Entry
from plivostatusd.store.submissions import Intent
from plivostatusd.store.transaction import Transaction
from plivostatusd.web.handler import fields_of
from plivostatusd.web.problems import of_refusal
from tests.unit.store_place import submission

SENDERS: Final = (None, "+14155551212", "ACME")
WORDS: Final = (
    *b'"+14155552323" +14155552323 %2B14155552323 "https://example.com/a.jpg"'.split(),
    *b'"whatsapp" "mms" 600 600.0 1e3 NaN true null {} [] "\\ud83d\\ude00" "\\ud800"'.split(),
    *b'"\\u0000" %F0%9F%98%80 %00 "transactional" "service_implicit" %E2%82%AC'.split(),
    *(f'"{name}": '.encode() for name in FIELDS),
    *(f"&{name}=".encode() for name in FIELDS),
    b"application/json\n",
    b"application/x-www-form-urlencoded\n",
    b"multipart/form-data\n",
    b'["+14155552323", "+14155552324"]',
    b"\xe2\x82\xac",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
)


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Give the target, on an empty store."""
    with closing(database.connect_writer(folder / "status.db")) as connection:
        yield partial(_check, connection)


def _check(connection: sqlite3.Connection, content: bytes) -> None:
    content_type, _, body = content.partition(b"\n")
    try:
        fields = fields_of(body, content_type.decode("latin-1"))
    except BadSend as bad:
        _check_problems(bad, {"body"})
        return
    for sender in SENDERS:
        try:
            request = message.parse(fields, default_sender=sender)
        except BadSend as bad:
            _check_problems(bad, names=None)
        else:
            _check_request(fields, request, sender)
            _record(connection, request)


def _check_problems(bad: BadSend, names: set[str] | None) -> None:
    """Say that every problem can be told to anybody, once a field, and where, if that is known."""
    told = [name for name, _ in bad.problems]
    assert told
    assert len(told) == len(set(told))
    assert names is None or set(told) == names
    assert all(name.isprintable() for name in told)
    json.dumps(of_refusal(bad), ensure_ascii=False).encode()


def _check_request(fields: Fields, request: Request, sender: str | None) -> None:
    """Say that Plivo would have nothing against it, and that a repeat is known as one."""
    assert 1 <= len(request.drafts) <= message.RECIPIENTS_MAX
    assert request.is_list == isinstance(fields["to"], list)
    assert request.is_list or len(request.drafts) == 1
    for draft in request.drafts:
        _check_draft(draft)
    again = message.parse(dict(reversed(list(fields.items()))), default_sender=sender)
    assert request == again


def _check_draft(draft: Draft) -> None:
    assert draft.to == phone.normalise(draft.to)
    assert draft.sender != draft.to
    assert (draft.sender is None) == ("powerpack_uuid" in draft.options)
    assert draft.sender is None or draft.sender == phone.normalise_sender(draft.sender)
    assert 0 < len(draft.text) <= message.WHATSAPP_CHARACTERS_MAX
    assert "\0" not in draft.text
    assert draft.tag is None or len(draft.tag) <= message.TAG_CHARACTERS_MAX
    assert set(draft.options) <= set(FIELDS) - {"to", "from", "text", "tag"}
    assert type(draft.options.get("message_expiry", 5)) is int
    for url in draft.options.get("media_urls", []):
        assert url.lower().startswith(("http://", "https://"))


def _record(connection: sqlite3.Connection, request: Request) -> None:
    """Say that the store takes it, and that what will be sent is what was asked for."""
    intents = [
        Intent(id=f"id-{number}", ref=f"ref-{number}", draft=draft)
        for number, draft in enumerate(request.drafts)
    ]
    given = replace(submission(), intents=intents, fingerprint=request.fingerprint, key="key")
    connection.execute("BEGIN IMMEDIATE")
    try:
        transaction = Transaction(connection)
        accepted = submissions.accept(transaction, given)
        assert accepted.ids == submissions.accept(transaction, given).ids
        first = entries.claim(transaction, given.now_us, given.steady_us)
        assert isinstance(first, Entry)
        draft = request.drafts[0]
        sent = Draft(
            to=first.to, sender=first.sender, text=first.text, tag=draft.tag, options=first.options
        )
        assert draft == sent
    finally:
        connection.execute("ROLLBACK")
