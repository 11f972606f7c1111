"""Starting, or not: exit statuses, and what is said on the way."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from plivostatusd import __version__
from plivostatusd.store.database import connect_writer
from plivostatusd.store.snapshot import name_of
from plivostatusd.web.transport.choice import VARIABLE
from tests.acceptance.daemon import ROOT, Daemon, running
from tests.wire import ask

UNUSED = "http://127.0.0.1:9"
NOBODY = 65_534
PYTHON = [sys.executable, "-m", "plivostatusd"]
READY_S_MAX = 3.0
OURS = ("uvloop", "httptools")
IDLE_KIB_MAX = 60 * 1024


@pytest.fixture
def daemon(io_loop: IOLoop, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that is not started yet, and whose Plivo nobody calls."""
    daemon = Daemon(tmp_path, UNUSED)
    daemon.write_config()
    yield daemon
    io_loop.run_sync(daemon.close)


async def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Run the command to its end; status, standard output and standard error come back."""
    process = await asyncio.create_subprocess_exec(
        *PYTHON,
        *map(str, arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def refused(daemon: Daemon) -> str:
    """Start it, see it give up with status 69, and give the sentence it says."""
    daemon.write_config()
    status, out, err = await run("-c", daemon.config)
    assert 69 == status, out + err
    assert "Traceback" not in out + err
    assert "start_refused" in out
    return err


async def test_version() -> None:
    """`--version` says which daemon, which Python, which SQLite."""
    status, out, err = await run("--version")
    assert (0, "") == (status, err)
    assert re.fullmatch(rf"plivostatusd {__version__} \(Python \S+, SQLite \S+\)\n", out)


@pytest.mark.parametrize("arguments", [("--nosuch",), ("-c",), ("word",), ("--vers",), ("-x",)])
async def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    """Wrong usage is status 64 and one line."""
    status, out, err = await run(*arguments)
    assert (64, "", 1) == (status, out, err.count("\n"))
    assert err.startswith("plivostatusd: ")


async def test_help() -> None:
    """`--help` names every option and the exit statuses."""
    status, out, _ = await run("--help")
    assert 0 == status
    for word in ("-c FILE", "-t", "--version", "--dev", "69", "78"):
        assert word in out


async def test_good_configuration(daemon: Daemon) -> None:
    """`-t` on a good file is status 0, and starts nothing."""
    status, out, err = await run("-t", "-c", daemon.config)
    assert (0, "") == (status, out)
    assert "good" in err
    assert not daemon.store_path.exists()


@pytest.mark.parametrize("more", [[], ["-t"]])
async def test_bad_configuration(daemon: Daemon, more: list[str]) -> None:
    """A bad file is status 78; each problem is named, with file, section and key."""
    daemon.settings["plivo"]["auth_id"] = "somebody"
    daemon.settings["send"] |= {"wait": "soon", "per_secnd": "5"}
    daemon.settings["callbacks"]["public_url"] = "ftp://sms.example.com"
    daemon.settings["colour"] = {"sky": "blue"}
    daemon.write_config()
    status, out, err = await run("-c", daemon.config, *more)
    assert (78, "") == (status, out)
    named = ("[plivo] auth_id", "[send] wait", "[send] per_secnd", "[callbacks] public_url")
    for words in (*named, "colour", "per_second"):
        assert words in err
    assert 5 == err.count(f"{daemon.config}:")
    assert not daemon.store_path.exists()


@pytest.mark.usefixtures("each_transport")
async def test_what_runs(daemon: Daemon) -> None:
    """The log and a metric say which event loop runs, and what reads HTTP."""
    await daemon.start()
    line = await daemon.line("started")
    text = (await daemon.api("GET", "/metrics")).text
    shown = f'plivostatusd_transport_info{{loop="{line["loop"]}",parser="{line["parser"]}"}} 1.0'
    assert shown in text
    words = {(line["loop"].split()[0], line["parser"].split()[0])}
    assert words == ({("asyncio", "tornado")} if os.environ.get(VARIABLE) else {OURS})
    await daemon.stop()


async def test_no_configuration(tmp_path: Path) -> None:
    """A file that is not there is a configuration problem, and named."""
    status, _, err = await run("-c", tmp_path / "nothing.conf")
    assert 78 == status
    assert "nothing.conf" in err


@pytest.mark.parametrize("listener", ["callbacks", "api"])
async def test_port_taken(daemon: Daemon, listener: str) -> None:
    """A port that somebody else has is status 69 and named; nothing is left open."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        daemon.settings[listener]["listen"] = taken
        sentence = await refused(daemon)
        assert taken in sentence
        assert "another process" in sentence


