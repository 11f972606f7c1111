"""The whole daemon after a time in which callbacks were lost: whole again, by Plivo's list."""

from __future__ import annotations

import asyncio
from pathlib import Path

from plivostatusd.flows.reconcile.questions import AT_ONCE_MAX
from plivostatusd.simulator import Simulator
from tests.acceptance.daemon import Daemon, running
from tests.acceptance.test_reconcile import QUICK, became, edit, long_ago, pages, questions

SLOW = {**QUICK, "after": "1h"}
HOUR_US = 3_600_000_000


def was_away(daemon: Daemon, hours: float) -> None:
    """Set the last heartbeat back, as if the daemon had ended that long ago."""
    ((value,),) = daemon.rows("SELECT value FROM facts WHERE name = 'heartbeat'")
    wall, steady = (int(each) - int(hours * HOUR_US) for each in value.split())
    edit(daemon, "UPDATE facts SET value = ? WHERE name = 'heartbeat'", f"{wall} {steady}")


async def sent(daemon: Daemon, simulator: Simulator, count: int) -> list[str]:
    """Send messages, and wait until all are `sent` and nothing more is heard of them."""
    numbers = [f"+1628902{number:02}0005" for number in range(count)]
    reply = await daemon.api("POST", "/send?wait=0", {"to": numbers, "text": "hello"})
    names = [message["id"] for message in reply.json["messages"]]
    ended = dict.fromkeys(names, "sent")
    await daemon.until(lambda statuses: ended.items() <= statuses.items())
    await simulator.idle()
    return names


async def test_a_gap_is_filled(tmp_path: Path) -> None:
    """What Plivo reported while nobody listened is learnt from its list at the next start."""
    async with running(tmp_path, reconcile=SLOW, speed=200) as (daemon, simulator):
        names = await sent(daemon, simulator, 45)
        await daemon.stop()
        outcomes = ["delivered", "undelivered", "failed"]
        for number, uuid in enumerate(list(simulator.messages)):
            missed = await simulator.callback(uuid, outcomes[number % 3])
            assert missed.answer is None
        long_ago(simulator)
        was_away(daemon, 1)
        await daemon.start()
        assert 3_600 <= (await daemon.line("gap_found"))["seconds"] < 3_700
        await daemon.line("gap_filled")
        truth = {message.uuid: message.state for message in simulator.messages.values()}
        messages = [await daemon.message(name) for name in names]
        assert truth == {each["message_uuid"]: each["status"] for each in messages}
        assert {("api", "api")} == {
            (each["events"][-1]["source"], each["events"][-1]["trust"]) for each in messages
        }
        assert 3 == pages(simulator)
        assert len(questions(simulator)) <= AT_ONCE_MAX  # those that were quicker than the list
        await daemon.stop()
        await daemon.start()
        assert not any(line["event"] == "gap_found" for line in daemon.lines[daemon._mark :])


async def test_what_the_list_leaves_over(tmp_path: Path) -> None:
    """What Plivo's list does not tell is asked singly; the gap counts as filled all the same."""
    async with running(tmp_path, reconcile=SLOW, speed=200) as (daemon, simulator):
        names = await sent(daemon, simulator, 6)
        await daemon.stop()
        uuids = list(simulator.messages)
        for uuid in uuids:
            await simulator.callback(uuid, "delivered")
        for message in simulator.messages.values():  # as if it were listed at another time
            message.taken_us -= 48 * HOUR_US
        was_away(daemon, 1)
        await daemon.start()
        await daemon.line("gap_filled")
        for name in names:
            await became(daemon, name, "delivered")
        assert sorted(uuids) == sorted(
            each.path.rstrip("/").rpartition("/")[2]
            for each in simulator.requests
            if each.method == "GET" and each.path.count("-") > 2
        )


async def test_a_short_absence(tmp_path: Path) -> None:
    """Of a downtime that Plivo's own retries outlast, nothing is asked."""
    async with running(tmp_path, reconcile=SLOW, speed=200) as (daemon, simulator):
        await sent(daemon, simulator, 2)
        await daemon.stop()
        was_away(daemon, 4 / 60)
        await daemon.start()
        await daemon.line("store_entered", last_stop_clean=True)
        name = (await daemon.send("+16289010001")).json["id"]
        await became(daemon, name, "delivered")
        assert not any(line["event"] == "gap_found" for line in daemon.lines)
        assert (0, []) == (pages(simulator), questions(simulator))


async def test_a_pending_send_is_held(tmp_path: Path) -> None:
    """After an absence longer than `send.retry_for` a send that waits is held for a person."""
    async with running(tmp_path, api_url="http://127.0.0.1:9") as (daemon, simulator):
        daemon.allow('"outbox_held"')
        name = (await daemon.send("+16289010001", wait="0")).json["id"]
        await daemon.line("send_postponed", message_id=name)
        await daemon.stop()
        was_away(daemon, 1.5)
        daemon.settings["plivo"]["api_url"] = simulator.url
        await daemon.start()
        held = await daemon.line("outbox_held")
        assert "longer than send.retry_for" in held["reason"]
        assert "plivostatusctl release" in held["hint"]
        assert "pending" == (await daemon.message(name))["status"]
        assert [] == [each for each in simulator.requests if each.method == "POST"]
        assert 200 == (await daemon.operator("POST", "/outbox/release")).status
        await became(daemon, name, "delivered")
        assert 1 == len(simulator.messages)


async def test_an_empty_outbox_starts_open(tmp_path: Path) -> None:
    """After the same absence an outbox with nothing in it sends at once."""
    async with running(tmp_path) as (daemon, simulator):
        first = (await daemon.send("+16289010001")).json["id"]
        await became(daemon, first, "delivered")
        await daemon.stop()
        was_away(daemon, 48)
        await daemon.start()
        second = (await daemon.send("+16289010001")).json["id"]
        await became(daemon, second, "delivered")
        assert 2 == len(simulator.messages)
        assert not any(line["event"] == "outbox_held" for line in daemon.lines)


async def test_idle(tmp_path: Path) -> None:
    """A daemon with nothing to do does nothing: it uses next to no processor time."""
    async with running(tmp_path) as (daemon, _):
        before_s = cpu_s(daemon.pid)
        await asyncio.sleep(1.5)  # nothing is to happen, so there is nothing to wait for
        assert cpu_s(daemon.pid) - before_s < 0.3


def cpu_s(pid: int) -> float:
    """Say how much processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
