"""Callbacks that are worth a question at Plivo's API: doubtful ones, and replays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from plivostatusd.domain import families
from plivostatusd.domain.asking import DOUBTED
from plivostatusd.domain.errors import ReplayRefused
from plivostatusd.domain.families import ALL_V2
from plivostatusd.domain.signature import Key, Signed, Verifier
from plivostatusd.flows.ingest import Ingest
from plivostatusd.store import receipts
from plivostatusd.store.pledge import Pledge
from plivostatusd.store.receipts import Arrival, Recorded
from tests.logbook import Logbook
from tests.unit.store_place import Place, opened, submission, uuid
from tests.unit.test_flow_ingest import BASE, TOKEN, V2_ONLY, Counts, only, request


@dataclass
class Door:
    """The flow over a store, what it put there, and whom it suspects somebody to lie about."""

    place: Place
    arrivals: list[Arrival] = field(default_factory=list)
    suspected: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        verifier = Verifier([Key.of("auth_token 1", TOKEN)], [BASE], minimum="url-only")
        self.ingest = Ingest(
            self._put,
            verifier,
            Counts(),
            queue_max=1_000,
            now_us=self.place.clock,
            suspected=self.suspected.append,
        )

    def _put(self, arrival: Arrival) -> Pledge[Recorded]:
        self.arrivals.append(arrival)
        return receipts.put(self.place.writer, arrival)

    async def receive(self, given: Signed, ref: str | None = None) -> bool:
        """Hand a request in; whether what it says is doubtful comes back."""
        await self.ingest.receive(given, ref)
        return self.arrivals[-1].doubtful

    async def sent(self) -> str:
        """Record a send, and give its ref."""
        given = submission()
        await self.place.accept(given)
        return given.intents[0].ref


@asynccontextmanager
async def door(folder: Path) -> AsyncIterator[Door]:
    """Open the flow."""
    async with opened(folder) as place:
        yield Door(place)


def v2_alone(given: Signed) -> Signed:
    """Take V3's headers away."""
    return replace(given, headers=only(V2_ONLY, given.headers))


def v3_failing(given: Signed) -> Signed:
    """Change the body, which V3 has signed and V2 has not."""
    return replace(given, body=given.body + b"&Extra=1")


@pytest.mark.parametrize("on_ref", [True, False], ids=["ref's path", "bare path"])
@pytest.mark.parametrize(
    ("change", "on_bare_path", "on_a_ref"),
    [(lambda given: given, False, False), (v2_alone, True, False), (v3_failing, True, True)],
    ids=["V3", "V2 alone", "V3 fails"],
)
async def test_what_is_doubtful(
    tmp_path: Path, change: partial[Signed], *, on_bare_path: bool, on_a_ref: bool, on_ref: bool
) -> None:
    """V2 alone is doubtful on the bare path; beside a V3 signature that fails, everywhere."""
    async with door(tmp_path) as flow:
        ref = await flow.sent() if on_ref else None
        path = f"/plivo/{ref}/status" if ref else "/plivo/status"
        given = change(request(path, Status="delivered"))
        is_doubtful = on_a_ref if on_ref else on_bare_path
        assert is_doubtful == await flow.receive(given, ref)
        asked = flow.place.rows("SELECT urgency FROM asks")
        assert ([DOUBTED] if is_doubtful else []) == asked


async def test_only_outcomes_are_asked_about(tmp_path: Path) -> None:
    """What is no outcome, or not the outcome any more, is worth no question."""
    async with door(tmp_path) as flow:
        assert await flow.receive(v2_alone(request(Status="sent")))
        await flow.receive(request(Status="delivered"))
        assert await flow.receive(v2_alone(request(Status="delivered", Sequence="1")))
        assert [] == flow.place.rows("SELECT * FROM asks")


async def test_v2_alone_as_a_habit(
    tmp_path: Path, logbook: Logbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callbacks that are all signed by V2 alone are noticed, said once, and seldom asked about."""
    monkeypatch.setattr(families, "ALL_V2", 5)
    async with door(tmp_path) as flow:
        given = [v2_alone(request(Status="delivered", MessageUUID=uuid(n))) for n in range(12)]
        doubtful = [await flow.receive(each) for each in given]
        assert [True] * 5 + [False] * 7 == doubtful
        (line,) = logbook.events("callbacks_signed_v2_only")
        assert 5 == line["count"]
        assert 5 == len(flow.place.rows("SELECT * FROM asks"))
        await flow.receive(request(MessageUUID=uuid(99)))
        assert await flow.receive(v2_alone(request(Status="delivered", MessageUUID=uuid(98))))
    assert 5 < ALL_V2


@pytest.mark.expect_log("callback_refused reason='replay'")
@pytest.mark.parametrize("on_ref", [True, False], ids=["ref's path", "bare path"])
async def test_a_replay(tmp_path: Path, *, on_ref: bool) -> None:
    """The message about which somebody replays a captured request is asked for at the API."""
    async with door(tmp_path) as flow:
        ref = await flow.sent() if on_ref else None
        captured = request(f"/plivo/{ref}/status" if ref else "/plivo/status")
        await flow.receive(captured, ref)
        assert [] == flow.suspected
        forged = replace(v2_alone(captured), body=captured.body.replace(b"sent", b"failed"))
        with pytest.raises(ReplayRefused):
            await flow.receive(forged, ref)
        assert flow.place.rows("SELECT id FROM messages") == flow.suspected


@pytest.mark.expect_log("callback_refused reason='replay'")
async def test_a_replay_about_nobody(tmp_path: Path) -> None:
    """A replay that names a message which nobody knows gives nobody to ask about."""
    async with door(tmp_path) as flow:
        captured = request()
        await flow.receive(captured)
        other = uuid(77).encode()
        forged = replace(v2_alone(captured), body=captured.body.replace(uuid(1).encode(), other))
        with pytest.raises(ReplayRefused):
            await flow.receive(forged)
        assert [] == flow.suspected
