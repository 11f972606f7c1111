"""``plivostatusctl simulate``: one simulator in the foreground, told about a line an event."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .fate import LATE_S_MAX
from .manual import epilog
from .options import AUTH_ID, AUTH_TOKEN, PORT_MAX, Options
from .simulator import Simulator

_DEFAULT_LISTEN = "127.0.0.1:8799"


class _Parser(argparse.ArgumentParser):
    """Ends with sysexits' code for wrong usage, where argparse would say 2."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{self.prog}: {message}\n")


def main(argv: Sequence[str]) -> int:
    """
    Serve until SIGTERM or SIGINT.

    Returns:
        0 when stopped, 64 for wrong usage, 69 when the address cannot be listened on.
    """
    made = parser()
    try:
        options = _options(made, made.parse_args(argv))
    except SystemExit as exc:
        return int(exc.code or 0)
    return asyncio.run(_serve(options))


def parser() -> argparse.ArgumentParser:
    """Make the command line's parser."""
    made = _Parser(
        prog="plivostatusctl simulate",
        description="Play Plivo on loopback: its Message API, and signed status callbacks.",
        epilog=epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add(
        "--listen",
        default=_DEFAULT_LISTEN,
        type=_address,
        metavar="HOST:PORT",
        help="loopback address of the API (default %(default)s; port 0 chooses one)",
    )
    add("--auth-id", default=AUTH_ID, metavar="ID", help="account (default %(default)s)")
    token = made.add_mutually_exclusive_group()
    token.add_argument(
        "--auth-token", metavar="TOKEN", help=f"its token, for development (default {AUTH_TOKEN})"
    )
    token.add_argument(
        "--auth-token-file",
        type=_tokens,
        metavar="FILE",
        help="its tokens, one a line: each opens the API and signs",
    )
    add(
        "--main-auth-token-file",
        type=_tokens,
        default=(),
        metavar="FILE",
        help="the main account's tokens: they sign the Ma- headers (default: the same)",
    )
    _add_manners(made)
    _add_troubles(made)
    return made


def _add_manners(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--speed",
        default=1.0,
        type=float,
        metavar="FACTOR",
        help="divide every wait by this (default 1; 10 is ten times faster)",
    )
    add("--seed", type=int, metavar="N", help="repeat identifiers, nonces, shuffles and lots")
    add(
        "--signatures",
        choices=("both", "v2", "v3"),
        default="both",
        help="families to sign with (default %(default)s)",
    )
    add("--method", choices=("POST", "GET"), help="call back so (default: as the send asks)")
    add(
        "--retry-nonce",
        choices=("new", "same"),
        default="new",
        help="sign a retry anew, or repeat the call exactly (default %(default)s)",
    )
    add(
        "--retry-after",
        default=1,
        type=_retry_after,
        metavar="SECONDS",
        help="header of a 429 (default %(default)s; `none` leaves it away)",
    )
    add("--ca-file", type=Path, metavar="FILE", help="authorities to trust for https callbacks")
    add(
        "--connect-to",
        type=_address,
        metavar="HOST:PORT",
        help="call back there, whatever host the callback's url names",
    )


def _add_troubles(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    share: dict[str, Any] = {"default": 0.0, "type": float, "metavar": "SHARE"}
    add("--lose", **share, help="share of callbacks that are never made, 0 to 1 (default 0)")
    add("--double", **share, help="share that is made twice, at the same time")
    add("--delay", **share, help=f"share that is up to {LATE_S_MAX:g} s late, and so out of order")
    add("--limits", action="store_true", help="answer 429 past Plivo's limits on API calls")
    add(
        "--paging",
        choices=("offset", "cursor"),
        default="offset",
        help="how the list goes on after a page (default %(default)s)",
    )


def _options(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Options:
    host, port = given.listen
    try:
        return Options(
            host="127.0.0.1" if host == "localhost" else host,
            port=port,
            auth_id=given.auth_id,
            auth_tokens=given.auth_token_file or (given.auth_token or AUTH_TOKEN,),
            main_auth_tokens=given.main_auth_token_file,
            speed=given.speed,
            seed=given.seed,
            ca_file=given.ca_file,
            signatures=given.signatures,
            method=given.method,
            retry_after_s=given.retry_after,
            retry_nonce=given.retry_nonce,
            connect_to=given.connect_to,
            lose=given.lose,
            double=given.double,
            delay=given.delay,
            limits=given.limits,
            paging=given.paging,
        )
    except ValueError as exc:
        parser.error(str(exc))


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) <= PORT_MAX):
        message = f"{text!r}: want HOST:PORT"
        raise argparse.ArgumentTypeError(message)
    return host.removeprefix("[").removesuffix("]"), int(port)


def _tokens(path: str) -> tuple[str, ...]:
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeError) as exc:
        message = f"{path}: {getattr(exc, 'strerror', None) or 'not UTF-8'}"
        raise argparse.ArgumentTypeError(message) from exc
    tokens = tuple(line.strip() for line in lines if line.strip())
    if not tokens:
        message = f"{path}: no token in it"
        raise argparse.ArgumentTypeError(message)
    return tokens


def _retry_after(text: str) -> int | None:
    if text == "none":
        return None
    if not (text.isascii() and text.isdigit()):
        message = f"{text!r}: want whole seconds, or none"
        raise argparse.ArgumentTypeError(message)
    return int(text)


async def _serve(options: Options) -> int:
    simulator = Simulator(options, say=_say)
    try:
        url = await simulator.start()
    except OSError as exc:
        where = f"{options.host}:{options.port}"
        print(f"plivostatusctl simulate: {where}: {os.strerror(exc.errno or 0)}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    # Before the line that a script waits for, so that a signal right behind it is heard.
    told = _told_to_stop()
    _say(f"simulator listening on {url}")
    _say(f"seed {simulator.seed}")
    await told.wait()
    await simulator.stop()
    return os.EX_OK


def _told_to_stop() -> asyncio.Event:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    return told


def _say(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:
        # Nobody reads any more; the stories go on. Python would complain again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
