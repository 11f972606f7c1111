"""Moving from another program's table, while Plivo reports and messages are sent."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.acceptance.daemon import ROOT, Daemon, running

ROWS = 3_000
HEADER = (
    "id,message_uuid,sender_number,recipient_number,message_body,initial_status,current_status,"
    "status_timestamp,error_code,created_at,updated_at\n"
)


def table(folder: Path) -> Path:
    """Write a table as the tutorial's program keeps it, two of its rows spoilt."""
    cells = (
        f"{number},{uuid4()},+14155551212,+14155552{number % 1_000:03},hello,queued,"
        f"{'delivered' if number % 3 else 'failed'},2026-11-23 09:00:0{number % 10}.25+00,"
        f"{'' if number % 3 else '420'},2026-11-23 09:00:00+00,2026-11-23 09:00:09+00\n"
        for number in range(ROWS)
    )
    spoilt = f"x,17,,,,,sent,,,,\nx,{uuid4()},,,,,,,,,\n"
    file = folder / "table.csv"
    file.write_text(HEADER + "".join(cells) + spoilt)
    return file


async def imported(daemon: Daemon, file: Path) -> tuple[int, dict[str, Any]]:
    """Import a file with the operator's tool; its exit status and its answer come back."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "plivostatusd.ctl", "import", str(file), "--json"),
        *("--socket", str(daemon.api_socket)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(output)


async def test_import_under_load(tmp_path: Path) -> None:
    """A table is taken in whole, once, without a refused callback, and nothing of it is sent."""
    file = table(tmp_path)
    async with running(tmp_path) as (daemon, simulator):
        importing = asyncio.ensure_future(imported(daemon, file))
        answers = []
        while not importing.done():
            answers.append((await daemon.deliver(daemon.callback("sent", str(uuid4())))).status)
        status, told = importing.result()
        assert (1, ROWS, 0) == (status, told["imported"], told["unchanged"])
        assert [ROWS + 2, ROWS + 3] == [each["line"] for each in told["bad"]]
        assert {200} == set(answers)
        status, told = await imported(daemon, file)
        assert (1, 0, ROWS) == (status, told["imported"], told["unchanged"])
        stats = (await daemon.api("GET", "/stats?until=2026-11-23T10:00:00Z")).json
        assert {"delivered": 2_000, "failed": 1_000} == stats["messages"]
        assert [] == simulator.requests
        assert [(0,)] == daemon.rows("SELECT count(*) FROM outbox")
