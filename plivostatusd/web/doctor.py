"""
What only the daemon can tell `plivostatusctl doctor` and `tokens`. For operators.

Refused callbacks go out whole, numbers and all, because a signature covers all of it: the operator
who asks may read the store anyway. Whoever shows them masks them.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sqlite3
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from plivostatusd import __version__
from plivostatusd.host.filesystem import free_bytes
from plivostatusd.store.inspection import inspect
from plivostatusd.web.handler import Handler
from plivostatusd.web.operations import ReadyHandler
from plivostatusd.web.shapes import instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plivostatusd.store.inspection import Inspection

INSPECTION_S_MAX: Final = 4.0
_STATUS: Final = Path("/proc/self/status")


class DoctorHandler(ReadyHandler):
    """`GET /doctor`: what runs here, and by what it goes."""

    is_open_to_all = False
    is_for_operators = True

    async def get(self) -> None:
        """Answer with what needs no looking for."""
        services, knows = self.services, self.services.knows
        self.reply(
            {
                "version": __version__,
                "python": platform.python_version(),
                "sqlite": sqlite3.sqlite_version,
                "pid": os.getpid(),
                "uid": os.geteuid(),
                "privileges": _privileges(),
                "config": str(knows.config_path.absolute()),
                "config_good": services.metrics.last_reload_was_good,
                "public_urls": knows.public_urls,
                "callbacks_listen": knows.listens,
                "minimum_trust": knows.minimum_trust,
                "tokens": [key.fingerprint for key in knows.keys],
                "store": str(services.store_path),
                "spool_records": services.keep.records,
                "held": services.outbox.held,
                "ready": await self.checks(),
            }
        )


def _privileges() -> dict[str, str]:
    """Read what the kernel says of this process's confinement (proc_pid_status(5))."""
    wanted = {"NoNewPrivs": "no_new_privileges", "Seccomp": "seccomp", "CapEff": "capabilities"}
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {wanted[name]: value.strip() for name, _, value in pairs if name in wanted}


class DoctorStoreHandler(Handler):
    """`GET /doctor/store`: a look at the whole store, bounded in time."""

    is_for_operators = True

    async def get(self) -> None:
        """Look, beside everything else, and answer."""
        path = self.services.store_path
        found: dict[str, Any] = {"path": str(path), **_sizes(path)}
        try:
            inspection = await _beside(path)
        except sqlite3.Error as error:
            found |= {"fault": f"it cannot be looked at: {error}", "finished": False}
        else:
            found |= {"fault": inspection.fault, "finished": inspection.finished}
            found["seconds"] = round(inspection.seconds, 3)
        damage = self.services.writer.damage
        if damage is not None:
            found |= {"fault": damage.detail, "fix": damage.command}
        self.reply({**found, "free_bytes_min": self.services.free_bytes_min})


def _sizes(path: Path) -> dict[str, int | None]:
    sizes: dict[str, int | None] = {}
    for name, file in (("bytes", path), ("wal_bytes", Path(f"{path}-wal"))):
        try:
            sizes[name] = file.stat().st_size
        except OSError:
            sizes[name] = None
    try:
        sizes["free_bytes"] = free_bytes(path.parent)
    except OSError:
        sizes["free_bytes"] = None
    return sizes


async def _beside(path: Path) -> Inspection:
    """Inspect in a thread of its own, which no end of this process waits for."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="inspection")
    look = partial(inspect, path, within_s=INSPECTION_S_MAX)
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, look)
    finally:
        thread.shutdown(wait=False)


class DoctorRefusedHandler(Handler):
    """`GET /doctor/refused`: the refused callbacks that are kept, the newest first."""

    is_for_operators = True

    async def get(self) -> None:
        """Answer with all of them; a forgotten one has no bytes."""
        records = await self.services.reader.refused()
        self.reply({"refused": [_shape(record) for record in records]})


def _shape(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "received_at": instant(record["received_at"]),
        "reason": record["reason"],
        "message_uuid": record["message_uuid"] or None,
        "raw": b64encode(record["raw"].strip(b"\0")).decode(),
    }


class ProbeHandler(Handler):
    """`POST /doctor/probe`: a signed callback to ourselves, through the front door."""

    is_for_operators = True

    async def post(self) -> None:
        """Probe, and say how that ended."""
        probed = await self.services.front_door.probe()
        self.reply(
            {
                "successful": probed.is_through,
                "reachable": not probed.is_unreachable,
                "stage": probed.stage,
                "found": probed.found,
                "fix": probed.fix,
            }
        )


class TokensHandler(Handler):
    """`GET /tokens`: which token verified callbacks when last, without the token."""

    is_for_operators = True

    async def get(self) -> None:
        """List those in force in their order, then those that were once of use."""
        uses = await self._uses()
        keys = self.services.knows.keys
        tokens = [_token(key.fingerprint, key.name, uses) for key in keys]
        known = {key.fingerprint for key in keys}
        tokens += [
            _token(key, None, uses)
            for key in dict.fromkeys(key for key, _ in uses)
            if key not in known
        ]
        self.reply({"tokens": tokens})

    async def _uses(self) -> dict[tuple[str, str], int]:
        """Give the newest instant for each token and family: the store's, or what is newer here."""
        uses: dict[tuple[str, str], int] = {}
        for record in await self.services.reader.token_uses():
            for family in ("v3", "v2"):
                if record[f"{family}_at"] is not None:
                    uses[record["key"], family] = record[f"{family}_at"]
        for use, at_us in self.services.token_uses.last_us.items():
            place = (use.key, use.family.lower())
            uses[place] = max(at_us, uses.get(place, 0))
        return uses


def _token(key: str, name: str | None, uses: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    v3_us, v2_us = uses.get((key, "v3")), uses.get((key, "v2"))
    return {
        "name": name,
        "fingerprint": key,
        "in_force": name is not None,
        "sends": name == "auth_token 1",
        "last_used_at": instant(max(filter(None, (v3_us, v2_us)), default=None)),
        "last_v3_at": instant(v3_us),
        "last_v2_at": instant(v2_us),
    }