async def test_socket_taken(daemon: Daemon) -> None:
    """A Unix socket on which somebody answers is left alone: status 69."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(daemon.api_socket))
        other.listen()
        assert str(daemon.api_socket) in await refused(daemon)
        assert daemon.api_socket.exists()


async def test_stale_socket(tmp_path: Path) -> None:
    """A Unix socket that a crash has left is no obstacle."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "api.sock"))
    async with running(tmp_path) as (daemon, _):
        assert 0o660 == daemon.api_socket.stat().st_mode & 0o777
        assert 200 == (await daemon.operator("GET", "/health")).status


async def test_no_folder(daemon: Daemon) -> None:
    """Without the store's folder: status 69, and the command that makes it."""
    daemon.settings["store"]["path"] = str(daemon.folder / "missing" / "status.db")
    assert "install -d" in await refused(daemon)


async def test_store_open_to_all(tmp_path: Path) -> None:
    """A store that every user can read is refused, with the command that closes it."""
    async with running(tmp_path) as (daemon, _):
        await daemon.stop()
        assert 0o600 == daemon.store_path.stat().st_mode & 0o777
        daemon.store_path.chmod(0o644)
        assert f"chmod o-rwx {daemon.store_path}" in await refused(daemon)
        daemon.store_path.chmod(0o600)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_store_of_another_user(tmp_path: Path) -> None:
    """A store that belongs to another user is refused; root is told to be that user."""
    async with running(tmp_path) as (daemon, _):
        await daemon.stop()
        os.chown(daemon.store_path, NOBODY, NOBODY)
        assert "runuser -u nobody" in await refused(daemon)


async def test_newer_store(tmp_path: Path) -> None:
    """A store that a newer program made is refused, and the copy to put back is named."""
    async with running(tmp_path) as (daemon, _):
        await daemon.stop()
        daemon.rows("PRAGMA user_version = 9999")
        sentence = await refused(daemon)
        assert "newer plivostatusd. Install that version again" in sentence
        assert "--restore BACKUP" in sentence
        copy = name_of(daemon.store_path, 9999)
        connect_writer(copy).close()
        assert f"--restore {copy}\n" in await refused(daemon)


async def test_second_daemon(tmp_path: Path) -> None:
    """A second daemon on one store is refused, and told which process has it."""
    async with running(tmp_path) as (daemon, _):
        daemon.write_config()
        sentence = await refused(daemon)
        assert f"process {daemon.pid} holds the store" in sentence
        assert 200 == (await daemon.operator("GET", "/health")).status


def resident_kib(pid: int) -> int:
    """Say how much memory a process holds."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


async def test_quick_and_small(tmp_path: Path) -> None:
    """It is ready in a moment and idles in little memory; bench/ has the exact figures."""
    began_s = time.monotonic()
    async with running(tmp_path) as (daemon, _):
        assert time.monotonic() - began_s < READY_S_MAX
        assert resident_kib(daemon.pid) < IDLE_KIB_MAX


async def test_overrides(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment overrides the file, and its mistakes are named as the environment's."""
    monkeypatch.setenv("PLIVOSTATUSD_SEND_WAIT", "soon")
    status, _, err = await run("-t", "-c", daemon.config)
    assert 78 == status
    assert "PLIVOSTATUSD_SEND_WAIT" in err


async def test_dev_restarts(tmp_path: Path) -> None:
    """With --dev, a change in a source file restarts the daemon over the same store."""
    package = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "plivostatusd", package / "plivostatusd", ignore=ignored)
    daemon = Daemon(tmp_path, UNUSED)
    try:
        await daemon.launch("--dev", package=package)
        await daemon.said("started")
        send = {"to": "+14155552323", "text": "hello"}
        assert 202 == (await ask(daemon.api_socket, "POST", "/send?wait=0", send)).status
        daemon.forget_lines()
        source = package / "plivostatusd" / "web" / "shapes.py"
        source.write_text(source.read_text().replace('"tag": record["tag"]', '"tag": "changed"'))
        restarted = asyncio.ensure_future(daemon.said("started"))
        while not restarted.done():
            # Changed again and again: what is changed before Tornado first looks is no change.
            source.touch()
            await asyncio.wait([restarted], timeout=0.6)
        (message,) = (await daemon.operator("GET", "/messages")).json["messages"]
        assert "changed" == message["tag"]
        await daemon.stop()
    finally:
        await daemon.close()
