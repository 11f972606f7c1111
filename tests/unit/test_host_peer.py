"""plivostatusd.host.peer, over real sockets."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from plivostatusd.host.peer import Peer, peer_of

CONNECT = """
import socket, sys
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(sys.argv[1])
    sys.stdin.read()
"""


def test_ourselves() -> None:
    """A pair of sockets within one process names this process, user and group."""
    here, there = socket.socketpair()
    with here, there:
        assert Peer(os.getpid(), os.geteuid(), os.getegid()) == peer_of(here)


def test_another_process(tmp_path: Path) -> None:
    """The pid is that of the process that connected, not of the one that listens."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        command = [sys.executable, "-c", CONNECT, path]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as client:
            connection, _ = listener.accept()
            with connection:
                assert Peer(client.pid, os.geteuid(), os.getegid()) == peer_of(connection)
            client.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can connect as somebody else")
def test_another_user(tmp_path: Path) -> None:
    """The user and group are the connecting process's own."""
    tmp_path.chmod(0o755)
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen()
        left, right = os.getuid(), 65534
        with socket.socket(socket.AF_UNIX) as client:
            # The kernel takes the effective ids at connect(); the parents of tmp_path are root's
            # alone, so it is reached as root by a relative name.
            here = os.open(tmp_path, os.O_PATH)
            before = Path.cwd()
            os.fchdir(here)
            os.setegid(right)
            os.seteuid(right)
            try:
                client.connect("s")
            finally:
                os.seteuid(left)
                os.setegid(os.getgid())
                os.chdir(before)
                os.close(here)
            connection, _ = listener.accept()
            with connection:
                assert Peer(os.getpid(), right, right) == peer_of(connection)


def test_tcp_has_no_peer() -> None:
    """A TCP connection is refused rather than answered with nobody's ids."""
    with socket.socket() as sock, pytest.raises(ValueError, match="Unix"):
        peer_of(sock)


def test_closed() -> None:
    """A connection that is closed is an OSError, not a made-up peer."""
    here, there = socket.socketpair()
    here.close()
    there.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        peer_of(here)
