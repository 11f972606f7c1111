"""plivostatusd.host.sockets, with real sockets on free ports and in real directories."""

import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from plivostatusd.domain.errors import StartRefused
from plivostatusd.host.sockets import (
    ListenerTaken,
    actual_address,
    listen,
    listen_all,
)


@dataclass(frozen=True)
class Address:
    """An address as the configuration has it; here, so that no other floor is needed."""

    host: str | None = None
    port: int | None = None
    path: Path | None = None

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"


ANY_PORT = Address("127.0.0.1", 0)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Have another umask for a while."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def has_ipv6() -> bool:
    """Say whether this machine has an IPv6 loopback."""
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_tcp_accepts() -> None:
    """A TCP listener accepts a connection at the address it names."""
    with listen(ANY_PORT) as listener:
        (sock,) = listener.sockets
        host, port = actual_address(sock).split(":")
        assert "127.0.0.1" == host
        assert not sock.getblocking()
        with socket.create_connection((host, int(port))):
            pass


def test_tcp_taken() -> None:
    """A port that somebody listens on is refused by name, with the command that shows whom."""
    with listen(ANY_PORT) as first:
        port = first.sockets[0].getsockname()[1]
        with pytest.raises(ListenerTaken) as caught:
            listen(Address("127.0.0.1", port))
        assert isinstance(caught.value, StartRefused)
        assert (
            f"cannot listen on 127.0.0.1:{port}: another process listens there. "
            f"Type: ss -lp -t sport = :{port}" == str(caught.value)
        )
        assert "another process listens there" == caught.value.reason


def test_tcp_again_at_once() -> None:
    """A port can be listened on again at once, though a connection of before has just ended."""
    with listen(ANY_PORT) as first:
        where = first.sockets[0].getsockname()
        with socket.create_connection(where) as client:
            served, _ = first.sockets[0].accept()
            served.close()
            assert b"" == client.recv(1)
    with listen(Address(*where)) as second:
        assert where == second.sockets[0].getsockname()


def test_localhost_has_one_port() -> None:
    """All meanings of a name listen on one port, also when any free one was asked for."""
    with listen(Address("localhost", 0)) as listener:
        assert 1 == len({sock.getsockname()[1] for sock in listener.sockets})


@pytest.fixture
def both_families(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `localhost` mean both loopback addresses, which not every machine's hosts file says."""
    ask = socket.getaddrinfo

    def answer(host: str, port: int, **options: int) -> list[object]:
        return [*ask("::1", port, **options), *ask("127.0.0.1", port, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_both_meanings_of_a_name(both_families: None) -> None:
    """A name with an IPv4 and an IPv6 meaning listens on both, on one port."""
    with listen(Address("localhost", 0)) as listener:
        four, six = (actual_address(sock) for sock in listener.sockets)
        assert f"127.0.0.1:{four.rpartition(':')[2]}" == four
        assert f"[::1]:{four.rpartition(':')[2]}" == six


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_half_a_name_is_no_listener(both_families: None) -> None:
    """When only one of a name's meanings is free, the name is refused and none stays open."""
    with socket.socket(socket.AF_INET6) as taken:
        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken.bind(("::1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ListenerTaken):
            listen(Address("localhost", port))
        with socket.socket() as free:
            # An earlier test's connection from this port may still be in TIME_WAIT.
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("192.0.2.1", "this machine has no such address"),
        ("no-such-name.invalid", "the name does not resolve"),
    ],
)
def test_tcp_impossible(host: str, reason: str) -> None:
    """An address that is not this machine's, or no address, is refused with the reason."""
    with pytest.raises(ListenerTaken) as caught:
        listen(Address(host, 0))
    assert f"cannot listen on {host}:0: {reason}" == str(caught.value)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_unix_mode(tmp_path: Path, mask: int) -> None:
    """A Unix socket has mode 0660 whatever the umask is."""
    path = tmp_path / "api.sock"
    with umask(mask), listen(Address(path=path)) as listener:
        assert 0o660 == stat.S_IMODE(path.stat().st_mode)
        assert f"unix:{path}" == actual_address(listener.sockets[0])
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_unix_is_never_wider(tmp_path: Path) -> None:
    """Nobody who watches the directory ever sees the socket open to others."""
    path = tmp_path / "api.sock"
    modes: set[int] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            try:
                modes.add(stat.S_IMODE(path.stat().st_mode))
            except FileNotFoundError:
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    with umask(0):
        for _ in range(200):
            listen(Address(path=path)).close()
    done.set()
    watcher.join()
    assert modes <= {0o660}


def test_unix_stale_is_replaced(tmp_path: Path) -> None:
    """A socket that nobody answers on any more is replaced."""
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    with listen(Address(path=path)), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_unix_taken(tmp_path: Path) -> None:
    """A socket that somebody answers on is left alone, and the address refused."""
    path = tmp_path / "api.sock"
    with listen(Address(path=path)):
        with pytest.raises(ListenerTaken) as caught:
            listen(Address(path=path))
        assert (
            f"cannot listen on unix:{path}: another process listens there. "
            f"Type: ss -lp -x src {path}" == str(caught.value)
        )
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_unix_taken_by_a_busy_one(tmp_path: Path) -> None:
    """A listener whose backlog is full is alive: it is not taken for a dead one."""
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(str(path))
        busy.listen(0)
        client.connect(str(path))
        with pytest.raises(ListenerTaken):
            listen(Address(path=path))
        assert path.is_socket()


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_unix_never_removes_what_is_no_socket(tmp_path: Path, kind: str) -> None:
    """A file, a directory or a link in the socket's place is refused and left as it is."""
    path = tmp_path / "api.sock"
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere")
    before = path.lstat()
    with pytest.raises(ListenerTaken, match="the file is there and is no socket"):
        listen(Address(path=path))
    assert before == path.lstat()


def test_unix_without_a_directory(tmp_path: Path) -> None:
    """A missing directory is named, with the command that shows it."""
    with pytest.raises(ListenerTaken) as caught:
        listen(Address(path=tmp_path / "run" / "api.sock"))
    assert "the directory does not exist" == caught.value.reason
    assert f"Type: ls -ld {tmp_path / 'run'}" in str(caught.value)


def test_unix_file_goes_at_close(tmp_path: Path) -> None:
    """Closing removes the socket's file, and closing twice does nothing."""
    path = tmp_path / "api.sock"
    listener = listen(Address(path=path))
    listener.close()
    assert not path.exists()
    listener.close()


def test_unix_file_of_a_successor_stays(tmp_path: Path) -> None:
    """Closing does not remove a socket that another process has put in our place meanwhile."""
    path = tmp_path / "api.sock"
    with listen(Address(path=path)):
        path.rename(tmp_path / "old.sock")
        with listen(Address(path=path)) as successor:
            pass
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
    assert path.is_socket()
    assert -1 == successor.sockets[0].fileno()


def test_all_or_none(tmp_path: Path) -> None:
    """When the last of several addresses is taken, the first ones are free again."""
    path = tmp_path / "api.sock"
    with listen(ANY_PORT) as taken:
        last = Address("127.0.0.1", taken.sockets[0].getsockname()[1])
        with pytest.raises(ListenerTaken):
            listen_all([Address(path=path), last])
    assert not path.exists()
    opened = listen_all([Address(path=path), last])
    assert [f"unix:{path}", str(last)] == [actual_address(each.sockets[0]) for each in opened]
    for each in opened:
        each.close()
