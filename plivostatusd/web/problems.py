"""Refusals as RFC 9457 problem documents. Pure."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from plivostatusd.domain.errors import BadSend

if TYPE_CHECKING:
    from plivostatusd.domain.errors import Refusal

MEDIA_TYPE = "application/problem+json"


def problem(slug: str, status: int, detail: str, title: str = "", **more: object) -> dict[str, Any]:
    """Make a problem document; *slug* names its kind for programs, *title* for people."""
    return {
        "type": f"urn:plivostatusd:problem:{slug}",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }


def of_refusal(refusal: Refusal) -> dict[str, Any]:
    """Spell a refusal; of a bad send, everything that is wrong with it."""
    more: dict[str, Any] = {}
    if isinstance(refusal, BadSend):
        more["problems"] = [
            {"field": field, "problem": sentence} for field, sentence in refusal.problems
        ]
    if refusal.hint:
        more["hint"] = refusal.hint
    return problem(refusal.slug, refusal.http_status, refusal.detail, refusal.title, **more)
