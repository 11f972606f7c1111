"""What a command is given: its options, the daemon to ask, and where to write."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from functools import cached_property

from plivostatusd.ctl.client import Client
from plivostatusd.ctl.output import Output


class Run:
    """One run of one command."""

    def __init__(
        self,
        *,
        options: Namespace,
        output: Output,
        environ: Mapping[str, str],
        read_input: Callable[[], bytes],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """
        Keep what the command is given.

        *read_input* reads standard input to its end; *pause* waits so many seconds, and tests may
        hand in one that does not.
        """
        self.options = options
        self.output = output
        self.environ = environ
        self.read_input = read_input
        self.pause = pause

    @cached_property
    def client(self) -> Client:
        """The daemon's local API, found when it is first needed."""
        from plivostatusd.ctl.target import client

        return client(self.options, self.environ)
