"""How the simulator calls back: method, families, tokens, retries, time-outs, TLS."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
from pathlib import Path

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from plivostatusd.simulator import Options
from tests.unit.simulator_receiver import SPEED, Receiver, hearing, number, playing, send


@pytest.mark.gen_test
async def test_get_callbacks_carry_a_query() -> None:
    """With `method` GET the fields come in the query, beside the url's own, and verify."""
    async with playing() as (simulator, receiver):
        await send(simulator, number("0003"), f"{receiver.url}?mine=1", method="GET")
        await simulator.idle()
        assert [(each.method, each.status) for each in receiver.arrived] == [
            ("GET", "queued"),
            ("GET", "failed"),
        ]
        assert [each.fields["mine"] for each in receiver.arrived] == ["1", "1"]
        assert all(each.verifies() for each in receiver.arrived)


@pytest.mark.gen_test
@pytest.mark.parametrize("family", ["v2", "v3"])
async def test_one_family_alone(family: str) -> None:
    """`signatures` leaves the other family away, and `method` overrules the send."""
    options = Options(port=0, speed=SPEED, signatures=family, method="GET")  # type: ignore[arg-type]  # a parameter of the test
    async with playing(options) as (simulator, receiver):
        await send(simulator, number("0003"), receiver.url, method="POST")
        await simulator.idle()
        names = {name for each in receiver.arrived for name in each.headers}
        prefix = f"X-Plivo-Signature-{family.upper()}"
        ma = f"X-Plivo-Signature-Ma-{family.upper()}"
        assert {prefix, ma, f"{prefix}-Nonce"} == names
        assert [each.method for each in receiver.arrived] == ["GET", "GET"]
        assert all(each.verifies() for each in receiver.arrived)


@pytest.mark.gen_test
async def test_main_account_signs_its_own_headers() -> None:
    """With a main token the `Ma-` headers verify by it, and the others do not."""
    options = Options(port=0, speed=SPEED, main_auth_tokens=("main",))
    async with playing(options) as (simulator, receiver):
        await send(simulator, number("0003"), receiver.url)
        await simulator.idle()
        first = receiver.arrived[0]
        assert [
            first.verifies(),
            first.verifies("main", main="Ma-"),
            first.verifies("main"),
            first.verifies(main="Ma-"),
        ] == [True, True, False, False]


@pytest.mark.gen_test
@pytest.mark.parametrize("retry_nonce", ["new", "same"])
async def test_retries_until_acknowledged(retry_nonce: str) -> None:
    """A 503 is tried again, signed anew or repeated to the byte; any 2xx ends it."""
    options = Options(port=0, speed=10_000.0, retry_nonce=retry_nonce)  # type: ignore[arg-type]  # a parameter of the test
    async with playing(options) as (simulator, receiver):
        answers = {"queued": iter([503, 200]), "failed": iter([204])}
        receiver.answer = lambda each: next(answers[each.status])
        message = simulator.take(dst="14155550003", url=receiver.url)
        await simulator.idle()
        tries = {(d.status, d.attempt, d.answer) for d in message.deliveries}
        assert {("queued", 1, 503), ("queued", 2, 200), ("failed", 1, 204)} == tries
        first, second = (d.request for d in message.deliveries if d.status == "queued")
        assert (first == second) is (retry_nonce == "same")
        assert first.body == second.body
        assert all(each.verifies() for each in receiver.arrived)


@pytest.mark.gen_test
async def test_gives_up_after_three_retries() -> None:
    """A callback that is never acknowledged is tried four times in all, after longer waits."""
    async with playing(Options(port=0, speed=4_000.0)) as (simulator, receiver):
        receiver.answer = lambda _: 503
        message = simulator.take(dst="14155550003", url=receiver.url)
        await simulator.idle()
        for status in ("queued", "failed"):
            tries = [each for each in message.deliveries if each.status == status]
            assert [each.attempt for each in tries] == [1, 2, 3, 4]
            ended = [each.ended_us for each in tries]
            gaps_s = [(after - before) / 1e6 for before, after in itertools.pairwise(ended)]
            waits_s = [60 / 4_000, 120 / 4_000, 240 / 4_000]
            assert all(gap > wait for gap, wait in zip(gaps_s, waits_s, strict=True))


