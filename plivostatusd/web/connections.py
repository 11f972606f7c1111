"""
Who is connected to a listener, what each is waited for, and who has to go.

Owns the bounds on connections: their number, how long a head, a body, the next request and the
taking of an answer are waited for, and how many bytes of unfinished bodies and of answers that
nobody takes are held. It knows no sockets and no HTTP: a transport tells it what happens, as the
methods of `Connections` name it, and is told to cut.

A connection is either *awaited* (its client has to send: a head, the rest of a body, the next
request) or *in work* (its request is whole and is not answered yet). Room for a new one is made at
the cost of whoever was awaited longest. One in work is never cut for room: it may be a callback on
its way to disk, a long poll or an event stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, Protocol

from plivostatusd.web.patience import Patience

CANDIDATES: Final = 8
"""How many of those awaited longest are looked at for one that has not sent anything yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """
    What a listener grants its connections.

    An idle one costs about 11 KiB, and one with the largest head unfinished about 30, so that both
    listeners full of the worst stay below 200 MiB. Nginx with Debian's 768 connections a worker
    can bring 384 at once from each of its workers.
    """

    connections_max: int = 2_048
    head_s_max: float = 10.0
    """From a head's first byte to its last, as Nginx grants in our site; from connecting, too."""
    body_s_max: float = 10.0
    idle_s_max: float = 75.0
    """Longer than the 60 s for which Nginx keeps a connection (ngx_http_upstream_module, read
    2026-11-23): it closes first, and never sends a request into one that is being closed."""
    answer_s_max: float = 30.0
    """The client has taken an answer, or a part of a stream, by then: at once, nearly always."""
    bytes_max: int = 64 * 1024 * 1024
    """Of unfinished bodies, and again of answers that are not taken, of all together."""
    pause_s: float = 0.2
    calm_s: float = 30.0
    """For how long accepting must have met no trouble, before it is said to be over."""


class Guest(Protocol):
    """A connection, as the transport has it."""

    @property
    def unsent_bytes(self) -> int:
        """How much of its answers is not handed to the kernel yet."""

    @property
    def has_spoken(self) -> bool:
        """Whether it has sent something that nobody has looked at yet."""

    def cut(self) -> None:
        """Close it at once; `Connections.leave` is called by that."""


class Connections:
    """The connections of one listener. *cut* is told why, of each that is cut."""

    def __init__(self, bounds: Bounds, cut: Callable[[str], None]) -> None:
        self.most = bounds.connections_max
        self.room_made: Callable[[], None] | None = None
        """Called when a connection ends, or can be cut for another."""
        self._told_cut = cut
        self._bytes_max = bounds.bytes_max
        self._all: set[Guest] = set()
        self._awaited: dict[Guest, None] = {}
        self._body_bytes: dict[Guest, int] = {}
        self._bytes = 0
        self._heads = Patience(bounds.head_s_max, partial(self._cut, "head"))
        self._bodies = Patience(bounds.body_s_max, partial(self._cut, "body"))
        self._resting = Patience(bounds.idle_s_max, partial(self._cut, "idle"))
        self._answers = Patience(bounds.answer_s_max, partial(self._cut, "answer"))
        self._heads_read: asyncio.Event | None = None

    def __len__(self) -> int:
        return len(self._all)

    @property
    def is_full(self) -> bool:
        """Say whether there is no room, and none to be made but at the cost of a request."""
        return len(self._all) >= self.most and self._silent() is None

    @property
    def has_awaited(self) -> bool:
        """Say whether any is awaited, if only to be read."""
        return bool(self._awaited)

    def make_room(self) -> bool:
        """Cut the one that was awaited longest, if any is awaited; say whether one was."""
        if not self._awaited:
            return False
        self._cut("room", self._silent() or next(iter(self._awaited)))
        return True

    def _silent(self) -> Guest | None:
        """A request that is here, and was merely not read yet, is no reason to be cut."""
        longest = islice(self._awaited, CANDIDATES)
        return next((each for each in longest if not each.has_spoken), None)

    def give_back(self, count: int) -> int:
        """Cut the longest awaited, *count* and half of them at most; return how many that were."""
        cut = min(count, (len(self._awaited) + 1) // 2)
        for _ in range(cut):
            self.make_room()
        return cut

    async def heads_read(self, *, within_s: float) -> None:
        """Return once no head is awaited, of those that have just connected or begun to speak."""
        self._heads_read = asyncio.Event()
        self._note_heads()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._heads_read.wait()

    def _note_heads(self) -> None:
        if self._heads_read is not None and next(iter(self._heads), None) is None:
            self._heads_read.set()

    def close(self) -> None:
        """Wait for nobody any more."""
        for each in (self._heads, self._bodies, self._resting, self._answers):
            each.close()

    # What happens to a connection, in the order in which it does

    def enter(self, guest: Guest) -> None:
        """A new one: its first head is awaited."""
        if len(self._all) >= self.most:
            self.make_room()
        self._all.add(guest)
        self._await(guest)
        self._heads.begin(guest)

    def head_began(self, guest: Guest) -> None:
        """The first byte of a later request has come."""
        self._resting.end(guest)
        self._heads.begin(guest)

    def head_ended(self, guest: Guest, *, has_body: bool) -> None:
        """The head is whole; its body, if it has one, is awaited now."""
        if guest not in self._all:  # cut after its head was read, and before it was looked at
            return
        self._heads.end(guest)
        self._note_heads()
        self._resting.end(guest)
        del self._awaited[guest]
        if has_body:
            self._await(guest)
            self._bodies.begin(guest)

    def body_grew(self, guest: Guest, size: int) -> None:
        """So many bytes more of an unfinished body are held."""
        if guest not in self._all:
            return
        self._body_bytes[guest] = self._body_bytes.get(guest, 0) + size
        self._bytes += size
        while self._bytes > self._bytes_max:
            self._cut("memory", next(iter(self._bodies)))

    def request_ended(self, guest: Guest) -> None:
        """The request is whole: it is in work from here on."""
        self._end_body(guest)
        self._awaited.pop(guest, None)

    def rested(self, guest: Guest) -> None:
        """Its answer has gone out, and the next request is awaited."""
        if guest in self._all:
            self._await(guest)
            self._resting.begin(guest)

    def answer_stalled(self, guest: Guest) -> None:
        """Some of its answer could not be handed to the kernel at once."""
        self._answers.begin(guest)
        while sum(each.unsent_bytes for each in self._answers) > self._bytes_max:
            self._cut("memory", next(iter(self._answers)))

    def answer_left(self, guest: Guest) -> None:
        """The kernel has all of it."""
        self._answers.end(guest)

    def leave(self, guest: Guest) -> None:
        """It is closed, whoever closed it."""
        self._end_body(guest)
        for each in (self._heads, self._resting, self._answers):
            each.end(guest)
        self._note_heads()
        self._awaited.pop(guest, None)
        self._all.discard(guest)
        if self.room_made is not None:
            self.room_made()

    def _await(self, guest: Guest) -> None:
        self._awaited[guest] = None
        if self.room_made is not None:
            self.room_made()

    def _end_body(self, guest: Guest) -> None:
        self._bodies.end(guest)
        self._bytes -= self._body_bytes.pop(guest, 0)

    def _cut(self, why: str, guest: Guest) -> None:
        self._told_cut(why)
        guest.cut()
