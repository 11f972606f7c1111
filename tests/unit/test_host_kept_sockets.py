"""plivostatusd.host.kept_sockets, with real sockets and systemd's store played."""

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from plivostatusd.config import Address
from plivostatusd.host.kept_sockets import NOTE, KeptSockets
from plivostatusd.host.service_manager import Passed, ServiceManager
from plivostatusd.host.sockets import Listener, ListenerTaken
from tests.unit.systemd_place import Systemd, systemd

ANY = Address(host="127.0.0.1", port=0)


@pytest.fixture
def played(tmp_path: Path) -> Iterator[Systemd]:
    """Play systemd."""
    with systemd(tmp_path) as one:
        yield one


def life(
    played: Systemd, wanted: Mapping[str, tuple[Address, ...]], *given: Passed
) -> tuple[KeptSockets, list[Listener]]:
    """Begin a process's life as the daemon does."""
    kept = KeptSockets(played.service(*given), wanted)
    listeners = [
        kept.listen(name, each)
        for name, addresses in wanted.items()
        if not kept.given(name)
        for each in addresses
    ]
    kept.keep()
    played.settle()
    return kept, listeners


def end(listeners: list[Listener]) -> None:
    """End it."""
    for each in listeners:
        each.close()


def test_kept_over_a_restart(played: Systemd, tmp_path: Path) -> None:
    """The next process listens on the same sockets; who connected meanwhile is waiting in them."""
    path = tmp_path / "api.sock"
    wanted = {"callbacks": (ANY,), "api": (Address(path=path),)}
    _, listeners = life(played, wanted)
    where = listeners[0].sockets[0].getsockname()
    inode = path.stat().st_ino
    end(listeners)
    with socket.create_connection(where), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        _, again = life(played, wanted)
        assert where == again[0].sockets[0].getsockname()
        assert inode == path.stat().st_ino
        for listener in again:
            accepted, _ = listener.sockets[0].accept()
            accepted.close()
    end(again)
    assert ["api", "callbacks", NOTE] == sorted(each.name for each in played.kept)


def test_another_address(played: Systemd) -> None:
    """What is no longer configured is closed everywhere, before its port is taken anew."""
    _, (first,) = life(played, {"callbacks": (ANY,)})
    port = first.sockets[0].getsockname()[1]
    end([first])
    everywhere = "0.0.0.0"  # noqa: S104 - what loopback's own address is in the way of
    _, (second,) = life(played, {"callbacks": (Address(host=everywhere, port=port),)})
    assert (everywhere, port) == second.sockets[0].getsockname()
    end([second])
    assert ["callbacks", NOTE] == sorted(each.name for each in played.kept)


def test_one_of_two_stays(played: Systemd) -> None:
    """Of two addresses of one name the one that is still configured is kept open."""
    other = Address(host="127.0.0.2", port=0)
    _, listeners = life(played, {"callbacks": (ANY, other)})
    where = listeners[0].sockets[0].getsockname()
    end(listeners)
    _, again = life(played, {"callbacks": (ANY,)})
    assert [where] == [each.sockets[0].getsockname() for each in again]
    end(again)
    assert ["callbacks", NOTE] == sorted(each.name for each in played.kept)


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_went_away(played: Systemd, tmp_path: Path, *, is_replaced: bool) -> None:
    """A Unix socket that nobody can reach any more is made anew."""
    path = tmp_path / "api.sock"
    wanted = {"api": (Address(path=path),)}
    _, listeners = life(played, wanted)
    end(listeners)
    path.unlink()
    if is_replaced:
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
    _, again = life(played, wanted)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        accepted, _ = again[0].sockets[0].accept()
        accepted.close()
    end(again)
    assert path.is_socket()


def test_a_socket_unit(played: Systemd, tmp_path: Path) -> None:
    """A socket of the admin's is used whatever is configured, and stays the admin's to keep."""
    path = tmp_path / "api.sock"
    wanted = {"callbacks": (ANY,), "api": (Address(path=path),)}
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        for _ in range(2):
            kept, listeners = life(played, wanted, Passed("callbacks", os.dup(theirs.fileno())))
            (used,) = kept.given("callbacks")
            assert theirs.getsockname() == used.getsockname()
            assert [path] == [each.address.path for each in listeners]
            end(listeners)
            used.close()
    assert ["api", NOTE] == sorted(each.name for each in played.kept)


def test_a_socket_unit_comes_later(played: Systemd) -> None:
    """Once a socket unit serves a name, what was bound for it before is closed everywhere."""
    _, (first,) = life(played, {"callbacks": (ANY,)})
    where = first.sockets[0].getsockname()
    end([first])
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        kept, listeners = life(
            played, {"callbacks": (ANY,)}, Passed("callbacks", os.dup(theirs.fileno()))
        )
        assert [] == listeners
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(where)
        kept.given("callbacks")[0].close()


def test_strangers(played: Systemd) -> None:
    """What is no listening stream, or has no name of ours, is closed and told of."""
    with (
        socket.create_server(("127.0.0.1", 0)) as nameless,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.socket() as silent,
    ):
        passed = [
            Passed("unknown", os.dup(nameless.fileno())),
            Passed("callbacks", os.dup(datagrams.fileno())),
            Passed("api", os.dup(silent.fileno())),
            Passed("api", os.open("/dev/null", os.O_RDONLY)),
        ]
        kept = KeptSockets(played.service(*passed), {"callbacks": (), "api": ()})
        assert ["unknown", "callbacks", "api", "api"] == kept.strangers
        for each in passed:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(each.descriptor)


@pytest.mark.parametrize("note", [b"", b"\xff", b'{"a": 1}', b"[1]", b'[["callbacks"]]'])
def test_a_note_that_says_nothing(played: Systemd, note: bytes) -> None:
    """Without a note that can be read, what was kept is taken for a socket unit's, and works."""
    descriptor = os.memfd_create(NOTE)
    os.write(descriptor, note)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        passed = (Passed(NOTE, descriptor), Passed("callbacks", os.dup(sock.fileno())))
        kept = KeptSockets(played.service(*passed), {"callbacks": (ANY,)})
        (used,) = kept.given("callbacks")
        used.close()


def test_without_systemd(tmp_path: Path) -> None:
    """A Unix socket's file goes with its listener where nobody keeps the socket."""
    path = tmp_path / "api.sock"
    wanted = {"api": (Address(path=path),)}
    kept = KeptSockets(ServiceManager({}, pid=os.getpid()), wanted)
    with kept.listen("api", wanted["api"][0]):
        kept.keep()
        assert path.is_socket()
    assert not path.exists()


def test_taken(played: Systemd) -> None:
    """An address that somebody else has is refused by name."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = Address(host="127.0.0.1", port=other.getsockname()[1])
        kept = KeptSockets(played.service(), {"callbacks": (address,)})
        with pytest.raises(ListenerTaken, match="another process listens there"):
            kept.listen("callbacks", address)
