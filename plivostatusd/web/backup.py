"""`POST /backup`: a whole copy of the store as it is now, checked. For operators."""

from __future__ import annotations

import asyncio
import base64
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

from tornado.iostream import StreamClosedError

from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.web.lasting import LastingHandler

if TYPE_CHECKING:
    from pathlib import Path

    from plivostatusd.store.backup import Copy

MEDIA_TYPE: Final = "application/vnd.sqlite3"
SIZE_HEADER: Final = "X-Backup-Bytes"
SPOOLED_HEADER: Final = "X-Backup-Spooled"
STORE_HEADER: Final = "X-Store-File"
_CHUNK_BYTES: Final = 256 * 1024


class BackupHandler(LastingHandler):
    """
    Sends a copy. Its size and its SHA-256 (`Repr-Digest`, RFC 9530) stand before it.

    So do how many callbacks are in the spool alone, and so not in it, and which file the store is:
    a copy put in its place would take the store away from under us. It goes in chunks, without a
    Content-Length: when the daemon stops it ends early, and whoever takes it knows by its size.
    """

    is_for_operators = True

    async def post(self) -> None:
        """Make a copy, and send it."""
        self.query()
        copy = await self._copy()
        if copy is None:
            if self.services.stopping.is_set():
                raise StoreUnavailable("The daemon is stopping")
            return
        with closing(copy.file), suppress(StreamClosedError):
            self.set_header("Content-Type", MEDIA_TYPE)
            self.set_header(SIZE_HEADER, str(copy.size))
            digest = base64.b64encode(copy.sha256).decode()
            self.set_header("Repr-Digest", f"sha-256=:{digest}:")
            self.set_header(SPOOLED_HEADER, str(self.services.keep.records))
            self.set_header(STORE_HEADER, _name_of(self.services.store_path))
            await self._send(copy)

    async def _copy(self) -> Copy | None:
        """Make it; None once nobody waits for it any more."""
        making = asyncio.ensure_future(self.services.backup.take(by=self.asker.name))
        await asyncio.wait({making, self.over}, return_when=asyncio.FIRST_COMPLETED)
        if not making.done():
            making.cancel()
            await asyncio.wait([making])
        return None if making.cancelled() else making.result()

    async def _send(self, copy: Copy) -> None:
        read = copy.file.read
        while not self.over.done() and (chunk := await asyncio.to_thread(read, _CHUNK_BYTES)):
            self.write(chunk)
            await self.flush()


def _name_of(store: Path) -> str:
    """Name a file whatever path leads to it: by device and inode."""
    try:
        status = store.stat()
    except OSError:
        return "none"
    return f"{status.st_dev}:{status.st_ino}"
