"""plivostatusd.host.service_manager, over real sockets and a real exec."""

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from plivostatusd.host.service_manager import ServiceManager
from tests.unit.systemd_place import systemd

ME = os.getpid()
CHILD = """
import json, os, socket
from plivostatusd.host.service_manager import ServiceManager
manager = ServiceManager(os.environ, pid=os.getpid())
taken = manager.take()
print(json.dumps([
    [name, os.get_inheritable(number), socket.socket(fileno=number).getsockname()]
    for name, number in taken
]))
print(json.dumps([manager.take(), [name for name in os.environ if name.startswith("LISTEN")]]))
"""
EXEC = """
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid() + int(sys.argv[1]))
os.dup2(int(sys.argv[2]), 3)
os.execv(sys.executable, [sys.executable, "-c", sys.argv[3]])
"""


def handed(sock: socket.socket, *, pid_off: int = 0) -> list[object]:
    """Start a process as systemd does, with *sock* as its descriptor 3, and read what it finds."""
    environ = {**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "callbacks"}
    number = sock.fileno()
    command = [sys.executable, "-c", EXEC, str(pid_off), str(number), CHILD]
    done = subprocess.run(
        command, env=environ, pass_fds=[number], check=True, capture_output=True, text=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_is_said(tmp_path: Path) -> None:
    """Each word arrives as sd_notify(3) spells it, a status as one line."""
    with systemd(tmp_path) as played:
        manager = ServiceManager({"NOTIFY_SOCKET": played.address}, pid=ME)
        assert manager.is_there
        manager.ready()
        manager.alive()
        manager.status("two\n lines")
        manager.stopping()
        played.settle()
        assert ["READY=1", "WATCHDOG=1", "STATUS=two lines", "STOPPING=1"] == played.said[:-1]


def test_nobody_listens(tmp_path: Path) -> None:
    """Without systemd, or with one that has gone, words go nowhere and harm nobody."""
    for environ in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}):
        manager = ServiceManager(environ, pid=ME)
        assert manager.is_there is bool(environ)
        manager.ready()
        manager.drop("callbacks")
        assert [] == manager.take()


def test_a_busy_manager(tmp_path: Path) -> None:
    """Signs of life wait for nobody: one that finds no room is left out, and the next one comes."""
    where = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as busy:
        busy.bind(where)
        manager = ServiceManager({"NOTIFY_SOCKET": where}, pid=ME)
        for _ in range(2_000):
            manager.alive()
        busy.setblocking(False)
        assert b"WATCHDOG=1" == busy.recv(100)
        manager.status("surrogate \udcff")
        heard = set()
        with suppress(BlockingIOError):
            while True:
                heard.add(busy.recv(100))
        assert {b"WATCHDOG=1", b"STATUS=surrogate ?"} == heard


def test_abstract_address() -> None:
    """An address that begins with @ is one of the abstract name space."""
    name = f"plivostatusd-{ME}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0{name}")
        heard.settimeout(10)
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}, pid=ME).ready()
        assert b"READY=1" == heard.recv(100)


@pytest.mark.parametrize(
    ("environ", "limit_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "ours"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
    ids=str,
)
def test_watchdog(environ: dict[str, str], limit_s: float | None) -> None:
    """How long it waits for a sign of life is what it says, if it says so to this process."""
    told = {name: str(ME) if value == "ours" else value for name, value in environ.items()}
    assert limit_s == ServiceManager(told, pid=ME).watchdog_s


def test_what_is_handed_over() -> None:
    """A descriptor comes with its name, once, for no child to inherit or to be told of."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        found, again = handed(sock)
        assert [["callbacks", False, list(sock.getsockname())]] == found
        assert [[], []] == again


def test_handed_to_another() -> None:
    """What was meant for another process is not taken."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        found, again = handed(sock, pid_off=1)
        assert ([], [[], []]) == (found, again)
