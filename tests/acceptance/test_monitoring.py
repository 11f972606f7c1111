"""check_plivostatus, as a monitoring server runs it, on a real daemon."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from bench.stores import make
from tests.acceptance.daemon import ROOT, Daemon, running

OK, WARNING, CRITICAL, UNKNOWN = range(4)


async def check(*words: str) -> tuple[int, str]:
    """Run it; exit status and its line come back."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "plivostatusd.check", *words),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert b"" == err
    return process.returncode or 0, out.decode()


def places(daemon: Daemon) -> tuple[list[str], ...]:
    """Give each way to say where the daemon is."""
    over_tcp = ["--url", f"http://127.0.0.1:{daemon.api_port}"]
    return (
        ["--socket", str(daemon.api_socket)],
        ["--config", str(daemon.config)],
        [*over_tcp, "--token-file", str(daemon.folder / "api_tokens")],
    )


async def test_a_day_of_a_daemon(tmp_path: Path) -> None:
    """Each check says of a real daemon what is so, by whichever way it is asked."""
    async with running(tmp_path) as (daemon, simulator):
        for place in places(daemon):
            assert OK == (await check(*place))[0]
        here = places(daemon)[0]
        status, line = await check(*here, "--check", "last-callback", "-c", "3600")
        assert (CRITICAL, True) == (status, "no callback has come yet" in line)
        for number, end in (("+14155550001", "delivered"), ("+14155550002", "undelivered")):
            ended = {(await daemon.send(number)).json["id"]: end}.items()
            await daemon.until(lambda statuses, ended=ended: ended <= statuses.items())  # type: ignore[misc]  # bound here
        await simulator.idle()
        for place in places(daemon):
            status, line = await check(
                *place, "--check", "delivery-ratio", "-w", "60:", "-c", "40:"
            )
            assert (WARNING, True) == (status, "delivery_ratio=50%;60:;40:;0;100" in line), line
        assert OK == (await check(*here, "--check", "last-callback", "-c", "3600"))[0]
        assert OK == (await check(*here, "--check", "unknown-sends", "-c", "0"))[0]
        assert OK == (await check(*here, "--check", "oldest-open", "-c", "3600"))[0]
        await daemon.operator("POST", "/outbox/hold")
        status, line = await check(*here)
        assert (CRITICAL, True) == (status, "outbox moving: held by an operator" in line)
        url = f"http://127.0.0.1:{daemon.api_port}"
        assert UNKNOWN == (await check("--url", url, "--check", "oldest-open", "-c", "9"))[0]


async def test_textfile(tmp_path: Path) -> None:
    """What is written for node_exporter is good Prometheus text, by Prometheus' own judgement."""
    path = tmp_path / "plivostatusd.prom"
    async with running(tmp_path) as (daemon, _):
        status, _ = await check("--socket", str(daemon.api_socket), "--textfile", str(path))
        assert OK == status
    done = subprocess.run(  # noqa: ASYNC221 - the daemon has ended
        ["promtool", "check", "metrics"], input=path.read_bytes(), capture_output=True, check=False
    )
    assert (0, b"", b"") == (done.returncode, done.stdout, done.stderr)


async def test_a_damaged_store(tmp_path: Path) -> None:
    """While the store is damaged the metrics say so, and so does a check, instead of nothing."""
    make(tmp_path / "status.db", 1_000, still_open=0)
    with (tmp_path / "status.db").open("r+b") as file:
        file.seek(100)
        file.write(b"x" * 8_000)
    async with running(tmp_path) as (daemon, _):
        daemon.allow("store_damaged", "spool_entered", "batch_failed", "store_not_inspected")
        await daemon.line("store_damaged")
        here = places(daemon)[0]
        status, line = await check(*here)
        assert (CRITICAL, True) == (status, "store writable: " in line), line
        assert "oldest_open=U" in line
        assert CRITICAL == (await check(*here, "--check", "unknown-sends", "-c", "0"))[0]
        text = (await daemon.api("GET", "/metrics")).text
        assert "plivostatusd_store_writable 0.0" in text.splitlines()
        assert "plivostatusd_messages{" not in text
        assert 503 == (await daemon.operator("POST", "/backup")).status
