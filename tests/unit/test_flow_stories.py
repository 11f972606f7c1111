"""Both flows together: the outbox calls the simulator over HTTP, whose callbacks come to ingest."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from plivostatusd.domain.secret import Secret
from plivostatusd.domain.signature import Key, Verifier
from plivostatusd.flows.ingest import Ingest
from plivostatusd.flows.outbox import Outbox
from plivostatusd.plivo.api import ApiOptions, PlivoApi
from plivostatusd.simulator import Options, Simulator
from plivostatusd.simulator.options import AUTH_ID, AUTH_TOKEN
from plivostatusd.store import receipts
from plivostatusd.web.callbacks import CallbackServer
from plivostatusd.web.metrics import Metrics
from tests.unit.listeners import PUBLIC, serve
from tests.unit.scripted_plivo import Counts as Outcomes
from tests.unit.scripted_plivo import request, terms
from tests.unit.store_place import Place, audit, opened

ENDS = {
    "0001": "delivered",
    "0002": "undelivered",
    "0003": "failed",
    "0004": "rejected",
    "0005": "sent",
    "0006": "queued",  # only Plivo's API knows more
    "0007": "delivered",  # by the callback on its own ref: the answer was lost
    "0008": "delivered",
    "0009": "delivered",
    "0010": "delivered",
    "0011": "unknown",
    "0012": "refused",
    "0013": "delivered",
}


def now_us() -> int:
    """Tell the time."""
    return time.time_ns() // 1_000


def api_options(url: str) -> ApiOptions:
    """Reach the simulator."""
    return ApiOptions(
        auth_id=AUTH_ID,
        auth_token=Secret(AUTH_TOKEN),
        api_url=url,
        proxy=None,
        ca_file=None,
        timeout_s=10.0,
        concurrency=4,
    )


async def compose(stack: AsyncExitStack, place: Place) -> tuple[Simulator, Outbox]:
    """Build the daemon's two paths around a store, and Plivo beside them."""
    verifier = Verifier([Key.of("first", AUTH_TOKEN)], [PUBLIC], minimum="full")
    metrics = Metrics()
    ingest = Ingest(
        partial(receipts.put, place.writer), verifier, metrics, queue_max=100, now_us=now_us
    )
    port = await serve(stack, CallbackServer(ingest, body_bytes_max=16_384), metrics)
    options = Options(port=0, speed=500, seed=1, connect_to=("127.0.0.1", port), retry_after_s=None)
    simulator = Simulator(options)
    api = PlivoApi(api_options(await simulator.start()))
    stack.push_async_callback(simulator.stop)
    outbox = Outbox(
        place.writer, api, terms(public_url=PUBLIC), Outcomes(), now_us=now_us, steady_us=now_us
    )
    stack.push_async_callback(outbox.close)
    await outbox.start()
    stack.push_async_callback(outbox.stop, within_s=5)
    return simulator, outbox


@pytest.mark.allow_log("callback_refused")
async def test_thirteen_stories(tmp_path: Path) -> None:
    """Each story comes to its end, Plivo never takes a message twice, and the books are right."""
    async with opened(tmp_path) as place, AsyncExitStack() as stack:
        simulator, outbox = await compose(stack, place)
        people = {f"+1415555{story}": end for story, end in ENDS.items()}
        accepted = await outbox.accept(request(to=[*people]), sent_by="cron", key="k")
        await outbox.answered(accepted.ids, within_s=20)
        await simulator.idle()
        rows = dict(place.rows("SELECT recipient_number, current_status FROM messages"))
        assert people == rows
        taken = [message.dst for message in simulator.messages.values()]
        assert sorted(set(taken)) == sorted(taken)
        assert ["unknown"] == place.rows("SELECT state FROM outbox")
        audit(place.path)
