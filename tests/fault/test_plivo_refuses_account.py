"""Plivo refuses the account, over real sockets: nothing is sent, nothing lost, and it goes on."""

from __future__ import annotations

import base64
import signal
from pathlib import Path

import pytest

from plivostatusd.simulator.options import AUTH_ID, AUTH_TOKEN
from tests.fault.bad_day import BadDay, bad_day, victim
from tests.fault.bad_plivo import Plivo, take
from tests.unit.test_plivo_server import Act, cut, reply

QUESTIONS = ""
NEW_TOKEN = "the-token-after-that-one"


def authorization(token: str) -> bytes:
    """Spell the header that shows *token*."""
    return b"Authorization: Basic " + base64.b64encode(f"{AUTH_ID}:{token}".encode())


def rotate(day: BadDay) -> None:
    """Do as an operator does: the new token first, the old one as long as Plivo signs with it."""
    path = Path(day.daemon.settings["plivo"]["auth_token_file"])
    path.write_text(f"{NEW_TOKEN}\n{AUTH_TOKEN}\n")
    day.daemon.signal(signal.SIGHUP)


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_the_account_is_refused(status: int, tmp_path: Path) -> None:
    """The outbox pauses, says so, records no more sends, and sends what waits once it may."""
    no = reply(status, b'{"error": "no %s"}' % AUTH_TOKEN.encode())
    plivo = Plivo({victim(0): [no, take], QUESTIONS: [no, take] if status == 403 else [take]})
    async with bad_day(tmp_path, plivo) as day:
        day.daemon.allow('"outbox_paused"')
        await day.others_go_on()
        message_id = await day.begin(victim(0))
        paused = await day.daemon.line("outbox_paused")
        assert f"Plivo refuses the account ({status})" == paused["reason"]
        assert paused["hint"]
        message = await day.daemon.message(message_id)
        assert ("pending", paused["reason"]) == (message["status"], message["reason"])
        refused = await day.send(victim(1))
        assert (503, paused["reason"]) == (refused.status, refused.json["detail"])
        assert 503 == (await day.daemon.api("GET", "/ready")).status
        assert 1 == plivo.posts(victim(0))
        rotate(day)
        await day.until(message_id, "queued")
        await day.others_go_on()
        assert ["account_refused", "accepted"] == day.outcomes(message_id)
    assert (2, 0) == (plivo.posts(victim(0)), plivo.posts(victim(1)))
    assert [] == day.daemon.rows("SELECT id FROM messages WHERE recipient_number = ?", victim(1))
    assert authorization(NEW_TOKEN) in plivo.requests[-1]
    assert NEW_TOKEN not in day.daemon.log


@pytest.mark.parametrize(
    "probe", [take, reply(500), cut(b""), reply(429)], ids=["fine", "500", "cut", "429"]
)
async def test_the_message_is_forbidden(probe: Act, tmp_path: Path) -> None:
    """A 403 that a question does not meet is about the message: it is refused, the others go on."""
    no = reply(403, b'{"error": "geo permission"}')
    plivo = Plivo({victim(0): [no], QUESTIONS: [probe]})
    async with bad_day(tmp_path, plivo) as day:
        message_id = await day.begin(victim(0))
        message = await day.until(message_id, "refused")
        assert "Plivo refused it (403)" == message["reason"]
        await day.others_go_on()
        assert 200 == (await day.daemon.api("GET", "/ready")).status
    questions = [each for each in plivo.requests if each.startswith(b"GET ")]
    assert (1, 1) == (plivo.posts(victim(0)), len(questions))
