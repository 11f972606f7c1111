"""
Plivo cannot be reached, over real sockets of this machine: nothing was sent, so it is tried again.

A table of what stands in the way up to the end of the TLS handshake, and of how that goes away.
What waits is sent then, once. No packet leaves loopback: names are looked up in a mount namespace
whose resolver is this machine (which takes root), and an address without a route is one that the
kernel itself refuses.
"""

from __future__ import annotations

import errno
import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fault.bad_day import BadDay, bad_day, victim
from tests.fault.bad_plivo import Plivo
from tests.fault.certificates import NAME, Certificates
from tests.unit.test_plivo_server import (
    Greet,
    ScriptedServer,
    garbage,
    mute,
    reset_after_hello,
    tls,
)


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """What keeps a daemon from Plivo, what its log calls that, and how it goes away."""

    url: str
    reason: str
    mend: Callable[[BadDay], None]
    wrapper: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)


Way = Callable[[Path, Plivo, Certificates], AbstractContextManager[Obstacle]]


@contextmanager
def nobody_listens(_folder: Path, _plivo: Plivo, _certificates: Certificates) -> Iterator[Obstacle]:
    """Connections are refused until somebody listens."""
    with reserved_port() as port:
        yield Obstacle(
            url=f"http://127.0.0.1:{port}",
            reason="^ConnectionRefusedError",
            mend=lambda day: day.move_to(Plivo(port=port)),
        )


@contextmanager
def full_backlog(_folder: Path, _plivo: Plivo, _certificates: Certificates) -> Iterator[Obstacle]:
    """Packets are dropped: whoever listens takes nobody, until another one does."""
    with reserved_port() as port, socket.create_server(("127.0.0.1", port), backlog=0) as deaf:
        crowd = [socket.socket() for _ in range(4)]
        for sock in crowd:
            sock.setblocking(False)
            assert sock.connect_ex(deaf.getsockname()) == errno.EINPROGRESS

        def mend(day: BadDay) -> None:
            for sock in (*crowd, deaf):
                sock.close()
            day.move_to(Plivo(port=port))

        url = f"http://127.0.0.1:{port}"
        yield Obstacle(url=url, reason="^TimeoutError|^no whole answer", mend=mend)


def no_route(
    _folder: Path, plivo: Plivo, _certificates: Certificates
) -> AbstractContextManager[Obstacle]:
    """The kernel knows no way to the address, until another one is configured."""

    def mend(day: BadDay) -> None:
        day.daemon.settings["plivo"]["api_url"] = plivo.url()
        day.daemon.write_config()
        day.daemon.signal(signal.SIGHUP)

    reason = "^OSError: Network is unreachable$"
    return nullcontext(Obstacle(url="https://255.255.255.255", reason=reason, mend=mend))


def no_name(
    folder: Path, plivo: Plivo, certificates: Certificates
) -> AbstractContextManager[Obstacle]:
    """The name does not resolve, until it does."""
    plivo.greet_by(tls(certificates.good))
    resolver, hosts = folder / "resolv.conf", folder / "hosts"
    resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    hosts.write_text("127.0.0.1 localhost\n")

    def mend(_: BadDay) -> None:
        hosts.write_text(f"127.0.0.1 localhost {NAME}\n")

    binds = f"mount --bind {resolver} /etc/resolv.conf && mount --bind {hosts} /etc/hosts"
    obstacle = Obstacle(
        url=plivo.url("https", host=NAME),
        reason="^gaierror",
        mend=mend,
        wrapper=("unshare", "--mount", "sh", "-ec", f'{binds}; exec "$@"', "sh"),
        settings={"ca_file": str(certificates.trusted)},
    )
    return nullcontext(obstacle)


def badly_met(greet: Callable[[Certificates], Greet], reason: str) -> Way:
    """Something goes wrong before the TLS handshake has ended, until it does not."""

    def way(
        _folder: Path, plivo: Plivo, certificates: Certificates
    ) -> AbstractContextManager[Obstacle]:
        plivo.greet_by(greet(certificates))
        return nullcontext(
            Obstacle(
                url=plivo.url("https"),
                reason=reason,
                mend=lambda _: plivo.greet_by(tls(certificates.good)),
                settings={"ca_file": str(certificates.trusted)},
            )
        )

    return way


def plain_http(_server: ScriptedServer, sock: socket.socket) -> socket.socket | None:
    """Speak HTTP where TLS is spoken to, as Nginx does."""
    sock.recv(1)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nplain HTTP")
    return None


WAYS: dict[str, Way] = {
    "nobody listens": nobody_listens,
    "a full backlog": full_backlog,
    "no route": no_route,
    "no such name": no_name,
    "self-signed": badly_met(lambda known: tls(known.stranger), "self-signed certificate"),
    "expired": badly_met(lambda known: tls(known.expired), "certificate has expired"),
    "another name": badly_met(lambda known: tls(known.elsewhere), "IP address mismatch"),
    "plain HTTP": badly_met(lambda _: plain_http, "^SSLError"),
    "another protocol": badly_met(lambda _: garbage, "^SSLError"),
    "a silent handshake": badly_met(lambda _: mute, "^TimeoutError|^no whole answer"),
    "a reset handshake": badly_met(lambda _: reset_after_hello, "^ConnectionResetError"),
}


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Make certificates once."""
    return Certificates.make(tmp_path_factory.mktemp("certificates"))


@contextmanager
def reserved_port() -> Iterator[int]:
    """Keep a port that nobody listens on."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@pytest.mark.parametrize("way", WAYS)
async def test_unreachable(way: str, tmp_path: Path, certificates: Certificates) -> None:
    """What never reached Plivo stays pending and is sent, once, when Plivo can be reached."""
    plivo = Plivo()
    with WAYS[way](tmp_path, plivo, certificates) as obstacle:
        how = obstacle.settings
        async with bad_day(
            tmp_path, plivo, url=obstacle.url, wrapper=obstacle.wrapper, plivo=how
        ) as day:
            message_id = await day.begin(victim(0))
            line = await day.daemon.line("send_postponed", message_id=message_id)
            assert re.search(obstacle.reason, line["reason"]), line["reason"]
            assert "pending" == (await day.daemon.message(message_id))["status"]
            assert 0 == day.plivo.posts(victim(0))
            obstacle.mend(day)
            await day.until(message_id, "queued")
            await day.others_go_on()
            assert {"not_sent"} == set(day.outcomes(message_id)[:-1])
            assert 1 == day.plivo.posts(victim(0))


async def test_unreachable_for_too_long(tmp_path: Path) -> None:
    """What could not be sent within retry_for is refused, with what stood in the way."""
    with reserved_port() as port:
        url = f"http://127.0.0.1:{port}"
        async with bad_day(tmp_path, Plivo(), url=url, send={"retry_for": "1s"}) as day:
            message_id = await day.begin(victim(0))
            message = await day.until(message_id, "refused")
            expected = "retry_for passed before Plivo could be reached: ConnectionRefusedError"
            assert message["reason"].startswith(expected)
            day.move_to(Plivo(port=port))
            await day.others_go_on()
            assert 0 == day.plivo.posts(victim(0))
