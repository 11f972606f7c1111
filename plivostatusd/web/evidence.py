"""`GET /messages/{id}/evidence`: everything known of one message, to be handed on."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

from plivostatusd import __version__
from plivostatusd.domain.times import rfc3339
from plivostatusd.plivo import outcome
from plivostatusd.web import shapes
from plivostatusd.web.handler import Handler, NotFound, bad_query

if TYPE_CHECKING:
    from plivostatusd.domain.evidence import Checked
    from plivostatusd.flows.evidence import Gathered, Kept

NOT_KEPT: Final = (
    "headers of callbacks other than x-plivo-* and content-type",
    "the address that a callback came from",
    "what was sent to Plivo's API, and its answer to the send, word by word",
)
_TRUTH: Final = {"1": True, "true": True, "0": False, "false": False}


class EvidenceHandler(Handler):
    """Gathers what is known; asks Plivo too, unless `ask=0`."""

    async def get(self, message_id: str) -> None:
        """Answer with all of it; Plivo's word is as of now, and is not recorded."""
        query = self.query("ask")
        if query.get("ask", "1") not in _TRUTH:
            bad_query("ask", "expected true or false")
        gathered = await self.services.evidence.gather(
            message_id, asks=_TRUTH[query.get("ask", "1")]
        )
        if gathered is None:
            raise NotFound
        why = self.services.outbox.why_waiting
        events = [kept.record for kept in gathered.events]
        self.reply(
            {
                "made_at": rfc3339(gathered.asked_us),
                "made_by": f"plivostatusd {__version__}",
                "made_for": self.asker.name,
                "message": shapes.message(gathered.message, events, pending_reason=why),
                "records": [_record(kept) for kept in gathered.events if kept.record["raw"]],
                "plivo": _plivo(gathered),
                "not_kept": list(NOT_KEPT),
            }
        )


def _record(kept: Kept) -> dict[str, Any]:
    """Give what arrived, byte by byte, and what is found of it now."""
    record = kept.record
    about = {
        "event": record["cursor"],
        "received_at": rfc3339(record["received_at"]),
        "source": record["source"],
        "status": record["status"],
        "trust": record["trust"],
        "verified_by": record["verified_by"],
        "message_uuid": record["message_uuid"],
    }
    if kept.raw is None:
        return about | {"blanked": True}
    about["sha256"] = hashlib.sha256(kept.raw).hexdigest()
    if kept.request is None:
        return about | {"body": _text(kept.raw)}
    return about | {
        "request": {
            "method": kept.request.method,
            "target": kept.request.target,
            "headers": dict(kept.request.headers),
            "body": _text(kept.request.body),
        },
        "raw": b64encode(kept.raw).decode("ascii"),
        "signatures": [_signature(each) for each in kept.checked],
    }


def _signature(checked: Checked) -> dict[str, Any]:
    return {
        "header": checked.header,
        "signature": checked.given,
        "covers": checked.covers,
        "genuine": checked.token is not None,
        "token": checked.token,
        "url": checked.url,
    }


def _plivo(gathered: Gathered) -> dict[str, Any]:
    """Say what Plivo answered, and when."""
    at = rfc3339(gathered.asked_us)
    finding = gathered.finding
    if finding is None:
        why = None if gathered.message["message_uuid"] else "Plivo has no name for it that is known"
        return {"asked_at": None, "answer": "not asked", "reason": why, "record": None}
    if isinstance(finding, outcome.Found):
        record = json.loads(finding.record.raw.decode("utf-8-sig"))
        return {"asked_at": at, "answer": "found", "reason": None, "record": record}
    if isinstance(finding, outcome.Absent):
        return {"asked_at": at, "answer": "absent", "reason": None, "record": None}
    reason = outcome.why(finding)
    return {"asked_at": at, "answer": "none", "reason": reason, "record": None}


def _text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")
