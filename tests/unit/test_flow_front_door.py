"""The probe of the front door: what it proves, what it says, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from plivostatusd.domain.signature import Signed
from plivostatusd.flows import front_door
from plivostatusd.flows.front_door import Probed
from tests.logbook import Logbook
from tests.unit.listeners import Listeners, callback, front_door_terms, listening, until

COUNTED = ("plivostatusd_callbacks_total", "plivostatusd_callbacks_refused_total")

Rewrite = Callable[[bytes], bytes]


@asynccontextmanager
async def house(folder: Path, prefix: str = "") -> AsyncIterator[Listeners]:
    """Open both listeners, with the public one as public_url."""
    async with listening(folder) as listeners:
        point(listeners, listeners.public_port, prefix)
        yield listeners


def point(listeners: Listeners, port: int, prefix: str = "") -> None:
    """Make *port* of this machine the public URL."""
    url = f"http://127.0.0.1:{port}{prefix}"
    listeners.ingest.verifier._urls = (url,)
    listeners.front_door.terms = front_door_terms(listeners.ingest.verifier, url)


@asynccontextmanager
async def proxy(listeners: Listeners, rewrite: Rewrite, prefix: str = "") -> AsyncIterator[None]:
    """Put a proxy before the public listener that rewrites what it passes on."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(re.findall(rb"Content-Length: (\d+)", head)[0])
        request = rewrite(head + await reader.readexactly(size))
        if request.startswith(b"HTTP/"):
            writer.write(request)
        elif request:
            back, forth = await asyncio.open_connection("127.0.0.1", listeners.public_port)
            forth.write(request)
            writer.write(await back.read())
            forth.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        point(listeners, server.sockets[0].getsockname()[1], prefix)
        yield


def exported(listeners: Listeners) -> list[str]:
    """Give the probe's series."""
    text = listeners.metrics.text().decode()
    return [line for line in text.splitlines() if line.startswith("plivostatusd_probe")]


async def test_the_certificate(tmp_path: Path) -> None:
    """When the certificate expires is a metric once one was seen, and no series before."""
    name = "plivostatusd_certificate_expiry_timestamp_seconds"
    async with house(tmp_path) as listeners:
        await listeners.front_door.probe()
        assert name not in listeners.metrics.text().decode()
        listeners.metrics.certificate_seen(1_800_000_000.0)
        assert f"{name} 1.8e+09" in listeners.metrics.text().decode().splitlines()


async def test_through(tmp_path: Path, logbook: Logbook) -> None:
    """A probe that comes back in is a success, and neither a message, an event nor a refusal."""
    async with house(tmp_path) as listeners:
        assert [] == exported(listeners)
        probed = await listeners.front_door.probe()
        assert ("through", True) == (probed.stage, probed.is_through)
        assert ["plivostatusd_probe_successful 1.0"] == exported(listeners)
        text = listeners.metrics.text().decode()
        assert not any(
            float(line.split()[-1]) for line in text.splitlines() if line.startswith(COUNTED)
        )
        for table in ("messages", "events", "nonces", "refused", "token_uses"):
            assert [] == listeners.rows(f"SELECT * FROM {table}")  # noqa: S608 - ours
    assert ["through"] == [line["stage"] for line in logbook.events("front_door_probed")]


MANGLED: dict[str, tuple[Rewrite, str, str, str]] = {
    "a prefix kept": (
        lambda raw: raw,
        "/sms",
        "path",
        "location /sms/plivo/ { proxy_pass http://127.0.0.1:8787/plivo/; }",
    ),
    "/plivo stripped": (
        lambda raw: raw.replace(b"POST /plivo/", b"POST /", 1),
        "",
        "path",
        "location /plivo/ { proxy_pass http://127.0.0.1:8787; }",
    ),
    "the path lost": (
        lambda raw: re.sub(rb"POST \S+", b"POST /plivo/status", raw, count=1),
        "",
        "path",
        "location /plivo/ { proxy_pass http://127.0.0.1:8787; }",
    ),
    "every nonce lost": (
        lambda raw: re.sub(rb"X-Plivo-Signature-V.-Nonce: \S+\r\n", b"", raw),
        "",
        "signature",
        "remove what clears X-Plivo-Signature-V2-Nonce and -V3-Nonce in Nginx",
    ),
    "one nonce lost": (
        lambda raw: re.sub(rb"X-Plivo-Signature-V3-Nonce: \S+\r\n", b"", raw),
        "",
        "signature",
        "look at proxy_set_header, proxy_set_body and rewrite in Nginx's site",
    ),
    "another body": (
        lambda raw: raw.replace(b"Status=probe", b"Status=rbope"),
        "",
        "signature",
        "look at proxy_set_header, proxy_set_body and rewrite in Nginx's site",
    ),
}


@pytest.mark.parametrize("name", MANGLED)
async def test_mangled_on_the_way(tmp_path: Path, name: str, logbook: Logbook) -> None:
    """A probe that comes in changed is known all the same, and what changed it is named."""
    rewrite, prefix, stage, fix = MANGLED[name]
    logbook.expect("front_door_closed")
    async with house(tmp_path) as listeners, proxy(listeners, rewrite, prefix):
        probed = await listeners.front_door.probe()
        assert stage == probed.stage
        assert fix in probed.fix
        assert ["plivostatusd_probe_successful 0.0"] == exported(listeners)
        assert [] == listeners.rows("SELECT * FROM refused")
        assert [] == listeners.rows("SELECT * FROM events")


