from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivostatusd.domain import identity

TEN_BYTES = bytes.fromhex("cc3018c4dc0c0c07398f")


def test_uuid7() -> None:
    """An id is the UUIDv7 of RFC 9562's own example instant: time, version, variant, chance."""
    made = identity.message_id(1_645_557_742_000_123, TEN_BYTES)
    assert made == "017f22e2-79b0-7c30-98c4-dc0c0c07398f"


@given(st.integers(0, (1 << 48) * 1000 - 1), st.binary(min_size=10, max_size=10))
def test_any_instant(instant_us: int, random: bytes) -> None:
    """Every id is a valid UUID of version 7, and tells the millisecond it was made in."""
    made = uuid.UUID(identity.message_id(instant_us, random))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert instant_us // 1000 == made.int >> 80


@given(st.integers(0, 1 << 56), st.integers(1000, 1 << 56))
def test_ids_sort(instant_us: int, later_us: int) -> None:
    """An id made a millisecond later or more sorts later, whatever chance adds."""
    before = identity.message_id(instant_us, b"\xff" * 10)
    after = identity.message_id(instant_us + later_us, b"\x00" * 10)
    assert before < after


def test_ref() -> None:
    """A ref spells all of its 128 bits, and is one."""
    made = identity.ref(bytes(range(identity.REF_BYTES)))
    assert made == "000102030405060708090a0b0c0d0e0f"
    assert identity.is_ref(made)


@pytest.mark.parametrize(
    ("segment", "is_one"),
    [
        ("0", True),
        ("another-Stores_ref", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("", False),
        ("a/b", False),
        ("a.b", False),
        ("a%20b", False),
        ("a\n", False),
        ("é", False),
    ],
)
def test_what_may_stand_for_a_ref(segment: str, *, is_one: bool) -> None:
    """A ref is a short path segment that needs no escape."""
    assert is_one == identity.is_ref(segment)


UUID = "b795906a-8a79-11ec-9bd3-0242ac110003"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (UUID, True),
        (UUID.upper(), True),
        ("", False),
        ("..", False),
        (f"{UUID}/", False),
        (f"{UUID}\n", False),
        (f" {UUID}", False),
        ("\ud800", False),
        ("uuid-1", False),
    ],
)
def test_what_can_name_a_message(text: str, expected: bool) -> None:
    """Only a UUID, and nothing around it, can get into the path of a question."""
    assert expected == identity.is_message_uuid(text)
