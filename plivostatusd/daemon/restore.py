"""
`plivostatusd --restore FILE`: a backup, or a store that was stopped, in the place of the store.

It promises that the store which was there is kept, that what is put in its place has been checked
whole, and that nothing which stands in it as still to be sent is ever sent by itself: the store
that it replaces may have sent it since. It works on a copy; FILE is only read. A marker lies in the
folder while the two are being exchanged, and no daemon starts over half an exchange.

With `--salvage` FILE may be damaged, and what can be read of it is put in the place of the store.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from plivostatusd.domain.errors import StartRefused
from plivostatusd.host.clock import wall_us
from plivostatusd.host.filesystem import refuse_network
from plivostatusd.host.lock import LOCK_NAME, DirectoryLock
from plivostatusd.store import database, entries, mending, pulse, rolls, watching
from plivostatusd.store.salvage import Salvaged, salvage
from plivostatusd.store.snapshot import sync
from plivostatusd.store.transaction import Transaction

if TYPE_CHECKING:
    from plivostatusd.store.mending import Mended

REASON: Final = "the store was restored from a backup: it may have been sent since"
_SUFFIXES: Final = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was done: *aside* is where the former store is, None when there was none."""

    messages: int
    unsettled: int
    mended: Mended
    salvaged: Salvaged | None
    aside: Path | None


def restore(source: Path, store: Path, *, salvages: bool = False) -> Restored:
    """Put *source* in the place of *store*. Raises `StartRefused`; nothing has changed then."""
    owner, now_us = _check(source, store), wall_us()
    with DirectoryLock(store.parent):
        os.chown(store.parent / LOCK_NAME, *owner)
        staged = store.with_name(f"{store.name}.restoring")
        _remove(staged)
        try:
            _copy(source, staged)
            saved = _salvage(staged, source) if salvages else None
            messages, unsettled, mended = _prepare(staged, source, now_us)
            os.chown(staged, *owner)
            aside = _exchange(staged, store, now_us)
        finally:
            _remove(staged)
    return Restored(
        messages=messages, unsettled=unsettled, mended=mended, salvaged=saved, aside=aside
    )


def _check(source: Path, store: Path) -> tuple[int, int]:
    """See that it can be done; who is to own the store comes back."""
    folder = store.parent
    if not folder.is_dir():
        raise StartRefused(
            f"The store's folder {folder} does not exist", command=f"install -d -m 0750 {folder}"
        )
    if sentence := refuse_network(store):
        raise StartRefused(sentence, command=f"df -T {folder}")
    if not source.is_file() or not source.stat().st_size:
        raise StartRefused(f"{source} is no file with anything in it", command=f"ls -l {source}")
    status = store.stat() if store.exists() else folder.stat()
    if os.geteuid() not in {0, status.st_uid}:
        raise StartRefused(
            f"The store {store} belongs to another user", command="sudo plivostatusd --restore FILE"
        )
    return status.st_uid, status.st_gid


def _copy(source: Path, staged: Path) -> None:
    """Copy *source*, and what is in the write-ahead log beside it."""
    for suffix in _SUFFIXES[:2]:
        part = Path(f"{source}{suffix}")
        if part.exists():
            with part.open("rb") as given, _made(Path(f"{staged}{suffix}")) as copy:
                shutil.copyfileobj(given, copy)


def _made(path: Path) -> BinaryIO:
    """Make a file that is its owner's alone from the beginning."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _salvage(staged: Path, source: Path) -> Salvaged:
    """Put in the place of the copy what can be read of it."""
    damaged = staged.with_name(f"{staged.name}-damaged")
    _remove(damaged)
    for suffix in _SUFFIXES[:2]:
        with suppress(FileNotFoundError):
            Path(f"{staged}{suffix}").rename(f"{damaged}{suffix}")
    try:
        return salvage(damaged, staged)
    except sqlite3.DatabaseError as error:
        raise StartRefused(
            f"Nothing of {source} can be read: {error}", command="plivostatusd --restore BACKUP"
        ) from error
    finally:
        _remove(damaged)


def _prepare(staged: Path, source: Path, now_us: int) -> tuple[int, int, Mended]:
    """Check the copy, mend what can be mended, and void what it would still send."""
    try:
        _check_kind(staged, source)
        connection = database.connect_writer(staged, copies=False)
    except sqlite3.DatabaseError as error:
        raise StartRefused(
            f"{source} cannot be read as a store: {error}",
            command=f"plivostatusd --restore {source} --salvage",
        ) from error
    try:
        _check_whole(connection, source)
        connection.execute("BEGIN IMMEDIATE")
        transaction = Transaction(connection)
        mended = mending.mend(transaction)
        for name in rolls.unfinished(transaction):
            rolls.finish(transaction, name)
        unsettled = entries.void(transaction, REASON, now_us)
        watching.begin_anew(transaction)
        _begin_anew(transaction, now_us)
        transaction.write_counts()
        (messages,) = transaction.execute("SELECT count(*) FROM messages").fetchone()
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    return messages, unsettled, mended


def _check_kind(staged: Path, source: Path) -> None:
    """Refuse an empty database: it would be made a store without anything in it."""
    connection = sqlite3.connect(staged)
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    finally:
        connection.close()
    if not tables:
        raise StartRefused(f"{source} holds no store", command=f"file {source}")


def _check_whole(connection: sqlite3.Connection, source: Path) -> None:
    (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if said != "ok":
        raise StartRefused(
            f"{source} is damaged: {said}",
            command=f"plivostatusd --restore {source} --salvage",
        )


def _begin_anew(transaction: Transaction, now_us: int) -> None:
    """Give the store another generation, and remember since when it knows nothing."""
    transaction.execute(
        "INSERT OR REPLACE INTO facts VALUES ('generation', ?)", (secrets.token_hex(4),)
    )
    past = pulse.begin(transaction, now_us, now_us)
    if past.away_us:
        pulse.open_gap(transaction, now_us - past.away_us, now_us)
    pulse.end(transaction, now_us, now_us)


def _exchange(staged: Path, store: Path, now_us: int) -> Path | None:
    """Move the store aside and *staged* into its place; no daemon starts in between."""
    marker = database.marker_of(store)
    marker.touch(mode=0o600)
    sync(store.parent)
    moment = datetime.fromtimestamp(now_us / 1_000_000, UTC)
    aside = store.with_name(f"{store.name}.before-restore-{moment:%Y%m%dT%H%M%S.%fZ}")
    was_there = False
    for suffix in _SUFFIXES:
        part = Path(f"{store}{suffix}")
        if part.exists():
            was_there = True
            part.rename(f"{aside}{suffix}")
    staged.rename(store)
    sync(store)
    sync(store.parent)
    marker.unlink()
    sync(store.parent)
    return aside if was_there else None


def _remove(staged: Path) -> None:
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            Path(f"{staged}{suffix}").unlink()
