"""Rows of the store as the local API's JSON. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plivostatusd.domain import error_codes, statuses, times

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plivostatusd.store.reader import Record


def instant(value_us: int | None) -> str | None:
    """Spell an instant, or the lack of one."""
    return None if value_us is None else times.rfc3339(value_us)


def message(
    record: Record, events: Iterable[Record] | None = None, *, pending_reason: str | None = None
) -> dict[str, Any]:
    """Shape one message; *pending_reason* says why a pending one is not on its way."""
    is_pending = record["current_status"] == "pending"
    shaped = {
        "id": record["id"],
        "message_uuid": record["message_uuid"],
        "from": record["sender_number"],
        "to": record["recipient_number"],
        "text": record["message_body"],
        "tag": record["tag"],
        "status": record["current_status"],
        "initial_status": record["initial_status"],
        "final": bool(record["final"]),
        "status_timestamp": instant(record["status_timestamp"]),
        "error_code": record["error_code"],
        "error": error_codes.meaning(record["error_code"]),
        "reason": record["reason"] or (pending_reason if is_pending else None),
        "conflict": bool(record["conflict"]),
        "duplicate_at_plivo": bool(record["duplicate_at_plivo"]),
        "final_by": record["final_by"],
        "units": record["units"],
        "amount": record["amount"],
        "mcc": record["mcc"],
        "mnc": record["mnc"],
        "delivery_seconds": _seconds(record["delivery_ms"]),
        "sent_by": record["sent_by"],
        "resend_of": record["resend_of"],
        "created_at": instant(record["created_at"]),
        "updated_at": instant(record["updated_at"]),
    }
    if events is not None:
        # Of a plain row what was kept when the send was settled; else what the outbox knows, too.
        shaped["attempts"] = record.get("attempts", record["calls"])
        shaped["called_at"] = instant(record.get("last_call_at", record["called_at"]))
        shaped["error_explained"] = _explained(record["error_code"], record["current_status"])
        shaped["events"] = [event(row) for row in events]
    return shaped


def _seconds(value_ms: int | None) -> float | None:
    return None if value_ms is None else value_ms / 1_000


def _explained(code: str | None, status: str) -> dict[str, Any] | None:
    return None if code is None else error_codes.explained(code, status)


def event(record: Record) -> dict[str, Any]:
    """Shape one event of a message."""
    shaped = {
        "status": record["status"],
        "sequence": record["sequence"],
        "at": instant(record["at"]),
        "received_at": instant(record["received_at"]),
        "trust": record["trust"],
        "source": record["source"],
        "error_code": statuses.known_error(record["error_code"]),
    }
    if shaped["error_code"] is not None:
        shaped["error"] = error_codes.meaning(shaped["error_code"])
    for name in ("reason", "aside"):
        if record[name] is not None:
            shaped[name] = record[name]
    if record["verified_by"] is not None:
        shaped["by" if record["source"] == "operator" else "verified_by"] = record["verified_by"]
    return shaped


def happening(record: Record, generation: str) -> dict[str, Any]:
    """Shape one event as the stream of all events has it, with the names of its message."""
    return {
        "cursor": f"{generation}-{record['cursor']}",
        "message_id": record["message_id"],
        "message_uuid": record["message_uuid"],
        "tag": record["tag"],
        "to": record["recipient_number"],
        "from": record["sender_number"],
        "sent_by": record["sent_by"],
        "mcc": record["mcc"],
        "mnc": record["mnc"],
        "event": event(record),
        "status": record["status_after"],
    }
