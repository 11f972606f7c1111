"""Ids: UUIDv7 for messages and refs for callback paths, made here; Plivo's. Pure."""

from __future__ import annotations

import re

ID_BYTES = 10
REF_BYTES = 16
_MESSAGE_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_REF = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def message_id(instant_us: int, random: bytes) -> str:
    """
    Make a UUIDv7 from *instant_us* and ten random bytes (RFC 9562, section 5.7).

    Ids sort by the millisecond they were made in.
    """
    milliseconds = (instant_us // 1000) & 0xFFFF_FFFF_FFFF
    digits = random[:ID_BYTES].hex()
    variant = "89ab"[random[2] >> 4 & 3]
    head = f"{milliseconds:012x}"
    return f"{head[:8]}-{head[8:]}-7{digits[1:4]}-{variant}{digits[5:8]}-{digits[8:]}"


def ref(random: bytes) -> str:
    """Spell 128 random bits as the path segment that names one message to Plivo alone."""
    return random[:REF_BYTES].hex()


def is_ref(segment: str) -> bool:
    """Say whether *segment* may stand where a ref stands; another store's may look otherwise."""
    return _REF.fullmatch(segment) is not None


def is_message_uuid(text: str) -> bool:
    """Say whether *text* can be Plivo's name of a message. What cannot must not get into a URL."""
    return _MESSAGE_UUID.fullmatch(text) is not None
