"""What the daemon is asked: whether it is ready, its metrics, and its counts since a moment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from plivostatusd.ctl.client import GOOD, Client, Request
from plivostatusd.ctl.errors import Refused

_NOT_READY = 503
_SERIES = re.compile(r"(\w+(?:\{.*\})?) (\S+)")


class Questions:
    """Asks *client*. Each raises `Unreachable`, `AnswerLost`, or `Refused`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def faults(self) -> list[str]:
        """Ask whether it is ready; what is not, a sentence each."""
        status, content = self._client.fetch(Request("GET", "/ready"))
        lines = [line.partition(": ") for line in content.decode("utf-8", "replace").splitlines()]
        checks = {name: state for name, _, state in lines if state}
        faults = [f"{name}: {state}" for name, state in checks.items() if state != "ok"]
        if (status in GOOD and checks and not faults) or (status == _NOT_READY and faults):
            return faults
        raise Refused(status, None)

    def metrics_text(self) -> bytes:
        """Ask for the metrics, as Prometheus does."""
        status, content = self._client.fetch(Request("GET", "/metrics"))
        if status not in GOOD or b"plivostatusd_build_info" not in content:
            raise self._refusal(status)
        return content

    def metrics(self) -> Mapping[str, float]:
        """Ask for the metrics; a value a series."""
        text = self.metrics_text().decode("utf-8", "replace")
        lines = map(_SERIES.fullmatch, text.splitlines())
        return {found[1]: float(found[2]) for found in lines if found}

    def counts(self, since: str) -> dict[str, Any]:
        """Ask how many messages made *since* then have which status."""
        return self._client.get("/stats", {"since": since})

    def _refusal(self, status: int) -> Refused:
        hint = "--token-file FILE is wanted" if status == 401 else ""  # noqa: PLR2004 - HTTP's Unauthorized
        return Refused(status, None, hint=hint)
