"""One message that the simulator has taken: the truth that a daemon's record is compared with."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from decimal import Decimal

from . import segments
from .delivery import Delivery
from .pace import api_time
from .story import Story

FINAL = frozenset({"delivered", "undelivered", "failed", "rejected", "read"})

_RATE = Decimal("0.0035")
_NOTHING = Decimal(0)
MCC, MNC = "310", "150"


@dataclass(slots=True, kw_only=True)
class Message:
    """
    A message, what has become of it, and every callback that went out about it.

    Numbers are digits alone, as Plivo writes them. `deliveries` are in the order of their answers;
    `lost` holds the changes whose callbacks nobody will ever make.
    """

    uuid: str
    number: int = 0
    lot: str = ""
    src: str = field(repr=False)
    dst: str = field(repr=False)
    taken_us: int
    random: random.Random = field(repr=False)
    story: Story | None = None
    text: str = field(default="", repr=False)
    kind: str = "sms"
    url: str = field(default="", repr=False)
    method: str = "POST"
    powerpack_uuid: str = ""
    requester_ip: str = ""
    state: str = "queued"
    error_code: str = ""
    sequence: int = 0
    updated_us: int = 0
    times_us: dict[str, int] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list, repr=False)
    lost: set[int] = field(default_factory=set)
    first_called: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def change(
        self, status: str, at_us: int, error_code: str = "", sequence: int | None = None
    ) -> int:
        """Move on to *status*; returns the change's place in the sequence, from 1."""
        self.sequence = sequence or self.sequence + 1
        self.state, self.error_code, self.updated_us = status, error_code, at_us
        self.times_us.setdefault("report" if status in FINAL else status, at_us)
        return self.sequence

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands among others: by its time, then in the order of arrival."""
        return self.taken_us, self.number

    @property
    def units(self) -> int:
        """Parts that Plivo bills."""
        return segments.units(self.text)

    @property
    def rate(self) -> Decimal:
        """Price of a part, in dollars."""
        return _RATE

    @property
    def amount(self) -> Decimal:
        """Price of the message: what never left Plivo costs nothing."""
        return _NOTHING if self.state == "failed" else _RATE * self.units


def record(message: Message, auth_id: str) -> dict[str, object]:
    """Write Plivo's message detail record, as `GET` and the list give it."""
    money = {"total_rate": message.rate, "total_amount": message.amount}
    return {
        "message_uuid": message.uuid,
        "message_state": message.state,
        "message_direction": "outbound",
        "message_type": message.kind,
        "message_time": api_time(message.taken_us),
        "message_sent_time": api_time(message.times_us.get("sent")),
        "message_updated_time": api_time(message.updated_us or message.taken_us),
        "from_number": message.src,
        "to_number": message.dst,
        "units": message.units,
        **{name: f"{value:.5f}" for name, value in money.items()},
        "carrier_fees": "0.00000",
        "carrier_fees_rate": "0.00000",
        "error_code": "000" if message.state == "delivered" else message.error_code or None,
        "error_message": None,
        "mcc": MCC,
        "mnc": MNC,
        "powerpack_id": message.powerpack_uuid or None,
        "requester_ip": message.requester_ip,
        "is_domestic": False,
        "replaced_sender": None,
        "tendlc_campaign_id": None,
        "tendlc_registration_status": None,
        "destination_country_iso2": "US",
        "destination_network": "",
        "log": "true",
        "resource_uri": f"/v1/Account/{auth_id}/Message/{message.uuid}/",
    }
