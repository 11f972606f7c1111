"""Answers that last: they end when the daemon stops, or when nobody listens any more."""

from __future__ import annotations

import asyncio

from plivostatusd.web.handler import Handler


class LastingHandler(Handler):
    """`over` is done once nothing more is to be waited for."""

    def initialize(self) -> None:
        """Begin to watch for the end."""
        super().initialize()
        self.over = asyncio.ensure_future(self.services.stopping.wait())

    def on_finish(self) -> None:
        """Watch no longer."""
        super().on_finish()
        self.over.cancel()

    def on_connection_close(self) -> None:
        """Wait no longer for whoever went away."""
        super().on_connection_close()
        self.over.cancel()
