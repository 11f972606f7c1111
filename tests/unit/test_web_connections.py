"""The rules on who may stay connected, told and asked without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from tornado.ioloop import IOLoop

from plivostatusd.web.connections import CANDIDATES, Bounds, Connections


@dataclass(eq=False)
class Client:
    """A connection without a socket."""

    place: Place
    unsent_bytes: int = 0
    has_spoken: bool = False
    is_cut: asyncio.Event = field(default_factory=asyncio.Event)

    def cut(self) -> None:
        """Leave, as a closed connection does."""
        self.is_cut.set()
        self.place.connections.leave(self)

    def ask(self) -> Client:
        """Send a head, with a body to come."""
        self.place.connections.head_ended(self, has_body=True)
        return self

    def work(self) -> Client:
        """Have a whole request in work."""
        self.ask()
        self.place.connections.request_ended(self)
        return self


class Place:
    """A listener's connections, and why any were cut."""

    def __init__(self, bounds: Bounds) -> None:
        self.reasons: list[str] = []
        self.connections = Connections(bounds, self.reasons.append)

    def client(self) -> Client:
        """Let one more in."""
        client = Client(self)
        self.connections.enter(client)
        return client


def place(io_loop: IOLoop, **bounds: float) -> Place:
    """Make a place on the test's loop."""

    async def make() -> Place:
        return Place(Bounds(**bounds))  # type: ignore[arg-type]  # whole numbers where they must be

    made: Place = io_loop.run_sync(make)
    return made


@pytest.fixture
def three(io_loop: IOLoop) -> Iterator[Place]:
    """Have room for three."""
    made = place(io_loop, connections_max=3)
    yield made
    made.connections.close()


def test_the_longest_awaited_goes(three: Place) -> None:
    """A new one takes the place of whoever was awaited longest, not of one in work."""
    busy, old, young = three.client().work(), three.client(), three.client()
    new = three.client()
    assert [False, True, False, False] == [each.is_cut.is_set() for each in (busy, old, young, new)]
    assert (["room"], 3) == (three.reasons, len(three.connections))


def test_answered_is_young_again(three: Place) -> None:
    """From its answer on a connection is awaited anew, after those that were idle before."""
    first, second, third = (three.client() for _ in range(3))
    first.work()
    three.connections.rested(first)
    three.client()
    three.client()
    assert [False, True, True] == [each.is_cut.is_set() for each in (first, second, third)]


def test_a_body_is_awaited_too(three: Place) -> None:
    """Who sends its body byte by byte holds its place no better than an idle one."""
    slow, busy, other = three.client().ask(), three.client().work(), three.client().work()
    three.connections.body_grew(slow, 1)
    assert not three.connections.is_full
    three.client()
    assert [True, False, False] == [each.is_cut.is_set() for each in (slow, busy, other)]


def test_without_a_body(three: Place) -> None:
    """A request without a body is in work from its head on, not yet awaited for another moment."""
    for client in [three.client() for _ in range(3)]:
        three.connections.head_ended(client, has_body=False)
    assert three.connections.is_full
    assert [] == list(three.connections._bodies)


def test_what_has_arrived_is_spared(three: Place) -> None:
    """A request that is here and was not read yet is not cut while another is merely idle."""
    first, second, third = (three.client() for _ in range(3))
    first.has_spoken = True
    three.client()
    assert [False, True, False] == [each.is_cut.is_set() for each in (first, second, third)]


def test_all_have_spoken(io_loop: IOLoop) -> None:
    """When all that are looked at have sent something, the longest awaited goes all the same."""
    many = place(io_loop, connections_max=CANDIDATES + 1)
    clients = [many.client() for _ in range(CANDIDATES + 1)]
    for each in clients[:CANDIDATES]:
        each.has_spoken = True
    many.client()
    assert [clients[0]] == [each for each in clients if each.is_cut.is_set()]
    many.connections.close()


def test_no_room_at_the_cost_of_a_request(three: Place) -> None:
    """While all that are awaited have spoken there is no room: they are read first."""
    clients = [three.client() for _ in range(3)]
    for each in clients:
        each.has_spoken = True
    assert (True, True) == (three.connections.is_full, three.connections.has_awaited)
    clients[1].has_spoken = False
    assert not three.connections.is_full
    for each in clients:
        each.work()
    assert (True, False) == (three.connections.is_full, three.connections.has_awaited)


def test_half_at_most_is_given_back(io_loop: IOLoop) -> None:
    """What is given back is the longest awaited half at most, and nothing that is in work."""
    here = place(io_loop)
    busy = here.client().work()
    clients = [here.client() for _ in range(5)]
    assert (2, 2, 1, 0) == tuple(here.connections.give_back(2) for _ in range(4))
    assert not busy.is_cut.is_set()
    assert [True] * 5 == [each.is_cut.is_set() for each in clients]
    here.connections.close()


