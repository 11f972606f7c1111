"""
Listening sockets, from the addresses of the configuration.

Owns how a socket is made and what becomes of a Unix socket's file: made with mode 0660 and never
wider, put in the place of one that nobody answers on, removed at the end. HTTP is the web floor's
business; it is handed the sockets.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from plivostatusd.domain.errors import StartRefused

BACKLOG = 1024
"""Connections that wait while the loop is busy; the kernel caps it at net.core.somaxconn."""

UNIX_MODE = 0o660

_REASONS = {
    errno.EADDRINUSE: "another process listens there",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "this user may not",
    errno.ENOENT: "the directory does not exist",
}


class ListenAddress(Protocol):
    """What is asked of an address: a TCP *host* and *port*, or a Unix *path*."""

    @property
    def host(self) -> str | None:
        """The IP address or name to listen on."""

    @property
    def port(self) -> int | None:
        """The port; 0 for any that is free."""

    @property
    def path(self) -> Path | None:
        """The socket's file; then host and port mean nothing."""


class ListenerTaken(StartRefused):
    """The daemon cannot listen on *address*, for the *reason* given."""

    def __init__(self, address: ListenAddress, reason: str, *, command: str = "") -> None:
        super().__init__(f"cannot listen on {address}: {reason}", command=command)
        self.address = address
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Listener:
    """
    The sockets of one address: several where a name means several, as localhost often does.

    *_inode* is of the file that goes with it; None for a file that stays.
    """

    address: ListenAddress
    sockets: tuple[socket.socket, ...]
    _inode: tuple[int, int] | None = None

    def close(self) -> None:
        """Stop listening, and remove a Unix socket's file while it is still the one made here."""
        for sock in self.sockets:
            sock.close()
        if self.address.path is None or self._inode is None:
            return
        if _inode(self.address.path) == self._inode:
            with suppress(OSError):
                self.address.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def listen_all(addresses: Iterable[ListenAddress]) -> list[Listener]:
    """
    Listen on every address, or on none.

    Raises:
        ListenerTaken: one of them cannot be had; those opened before are closed again.
    """
    with ExitStack() as opened:
        listeners = [opened.enter_context(listen(address)) for address in addresses]
        opened.pop_all()
    return listeners


def listen(address: ListenAddress) -> Listener:
    """
    Listen on *address*, with sockets that do not block.

    Raises:
        ListenerTaken: it cannot be had.
    """
    try:
        if address.path is not None:
            return _listen_unix(address, address.path)
        return _listen_tcp(address)
    except socket.gaierror as exc:
        raise ListenerTaken(address, "the name does not resolve") from exc
    except OSError as exc:
        reason = _REASONS.get(exc.errno or 0) or exc.strerror or "it cannot be had"
        raise ListenerTaken(address, reason, command=_command(address, exc)) from exc


def actual_address(sock: socket.socket) -> str:
    """Return where *sock* listens, as the configuration would write it, its real port included."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_of_this_machine(sock: socket.socket) -> bool:
    """Say whether no other machine reaches *sock*: it is a Unix socket, or listens on loopback."""
    if sock.family == socket.AF_UNIX:
        return True
    return ipaddress.ip_address(sock.getsockname()[0]).is_loopback


def _listen_tcp(address: ListenAddress) -> Listener:
    """
    Bind every meaning of the name, as tornado.netutil.bind_sockets does.

    That one leaves what it has opened to the garbage collector when a later one is taken, and has
    no word on which of them failed.
    """
    # IPv4 first, so that its port is the one that `port 0` settles on for both.
    meanings = sorted(
        set(socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)),
        key=lambda meaning: meaning[0],
    )
    port = address.port or 0
    with ExitStack() as opened:
        sockets: list[socket.socket] = []
        for family, _, _, _, where in meanings:
            try:
                sock = _bind_tcp(family, str(where[0]), port, where[2:])
            except OSError as exc:
                # A name's IPv6 meaning on a machine without IPv6 is no reason to give up IPv4.
                if exc.errno in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL} and sockets:
                    continue
                raise
            sockets.append(opened.enter_context(sock))
            port = sock.getsockname()[1]
        opened.pop_all()
    return Listener(address, tuple(sockets))


def _bind_tcp(
    family: socket.AddressFamily, host: str, port: int, rest: tuple[object, ...]
) -> socket.socket:
    with ExitStack() as opened:
        sock = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
        sock.setblocking(False)
        # A restart must not wait for the old connections' TIME_WAIT.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Else `::` would take IPv4 along and 0.0.0.0 could not be had beside it.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port, *rest))
        sock.listen(BACKLOG)
        opened.pop_all()
    return sock


def _listen_unix(address: ListenAddress, path: Path) -> Listener:
    _remove_stale(address, path)
    with ExitStack() as opened:
        sock = opened.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        sock.setblocking(False)
        # Linux makes the file with the mode of the unbound socket less the umask, so it is at no
        # moment open to more than it should be; the chmod gives back what the umask took.
        os.fchmod(sock.fileno(), UNIX_MODE)
        sock.bind(str(path))
        inode = _inode(path)
        opened.callback(path.unlink, missing_ok=True)
        path.chmod(UNIX_MODE)
        sock.listen(BACKLOG)
        opened.pop_all()
    return Listener(address, (sock,), inode)


def _remove_stale(address: ListenAddress, path: Path) -> None:
    """Make room for a socket: remove one that nobody answers on, and nothing else."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise ListenerTaken(address, "the file is there and is no socket", command=f"ls -l {path}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # Without waiting: a process that lives but is stuck has a full backlog, and is alive.
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _command(address: ListenAddress, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        what = f"-x src {address.path}" if address.path else f"-t sport = :{address.port}"
        return f"ss -lp {what}"
    if error.errno in {errno.EACCES, errno.ENOENT} and address.path:
        return f"ls -ld {address.path.parent}"
    return ""
