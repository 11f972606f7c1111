"""
One status callback: Plivo's fields, and the signed request that carries them.

Source: plivo.com/docs/messaging/api/message/message-status-callbacks, and a live body quoted in
nyaruka/courier, handlers/plivo/handler.go; both read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .message import MCC, MNC, Message
from .pace import callback_time
from .signer import Signed


@dataclass(frozen=True, slots=True)
class Callback:
    """What is said, and the request that says it."""

    fields: Mapping[str, str]
    request: Signed

    @property
    def sequence(self) -> int:
        """Which change of its message it reports."""
        return int(self.fields["Sequence"])


def fields_of(message: Message, status: str, sequence: int, error_code: str = "") -> dict[str, str]:
    """Write the fields that report *status*, with the times known by now; blanks for the rest."""
    return {
        "MessageUUID": message.uuid,
        "ParentMessageUUID": message.uuid,
        "PartInfo": "1 of 1",
        "From": message.src,
        "To": message.dst,
        "Type": message.kind,
        "Status": status,
        "Units": str(message.units),
        "TotalRate": f"{message.rate:.4f}",
        "TotalAmount": f"{message.amount:.4f}",
        "MCC": MCC,
        "MNC": MNC,
        "ErrorCode": error_code,
        "Sequence": str(sequence),
        "MessageTime": callback_time(message.taken_us),
        "QueuedTime": callback_time(message.times_us.get("queued")),
        "SentTime": callback_time(message.times_us.get("sent")),
        "DeliveryReportTime": callback_time(message.times_us.get("report")),
        "PowerpackUUID": message.powerpack_uuid,
        "requester_ip": message.requester_ip,
    }