@pytest.mark.gen_test
async def test_redirects_are_not_followed() -> None:
    """A redirect is an answer that is not 2xx: it is tried again where it was, nowhere else."""
    async with playing(Options(port=0, speed=10_000.0)) as (simulator, receiver):
        answers = iter([302])
        receiver.answer = lambda _: next(answers, 200)
        message = simulator.take(dst="14155550005", url=receiver.url)
        await simulator.idle()
        assert {302, 200} == {each.answer for each in message.deliveries}
        assert {receiver.url} == {each.url for each in receiver.arrived}


@pytest.mark.gen_test
async def test_silence_times_out() -> None:
    """A receiver that does not answer in time has not acknowledged, and is called again."""
    options = Options(port=0, speed=10_000.0, timeout_s_min=0.05)
    async with playing(options) as (simulator, receiver):
        receiver.gate.clear()
        message = simulator.take(dst="14155550003", url=receiver.url)
        await simulator.idle()
        assert {(None, "timed out")} == {(d.answer, d.trouble) for d in message.deliveries}
        assert len(message.deliveries) == 8
        receiver.gate.set()


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("said", "answer", "trouble"),
    [
        (b"220 mail.example.com ESMTP\r\n", None, "no HTTP answer"),
        (b"220 mail.example.com ESMTP\r\n\r\n", None, "no HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", None, "no HTTP answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * 100_000, None, "no HTTP answer"),
        (b"HTTP/1.0 200 OK\r\n\r\nok, until the end", 200, ""),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, ""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        (b"", None, "no HTTP answer"),
    ],
)
async def test_answers_of_all_sorts(said: bytes, answer: int | None, trouble: str) -> None:
    """An answer counts only when it is HTTP and whole."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"requester_ip=127.0.0.1")
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with playing() as (simulator, _):
        message = simulator.adopt(dst="14155550001", url=f"http://127.0.0.1:{port}/status")
        delivery = await simulator.callback(message.uuid, "sent")
    assert (answer, trouble) == (delivery.answer, delivery.trouble)
    server.close()
    await server.wait_closed()


@pytest.mark.gen_test
async def test_nobody_there_is_noted() -> None:
    """A refused connection is a trouble with a name, and no answer."""
    async with playing() as (simulator, _):
        message = simulator.adopt(dst="14155550001", url="http://127.0.0.1:1/status")
        delivery = await simulator.callback(message.uuid, "sent")
        assert (delivery.answer, delivery.trouble) == (None, "ConnectionRefusedError")
        assert not delivery.is_acknowledged


@pytest.mark.gen_test
async def test_chosen_callbacks() -> None:
    """A test may report what it likes; an older sequence number does not move the message back."""
    async with playing() as (simulator, receiver):
        message = simulator.adopt(dst="14155550001", url=receiver.url)
        await simulator.callbacks(message.uuid, ["queued", "sent", "delivered"])
        await simulator.callback(message.uuid, "sent", sequence=2)
        await simulator.callback(message.uuid, "undelivered", error_code="30", sequence=9)
        assert receiver.statuses == ["queued", "sent", "delivered", "sent", "undelivered"]
        assert [each.fields["Sequence"] for each in receiver.arrived] == ["1", "2", "3", "2", "9"]
        assert (message.state, message.error_code, message.sequence) == ("undelivered", "30", 9)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Make a throw-away certificate for sms.example.com, and its key."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
    subject = ["-subj", "/CN=sms.example.com", "-addext", "subjectAltName=DNS:sms.example.com"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *subject, *files], check=True, capture_output=True)
    return certificate, key


@pytest.mark.gen_test
async def test_calls_through_tls(certificate: tuple[Path, Path]) -> None:
    """An https url is called with `ca_file`'s trust, by its own name, wherever it leads."""
    certfile, keyfile = certificate
    receiver = Receiver(url="https://sms.example.com/plivo/status")
    receiver.gate.set()
    server = HTTPServer(
        hearing(receiver),
        ssl_options={"certfile": str(certfile), "keyfile": str(keyfile)},
    )
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    there = ("127.0.0.1", sockets[0].getsockname()[1])
    for ca_file, wanted in ((certfile, 200), (None, None)):
        options = Options(port=0, speed=SPEED, ca_file=ca_file, connect_to=there)
        async with playing(options) as (simulator, _):
            message = simulator.adopt(dst="14155550001", url=receiver.url)
            assert wanted == (await simulator.callback(message.uuid, "sent")).answer
    assert [each.verifies() for each in receiver.arrived] == [True]
    server.stop()
    await server.close_all_connections()
