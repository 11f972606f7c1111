"""
Opening the store: checks on the file, migrations, and the settings of each connection.

Raises `StartRefused`, with the command to type, for what an operator can mend.
"""

from __future__ import annotations

import os
import pwd
import secrets
import sqlite3
import stat
from importlib import resources
from pathlib import Path
from typing import Final

from plivostatusd.domain.errors import StartRefused, StoreDamaged
from plivostatusd.store import nonce_runs, snapshot

APPLICATION_ID: Final = 0x504C5653  # "PLVS", so that file(1) and we can tell the file's kind
BUSY_TIMEOUT_S: Final = 0.8
EMPTYING_S: Final = 0.1
CACHE_KIB: Final = 8_192
WAL_KEPT_BYTES: Final = 16 * 1024 * 1024
CHECKPOINT_PAGES: Final = 1_000
CHECKPOINT_PAGES_IN_A_RUSH: Final = 4_000  # 6% more callbacks a second (store/checkpoints.py)
_OTHERS: Final = stat.S_IRWXO
_NONCES_HASHED: Final = 6
"""The first schema in which all nonces are known by their hash; before it they are filed."""


def migrations() -> list[str]:
    """Give every migration's SQL, in order; the number of those applied is the schema's version."""
    folder = resources.files("plivostatusd.store") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in names]


def marker_of(path: Path) -> Path:
    """Name the file that lies there while `plivostatusd --restore` exchanges the store."""
    return path.with_name(f"{path.name}.restore-unfinished")


def check_file(path: Path) -> None:
    """
    Check the store's folder and file before SQLite touches them.

    Raises `StartRefused`: no folder, not writable, another owner, or readable by everybody; or a
    restore that was cut off.
    """
    folder = path.parent
    me = _user_name(os.geteuid())
    if not os.path.isdir(folder):  # noqa: PTH112 - pathlib raises where a parent cannot be entered
        raise StartRefused(
            f"The store's folder {folder} does not exist, or {me} cannot reach it",
            command=f"install -d -m 0750 -o {me} {folder}",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            raise StartRefused(
                f"The store's folder {folder} is on a file system that is mounted read-only",
                command=f"mount -o remount,rw $(findmnt -no TARGET -T {folder})",
            )
        raise StartRefused(
            f"The store's folder {folder} is not writable for {me}",
            command=f"chown {me} {folder} && chmod 0750 {folder}",
        )
    _check_folder(folder, me)
    if marker_of(path).exists():
        raise StartRefused(
            f"A restore was cut off: {path} and the store that it replaces lie in {folder}",
            command=f"ls -l {folder}; plivostatusd --restore FILE",
        )
    for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        if file.exists():
            _check_owner(file, me)


def _check_folder(folder: Path, me: str) -> None:
    """Refuse a folder in which another user can put a file in the store's place."""
    status = folder.stat()
    if status.st_mode & stat.S_IWOTH:
        raise StartRefused(
            f"The store's folder {folder} is writable for every user", command=f"chmod o-w {folder}"
        )
    if status.st_uid not in {0, os.geteuid()}:
        owner = _user_name(status.st_uid)
        raise StartRefused(
            f"The store's folder {folder} belongs to {owner}, and this process runs as {me}",
            command=f"chown {me} {folder}",
        )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _take_over(file: Path, owner: str, me: str) -> str:
    """Give what to type: root by hand, on a service's store, wants to be the service's user."""
    if os.geteuid() == 0:
        return f"systemctl start plivostatusd, or: runuser -u {owner} -- plivostatusd -c FILE"
    return f"chown {me} {file}"


def _check_owner(file: Path, me: str) -> None:
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        raise StartRefused(f"{file} is not a regular file", command=f"ls -l {file}")
    if status.st_uid != os.geteuid():
        owner = _user_name(status.st_uid)
        raise StartRefused(
            f"{file} belongs to {owner}, and this process runs as {me}",
            command=_take_over(file, owner, me),
        )
    if stat.S_IMODE(status.st_mode) & _OTHERS:
        raise StartRefused(f"{file} is open to every user", command=f"chmod o-rwx {file}")
    if not status.st_mode & stat.S_IWUSR:
        raise StartRefused(f"{file} is not writable for its owner", command=f"chmod u+rw {file}")


def check_remains(path: Path) -> None:
    """
    Look whether a write-ahead log stands beside an empty store, or none: SQLite would delete it.

    Raises `StoreDamaged`.
    """
    log = Path(f"{path}-wal")
    if _size(log) and not _size(path):
        raise StoreDamaged(
            f"{path} is empty and {log.name} is not: the store was cut off or removed",
            command=f"ls -l {path.parent}; plivostatusd --restore BACKUP",
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def connect_writer(path: Path, *, copies: bool = True) -> sqlite3.Connection:
    """
    Open the one connection that writes, and bring the schema up to date.

    Before an older schema is migrated the store is copied (`snapshot`), unless *copies* is false,
    for what is a copy itself. Raises `StartRefused` for a store that a newer program made or that
    is no store, `StoreDamaged` for one that cannot be copied, and `sqlite3.DatabaseError` or
    `OSError` for one that cannot be read or written.
    """
    if not path.exists():  # one that is there is not touched: closing it would end SQLite's locks
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        version = _version(connection, path)  # first: another program's file stays as it is
        _settle_connection(connection, path)
        if copies and 0 < version < len(migrations()):
            snapshot.take(connection, path, len(migrations()))
        _migrate(connection, version)
    except (sqlite3.DatabaseError, StartRefused, StoreDamaged):
        connection.close()
        raise
    return connection


def empty_log(connection: sqlite3.Connection) -> bool:
    """
    Move the write-ahead log into the file and cut it to nothing; False while somebody reads it.

    For the connection that writes, which nobody else's callback should wait long for.
    """
    connection.execute(f"PRAGMA busy_timeout = {int(EMPTYING_S * 1_000)}")
    try:
        (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1_000)}")
    return not is_busy


def _settle_connection(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StartRefused(
            f"SQLite cannot keep a write-ahead log beside {path}: it uses {mode} instead",
            command=f"df -T {path.parent}",
        )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """
    Give the schema's version, 0 for an empty file.

    Raises `StartRefused` for a store that a newer program made, or a file of another kind.
    """
    known = len(migrations())
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (kind,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and kind != APPLICATION_ID:
        raise StartRefused(f"{path} is a database of another program", command=f"file {path}")
    if version > known:
        raise StartRefused(
            f"The store {path} has schema {version}, and this program knows up to {known}:"
            " it was made by a newer plivostatusd. Install that version again, or put back the"
            " copy taken before the upgrade, which knows nothing of what came since",
            command="systemctl stop plivostatusd;"
            f" plivostatusd --restore {snapshot.fit_for(path, known) or 'BACKUP'}",
        )
    return int(version)


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    """Apply the migrations that the store has not seen, all in one transaction."""
    steps = migrations()
    if version == len(steps):
        return
    connection.execute("BEGIN IMMEDIATE")
    for number, step in enumerate(steps[version:], version + 1):
        if number == _NONCES_HASHED:
            older = connection.execute("SELECT nonce, digest, key, seen_at FROM nonces")
            nonce_runs.file_older(connection, older)
        for statement in _statements(step):
            connection.execute(statement)
    connection.execute(
        "INSERT OR IGNORE INTO facts VALUES ('generation', ?)", (secrets.token_hex(4),)
    )
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(steps)}")
    connection.execute("COMMIT")


def _statements(script: str) -> list[str]:
    """Split *script*; executescript() would commit the transaction it is run in."""
    statements = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
