"""Which messages a command is about: options that `list`, `tail` and `stats` share. Pure."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _ActionsContainer
from typing import Any

from plivostatusd.ctl.error_code import code
from plivostatusd.ctl.since import moment
from plivostatusd.domain import phone

ABOUT_MESSAGES = ("status", "to", "from", "tag", "error", "carrier", "by")
_CARRIER = re.compile(r"(\d{3})(?:[-/](\d{2,3}))?", re.ASCII)


def add_filters(parser: ArgumentParser) -> None:
    """Declare the options that say which messages are meant."""
    parser.add_argument("--status", metavar="STATUS", help="with this status")
    parser.add_argument("--to", type=number, metavar="NUMBER", help="sent to this number")
    parser.add_argument("--from", type=number, metavar="NUMBER", help="sent from this sender")
    parser.add_argument("--tag", metavar="TAG", help="with this tag")
    parser.add_argument("--error", type=code, metavar="CODE", help="with this error code")
    parser.add_argument(
        "--carrier",
        type=carrier,
        metavar="MCC-MNC",
        help="in this network, or in a country's (MCC alone)",
    )
    parser.add_argument("--by", metavar="NAME", help="sent by this token or user (unix:NAME)")


def add_period(parser: ArgumentParser) -> None:
    """Declare `--since` and `--until`."""
    add_since(parser)
    parser.add_argument("--until", type=moment, metavar="WHEN", help="before")


def add_since(parser: _ActionsContainer) -> None:
    """Declare `--since`."""
    parser.add_argument(
        "--since",
        type=moment,
        metavar="WHEN",
        help="not before: 30m, 2h, 7d (ago), today, yesterday, or RFC 3339",
    )


def number(text: str) -> str:
    """Read a number or another sender as the daemon spells it. For argparse."""
    read = phone.normalise_sender(text)
    if read is None:
        raise ArgumentTypeError(f"{text!r} is no number, such as +14155552323")
    return read


def carrier(text: str) -> str:
    """Read a network: MCC-MNC, or an MCC alone. For argparse."""
    if not _CARRIER.fullmatch(text):
        raise ArgumentTypeError(f"{text!r} is no network, such as 310-150, nor an MCC")
    return text.replace("/", "-")


def query(options: Namespace, *names: str) -> dict[str, str | int]:
    """Give those of the options called *names* that were given, as the API takes them."""
    given = {name: getattr(options, name) for name in names}
    return {name: value for name, value in given.items() if value is not None}


def holds(options: Namespace, happening: dict[str, Any]) -> bool:
    """Say whether an event of the stream is of a message, and of a kind, that *options* mean."""
    event: dict[str, Any] = happening.get("event") or {}
    mcc, _, mnc = (options.carrier or "").partition("-")
    wanted = (
        (options.status, event.get("status")),
        (options.to, happening.get("to")),
        (vars(options)["from"], happening.get("from")),
        (options.tag, happening.get("tag")),
        (options.error, event.get("error_code")),
        (mcc or None, happening.get("mcc")),
        (mnc or None, happening.get("mnc")),
        (options.by, happening.get("sent_by")),
    )
    return all(given in {None, found} for given, found in wanted)
