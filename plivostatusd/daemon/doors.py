"""
The two doors: their listening sockets, kept over restarts, and the ways in through them.

Owns the order in which they shut: who is connected is answered, who connects meanwhile waits in the
socket for the next process, or is refused where no service manager keeps that open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from plivostatusd.domain.errors import StartRefused
from plivostatusd.host.descriptors import raise_limit
from plivostatusd.host.kept_sockets import KeptSockets
from plivostatusd.host.sockets import actual_address, is_of_this_machine
from plivostatusd.log import get_logger
from plivostatusd.web.connections import Bounds
from plivostatusd.web.entrance import LEAST, Entrance

if TYPE_CHECKING:
    import socket

    from tornado.httputil import HTTPServerConnectionDelegate

    from plivostatusd.config import Address, Config
    from plivostatusd.host.service_manager import ServiceManager
    from plivostatusd.web.metrics import Metrics

log = get_logger()

BOUNDS: Final = Bounds()
CONNECTIONS_FEW: Final = 128
"""Fewer are worth a warning: Nginx keeps 32 open, and brings one more for each callback at once."""
DESCRIPTORS_BESIDE: Final = 64
"""For all that is no connection: some 15 stay open (SQLite, spool, lock, log and loop), and as many
again are open for moments while the spool is drained."""
DESCRIPTORS_PER_CALL: Final = 4
"""For a call to Plivo: its socket, and for moments those of its name and of its CA file."""
HEADS_S_MAX: Final = 0.3
"""How long a stop waits for the first words of those who have just connected."""


class Doors:
    """
    The listeners `callbacks` and `api`. Made and used on the event loop.

    *connections_max* is how many each may have: known once they are open.
    """

    def __init__(self, config: Config, manager: ServiceManager, metrics: Metrics) -> None:
        self._config = config
        self._manager = manager
        self._metrics = metrics
        self._sockets: dict[str, list[socket.socket]] = {}
        self._entrances: dict[str, Entrance] = {}
        self.connections_max = BOUNDS.connections_max

    def bind(self, stack: AsyncExitStack) -> None:
        """
        Listen on every address; connections wait until `open`. What is opened ends with *stack*.

        Raises:
            StartRefused: one of them cannot be had, or must not be.
        """
        wanted = {"callbacks": self._config.callbacks.listen, "api": self._config.api.listen}
        kept = KeptSockets(self._manager, wanted)
        for name in kept.strangers:
            hint = "FileDescriptorName= of a socket unit: callbacks or api"
            log.warning("socket_not_used", name=name, hint=hint)
        for name, addresses in wanted.items():
            self._sockets[name] = self._bind(kept, name, addresses, stack)
        kept.keep()

    def _bind(
        self, kept: KeptSockets, name: str, addresses: Sequence[Address], stack: AsyncExitStack
    ) -> list[socket.socket]:
        given = [stack.enter_context(sock) for sock in kept.given(name)]
        if given:
            self._check_exposure(name, given)
            return given
        listeners = [stack.enter_context(kept.listen(name, each)) for each in addresses]
        return [sock for each in listeners for sock in each.sockets]

    def _check_exposure(self, name: str, given: Sequence[socket.socket]) -> None:
        """Hold a socket unit to what `api.listen` is held to."""
        if name != "api" or self._config.secrets.api_tokens:
            return
        for sock in given:
            if not is_of_this_machine(sock):
                sentence = (
                    f"a socket unit opens {actual_address(sock)} to other machines, and"
                    " api.token_file is not set"
                )
                raise StartRefused(sentence, command="systemctl list-sockets")

    def open(self, doors: Mapping[str, HTTPServerConnectionDelegate]) -> None:
        """Begin to take connections, and hand their requests to *doors*."""
        bounds = self._bounds()
        self.connections_max = bounds.connections_max
        for name, door in doors.items():
            entrance = Entrance(name, door, self._metrics, bounds=bounds)
            self._entrances[name] = entrance
            for sock in self._sockets[name]:
                entrance.open([sock])
                log.info("listening", listener=name, address=actual_address(sock))

    def _bounds(self) -> Bounds:
        """Share what descriptors there are, so that the rest of the house never lacks any."""
        sockets = sum(map(len, self._sockets.values()))
        calls = self._config.plivo.concurrency * DESCRIPTORS_PER_CALL
        beside = DESCRIPTORS_BESIDE + calls + sockets
        wanted = beside + len(self._sockets) * BOUNDS.connections_max
        allowed = raise_limit(wanted)
        if allowed >= wanted:
            return BOUNDS
        share = max(LEAST, (allowed - beside) // len(self._sockets))
        if share < CONNECTIONS_FEW:
            hint = "Raise LimitNOFILE= of the service, or the shell's: ulimit -Hn"
            log.warning("descriptors_few", allowed=allowed, connections_max=share, hint=hint)
        return replace(BOUNDS, connections_max=share)

    async def stop(self, name: str) -> None:
        """Let nobody in any more; return when who is in has said what it wants, or is silent."""
        self._entrances[name].stop()
        await self._entrances[name].heads_read(within_s=HEADS_S_MAX)

    async def close(self) -> None:
        """Close what is still connected."""
        for entrance in self._entrances.values():
            await entrance.close()