def test_full(three: Place) -> None:
    """When all are in work there is no room, and it is told when there is again."""
    clients = [three.client().work() for _ in range(3)]
    assert three.connections.is_full
    assert not three.connections.make_room()
    told: list[int] = []
    three.connections.room_made = lambda: told.append(len(three.connections))
    three.connections.rested(clients[0])
    assert ([3], False) == (told, three.connections.is_full)
    three.connections.leave(clients[1])
    assert [3, 2] == told


@pytest.mark.parametrize("reason", ["head", "body", "idle", "answer"])
async def test_patience_ends(reason: str) -> None:
    """A head, a body, the next request and the taking of an answer are each waited for so long."""
    bounds = {"head": "head_s_max", "body": "body_s_max", "idle": "idle_s_max"}
    here = Place(Bounds(**{bounds.get(reason, "answer_s_max"): 0.02}))  # type: ignore[arg-type]  # one of them
    client = here.client()
    if reason != "head":
        client.ask()
    if reason in {"idle", "answer"}:
        here.connections.request_ended(client)
    if reason == "idle":
        here.connections.rested(client)
    if reason == "answer":
        client.unsent_bytes = 1
        here.connections.answer_stalled(client)
    await client.is_cut.wait()
    assert ([reason], 0) == (here.reasons, len(here.connections))
    here.connections.close()


async def test_a_later_head_has_its_own_bound() -> None:
    """Once the first byte of a later request is there, its head is waited for, not the request."""
    here = Place(Bounds(head_s_max=0.02, idle_s_max=60))
    client = here.client().work()
    here.connections.rested(client)
    here.connections.head_began(client)
    await client.is_cut.wait()
    assert ["head"] == here.reasons
    here.connections.close()


async def test_work_is_waited_for_by_nobody() -> None:
    """While a request is in work no bound on its client's sending runs."""
    here = Place(Bounds(head_s_max=0.01, body_s_max=0.01, idle_s_max=0.01, answer_s_max=0.01))
    busy, idle = here.client().work(), here.client()
    await idle.is_cut.wait()
    assert [[], [], [], []] == [
        list(each)
        for each in (
            here.connections._heads,
            here.connections._bodies,
            here.connections._resting,
            here.connections._answers,
        )
    ]
    assert not busy.is_cut.is_set()
    here.connections.close()


async def test_heads_are_read() -> None:
    """Who has just connected is waited for until it has spoken, left, or been silent too long."""
    made = Place(Bounds())
    first, second = made.client(), made.client()
    read = asyncio.ensure_future(made.connections.heads_read(within_s=60))
    await asyncio.sleep(0)
    first.ask()
    await asyncio.sleep(0)
    assert not read.done()
    second.cut()
    await read
    await made.connections.heads_read(within_s=60)
    silent = made.client()
    await made.connections.heads_read(within_s=0.01)
    silent.cut()
    made.connections.close()


def test_bytes_of_bodies(io_loop: IOLoop) -> None:
    """Unfinished bodies hold so many bytes together; past it the slowest goes."""
    here = place(io_loop, bytes_max=100)
    first, second, done = (here.client() for _ in range(3))
    for each in (first, second, done):
        here.connections.body_grew(each.ask(), 40 if each is not done else 20)
    here.connections.request_ended(done)
    here.connections.body_grew(second, 20)
    assert [] == here.reasons
    here.connections.body_grew(second, 1)
    assert [True, False, False] == [each.is_cut.is_set() for each in (first, second, done)]
    here.connections.body_grew(second, 39)
    assert ["memory"] == here.reasons
    here.connections.body_grew(second, 1)
    assert second.is_cut.is_set()
    here.connections.close()


def test_bytes_of_answers(io_loop: IOLoop) -> None:
    """Answers that are not taken hold so many bytes together; past it the longest untaken goes."""
    here = place(io_loop, bytes_max=100)
    clients = [here.client().work() for _ in range(3)]
    for each in clients:
        each.unsent_bytes = 50
        here.connections.answer_stalled(each)
    assert [True, False, False] == [each.is_cut.is_set() for each in clients]
    here.connections.answer_left(clients[1])
    clients.append(here.client().work())
    clients[3].unsent_bytes = 50
    here.connections.answer_stalled(clients[3])
    assert ["memory"] == here.reasons
    here.connections.close()


def test_the_dead_stay_dead(io_loop: IOLoop) -> None:
    """What a transport still tells of a connection that is gone does not bring it back."""
    here = place(io_loop, connections_max=1)
    gone = here.client()
    here.client().work()
    assert gone.is_cut.is_set()
    connections = here.connections
    gone.ask()
    connections.body_grew(gone, 1)
    connections.request_ended(gone)
    connections.rested(gone)
    connections.answer_left(gone)
    assert (1, True, 0) == (len(connections), connections.is_full, connections._bytes)
    connections.close()
