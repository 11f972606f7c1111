"""Callers who call back at a machine while something happens to it, and the reckoning after."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from tests.boot.callers import FORMS
from tests.boot.machine import until
from tests.boot.service import PUBLIC_URL, Service
from tests.package.built import ROOT

COUNT = "SELECT count(*) FROM events WHERE message_uuid GLOB ?"
IDS = "SELECT message_uuid FROM events WHERE message_uuid GLOB ?"
MORE = 200
"""So many callbacks more, after something has happened, say that things go on."""


class Load:
    """`with Load(service) as load:` twelve call without end; then all is reckoned up."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.mark = secrets.token_hex(4)
        self.met: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._told = b""

    def __enter__(self) -> Self:
        authority = str(self.service.certificate.authority)
        callers = [sys.executable, "-m", "tests.boot.callers", "--load", self.mark]
        callers += ["--url", f"{PUBLIC_URL}/plivo/status", "--authority", authority]
        self._process = self.service.machine.beside(*callers, output=subprocess.PIPE, folder=ROOT)
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        try:
            self.goes_on()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        if error is None:
            self.reckon()

    def _end(self) -> None:
        """Let them finish what they are at, and hear what they have met."""
        assert self._process is not None
        out, _ = self._process.communicate()
        self.met = json.loads((self._told + out).splitlines()[-1])

    @property
    def recorded(self) -> int:
        """How many of these callbacks the store holds."""
        [[count]] = self.service.rows(COUNT, f"{self.mark}-*")
        return int(count)

    def goes_on(self) -> None:
        """Wait until things go on after whatever happened."""
        enough = self._answered() + MORE
        until(lambda: self._answered() >= enough, "callbacks are answered", within_s=30)

    def _answered(self) -> int:
        """How many have been answered, as far as the callers have told."""
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._process.poll() is None, "the callers have ended"
        with suppress(BlockingIOError):
            self._told += os.read(self._process.stdout.fileno(), 65_536)
        lines = self._told.rpartition(b"\n")[0].split()
        return int(lines[-1]) if lines else 0

    def reckon(self) -> None:
        """Nobody was refused, everybody had a 200, and the store holds each callback once."""
        assert {} == self.met["failures"]
        assert set(FORMS) == set(self.met["by_form"])
        until(lambda: self.recorded >= len(self.met["answered"]), "what was spooled is drained")
        rows = self.service.rows(IDS, f"{self.mark}-*")
        assert sorted(self.met["answered"]) == sorted(uuid for [uuid] in rows)

    def __str__(self) -> str:
        answered, cut = len(self.met["answered"]), sum(self.met["cut"].values())
        slowest_s = self.met["slowest_s"]
        return f"{answered} callbacks, {cut} cut and repeated, slowest {slowest_s:.1f} s"
