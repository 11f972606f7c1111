"""What monitoring asks for, and what an operator does by hand."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from plivostatusd.domain.errors import StoreUnavailable
from plivostatusd.host.filesystem import free_bytes
from plivostatusd.store.transaction import Transaction
from plivostatusd.web.handler import Handler
from plivostatusd.web.standing import Counted, Standing


class HealthHandler(Handler):
    """Says that the process turns; touches nothing."""

    is_open_to_all = True

    def get(self) -> None:
        """Answer."""
        self.reply({"status": "ok"})

    def head(self) -> None:
        """Answer without a body."""
        self.finish()


class ReadyHandler(Handler):
    """Says whether callbacks and sends can do their way: a check a line."""

    is_open_to_all = True

    async def get(self) -> None:
        """Check, and answer 200 or 503."""
        checks = await self.checks()
        lines = [f"{name}: {fault or 'ok'}\n" for name, fault in checks.items()]
        self.set_status(503 if any(checks.values()) else 200)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("".join(lines))

    async def checks(self) -> dict[str, str | None]:
        """Say of each check what is wrong; None where nothing is."""
        return {
            "store writable": await self._store(),
            "spool empty": self._spool(),
            "outbox moving": self.services.outbox.why_waiting,
            "disk free": self._disk(),
        }

    async def _store(self) -> str | None:
        writer = self.services.writer
        try:
            await writer.submit(_write if writer.failing else _look, impatient=True)
        except StoreUnavailable as error:
            return error.detail
        return writer.fault.detail if writer.fault else None

    def _spool(self) -> str | None:
        keep = self.services.keep
        if keep.is_spooling:
            return f"{keep.records} callbacks wait for the store"
        return None

    def _disk(self) -> str | None:
        try:
            free = free_bytes(self.services.store_path.parent)
        except OSError as error:
            return f"cannot be asked: {error.strerror}"
        least = self.services.free_bytes_min
        return f"{_mib(free)} left, fewer than {_mib(least)}" if free < least else None


def _look(transaction: Transaction) -> None:
    """Take the write lock, as every commit does, and give it back."""
    transaction.one("SELECT 1")


def _write(transaction: Transaction) -> None:
    """Write what is there already: on a full disk only writing shows that it is not full now."""
    transaction.execute("UPDATE facts SET value = value WHERE name = 'generation'")


def _mib(size: int) -> str:
    return f"{size / 1_048_576:.1f} MiB"


class MetricsHandler(Handler):
    """Prometheus text. It is there without a store, too: that is when rules have to see it."""

    async def get(self) -> None:
        """Spell every metric."""
        services = self.services
        services.metrics.standing.show(
            Standing(
                counted=await self._counted(),
                spooled=services.keep.records,
                is_writable=not services.writer.failing,
                is_held=services.outbox.held,
                is_paused=services.outbox.paused is not None,
                free_bytes=_free_bytes(services.store_path),
                free_bytes_min=services.free_bytes_min,
                file_bytes=_file_bytes(services.store_path),
            )
        )
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(services.metrics.text())

    async def _counted(self) -> Counted | None:
        reader = self.services.reader
        try:
            tallies, oldest_us = await reader.tallies(), await reader.oldest_open_us()
        except StoreUnavailable:
            return None  # whoever writes has said so
        age_us = 0 if oldest_us is None else self.services.now_us() - oldest_us
        return Counted(tallies=tallies, oldest_open_s=max(0, age_us) / 1_000_000)


def _free_bytes(store: Path) -> int | None:
    try:
        return free_bytes(store.parent)
    except OSError:
        return None


def _file_bytes(store: Path) -> dict[str, int]:
    found = {}
    for name, file in (("store", store), ("wal", Path(f"{store}-wal"))):
        with suppress(OSError):
            found[name] = file.stat().st_size
    return found


class HoldHandler(Handler):
    """`POST /outbox/hold` and `POST /outbox/release`, for operators."""

    is_for_operators = True

    async def post(self, action: str) -> None:
        """Hold the outbox, or let it go on."""
        await self.services.outbox.hold(held=action == "hold", by=self.asker.name)
        self.reply({"held": self.services.outbox.held})