OTHERS = {
    "502": (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "Nginx answers 502: it cannot reach this daemon"),
    "301": (
        b"HTTP/1.1 301 Moved\r\nLocation: https://www.example.com/x\r\n\r\n",
        "redirects (301) to www.example.com",
    ),
    "404": (b"HTTP/1.1 404 Not Found\r\n\r\n", "answers 404, and the probe did not come in here"),
    "200": (b"HTTP/1.1 200 OK\r\n\r\n", "answers 200, and the probe did not come in here"),
    "no HTTP": (b"HTTP/9 hello\r\n\r\n", "gives no answer: the answer is not HTTP"),
    "nothing": (b"", "gives no answer: the connection ended without an answer"),
}


@pytest.mark.parametrize("name", OTHERS)
async def test_somebody_else_answers(tmp_path: Path, name: str, logbook: Logbook) -> None:
    """A probe that never came in is a failure, whatever was answered."""
    answer, said = OTHERS[name]
    logbook.expect("front_door_closed")
    async with house(tmp_path) as listeners, proxy(listeners, lambda _: answer):
        probed = await listeners.front_door.probe()
        assert ("answer", False) == (probed.stage, probed.is_unreachable)
        assert said in probed.found


async def test_no_way_out(tmp_path: Path) -> None:
    """Where this host cannot reach its public address, that is no alarm: Plivo may."""
    async with house(tmp_path) as listeners:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            point(listeners, nobody.getsockname()[1])
            probed = await listeners.front_door.probe()
        assert ("connect", True) == (probed.stage, probed.is_unreachable)
        terms = listeners.front_door.terms
        listeners.front_door.terms = replace(terms, public_url="https://host.invalid")
        probed = await listeners.front_door.probe()
        assert ("resolve", True) == (probed.stage, probed.is_unreachable)


async def test_no_answer_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logbook: Logbook
) -> None:
    """A door that takes the probe and says nothing ends it in time."""
    monkeypatch.setattr(front_door, "WITHIN_S", 0.05)
    logbook.expect("front_door_closed")
    async with house(tmp_path) as listeners:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            point(listeners, silent.getsockname()[1])
            probed = await listeners.front_door.probe()
    assert "no answer in time" in probed.found


async def test_nobody_passes_for_a_probe(tmp_path: Path) -> None:
    """While none is out nothing is taken for one, and a callback beside one is a callback."""
    seen: list[bool] = []
    async with house(tmp_path) as listeners:
        door, made = listeners.front_door, callback(listeners)
        headers = {name.lower(): value for name, value in made.headers.items()}
        genuine = Signed(made.method, made.target, None, headers, made.body)

        def look(raw: bytes) -> bytes:
            seen.extend([door.is_out, door.recognise(genuine)])
            return raw

        assert not door.is_out
        async with proxy(listeners, look):
            assert (await door.probe()).is_through
        assert [True, False] == seen
        assert not door.is_out
        assert not door.recognise(genuine)


async def test_what_failed_is_said_once(tmp_path: Path, logbook: Logbook) -> None:
    """The same failure, hour by hour, is one warning."""
    logbook.expect("front_door_closed")
    async with house(tmp_path) as listeners:
        async with proxy(listeners, lambda _: b""):
            for _ in range(3):
                await listeners.front_door.probe()
        assert 1 == len(logbook.events("front_door_closed"))
        assert 2 == len(logbook.events("front_door_probed"))


async def test_another_url(tmp_path: Path, logbook: Logbook) -> None:
    """A public_url that moves at a reload is probed at once; other changes wait for the hour."""
    async with house(tmp_path) as listeners:
        door = listeners.front_door
        terms, nowhere = door.terms, "http://127.0.0.1:9"
        running = asyncio.ensure_future(door.run())
        door.change(replace(terms, upstream="unix:/x"))
        await asyncio.sleep(0)
        door.change(replace(terms, public_url=nowhere))
        await until(lambda: logbook.events("front_door_probed"))
        running.cancel()
        (line,) = logbook.events("front_door_probed")
    assert nowhere in line["found"]


@pytest.mark.expect_log("front_door_failed")
async def test_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes go out by themselves, one after the other, and one that breaks ends nothing."""
    ended = asyncio.Event()
    probes: list[Probed | Exception] = [ValueError("x"), Probed("through", "")]

    async def probe() -> Probed:
        if not probes:
            ended.set()
            await asyncio.sleep(60)
        following = probes.pop(0)
        if isinstance(following, Exception):
            raise following
        return following

    async with house(tmp_path) as listeners:
        monkeypatch.setattr(front_door, "FIRST_S", 0.0)
        monkeypatch.setattr(front_door, "EVERY_S", 0.0)
        monkeypatch.setattr(listeners.front_door, "probe", probe)
        running = asyncio.ensure_future(listeners.front_door.run())
        await ended.wait()
        running.cancel()
