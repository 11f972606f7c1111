"""
The simulator as enemy: ten thousand messages, and afterwards the daemon knows what Plivo knows.

Every story in random order; callbacks lost, doubled, late and forged; orders in lists and singly,
each under a key and made again when its answer was lost; restarts of either side, by SIGTERM, by
SIGKILL and by silence. TEST_SEED gives a campaign again, and CAMPAIGN another number of messages.
"""

from __future__ import annotations

import os
import random
import re
from collections import defaultdict
from pathlib import Path

import pytest

from plivostatusd.simulator.options import AUTH_TOKEN
from tests.acceptance.daemon import API_TOKEN, Daemon
from tests.fault.campaign import SETTINGS, Campaign
from tests.fault.campaign_plan import Plan, plan
from tests.fault.campaign_plivo import PlivoProcess, Taken, Truth
from tests.fault.campaign_verdict import Kept, faults, was_found_out
from tests.meta.source import FIGURES

MESSAGES = int(os.environ.get("CAMPAIGN", "10000"))
SECONDS_MAX = 120 + MESSAGES / 25
"""A guard against hanging: alone it takes a fifth of this, beside others on two cores a half."""
ANNOUNCED = (
    '"callback_refused"',  # forgeries
    '"send_unknown"',  # killed during a call
    '"reconcile_paused"',  # Plivo is away, and somebody asks
)


@pytest.mark.takes(90)
@pytest.mark.timeout(SECONDS_MAX + 30)
@pytest.mark.gen_test(timeout=SECONDS_MAX)
async def test_campaign(
    tmp_path: Path, chance: random.Random, request: pytest.FixtureRequest
) -> None:
    """Whatever befalls either side, each message's status is Plivo's truth, and none went twice."""
    drawn = plan(chance, MESSAGES)
    async with PlivoProcess.running(drawn.seed) as plivo:
        daemon = Daemon(tmp_path, plivo.url, **SETTINGS)
        daemon.allow(*ANNOUNCED)
        try:
            await daemon.start()
            campaign = Campaign(drawn, daemon, plivo)
            await campaign.run()
            await campaign.find_out()
            kept, truth = await campaign.kept(), await plivo.truth(tmp_path / "truth.json")
            await daemon.stop()
        finally:
            await daemon.close()
    assert {*drawn.recipients} == {*kept}
    assert {} == wrong(kept, truth)
    assert "" == daemon.stderr
    assert [] == daemon.unexpected()
    assert_nothing_leaks(daemon, drawn)
    figures = request.config.stash.setdefault(FIGURES, [])
    figures.append(told(kept, truth, campaign))


def wrong(kept: dict[str, Kept], truth: Truth) -> dict[str, list[str]]:
    """Say what is wrong with which message; nothing, if all is well."""
    taken: dict[str, list[Taken]] = defaultdict(list)
    answers: dict[str, list[int | None]] = defaultdict(list)
    for each in truth.taken:
        taken[each.to].append(each)
    for to, answer in truth.calls:
        answers[to].append(answer)
    found = {to: [*faults(each, taken[to], answers[to])] for to, each in kept.items()}
    return {to: sentences for to, sentences in found.items() if sentences}


def told(kept: dict[str, Kept], truth: Truth, campaign: Campaign) -> str:
    """Sum a campaign up."""
    found_out = sum(was_found_out(kept[each.to], each) for each in truth.taken)
    callbacks = sum(len(each.reports) + len(each.forgeries) for each in truth.taken)
    unknown = sum(each.status == "unknown" for each in kept.values())
    return (
        f"campaign: {len(kept)} messages, {len(truth.taken)} taken, {callbacks} callbacks,"
        f" {len(campaign.plan.blows)} blows, {campaign.asked_again} orders made again;"
        f" {found_out} found out by the API, {campaign.inferred} of them without a name;"
        f" {unknown} unknown for good"
    )


def assert_nothing_leaks(daemon: Daemon, drawn: Plan) -> None:
    """No token, text or whole number stands in any line."""
    log = daemon.log
    assert AUTH_TOKEN not in log
    assert API_TOKEN not in log
    assert "campaign text" not in log
    numbers = {to.removeprefix("+") for to in drawn.recipients}
    assert set() == numbers & set(re.findall(r"\d{11}", log))
