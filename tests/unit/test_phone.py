from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivostatusd.domain import countries, phone


@pytest.mark.parametrize(
    "number",
    [
        "+14155552323",
        "14155552323",
        " +14155552323\n",
        "+1 415 555 2323",
        "+1 (415) 555-2323",
        "+1.415.555.2323",
        "+1\u00a0415\u00a0555\u00a02323",
    ],
)
def test_normalised(number: str) -> None:
    """An international number is E.164, however people group its digits."""
    assert phone.normalise(number) == "+14155552323"


@pytest.mark.parametrize(
    "number",
    [
        "",
        "+",
        "0014155552323",
        "+04155552323",
        "++14155552323",
        "+141555",
        "+1415555232312345",
        "1-800-FLOWERS",
        "+1415555٢٣٢٣",
        "+14155552323,+14155552324",
        "+14155552323<14155552324",
        "sip:14155552323",
    ],
)
def test_no_number(number: str) -> None:
    """What has too few or too many digits, or other characters, is no international number."""
    assert phone.normalise(number) is None


@pytest.mark.parametrize("digits", ["1234567", "123456789012345"])
def test_shortest_and_longest(digits: str) -> None:
    """Seven to fifteen digits make a number."""
    assert f"+{digits}" == phone.normalise(digits)


@pytest.mark.parametrize(
    ("given_as", "sender"),
    [
        ("+14155551212", "+14155551212"),
        ("1 415 555 1212", "+14155551212"),
        ("12345", "12345"),
        ("123", "123"),
        ("ACME", "ACME"),
        (" ACME ", "ACME"),
        ("4Sale", "4Sale"),
        ("ABCDEFGHIJK", "ABCDEFGHIJK"),
        ("ABCDEFGHIJKL", None),
        ("A CME", None),
        ("ÄRZTE", None),
        ("12", None),
        ("", None),
        ("+12345", None),
    ],
)
def test_senders(given_as: str, sender: str | None) -> None:
    """A sender is a number, a short code, or a name of at most eleven letters and digits."""
    assert sender == phone.normalise_sender(given_as)


def test_plivos_spelling() -> None:
    """Plivo writes and takes numbers without the plus sign; names stay as they are."""
    assert phone.for_plivo("+14155552323") == "14155552323"
    assert phone.for_plivo("ACME") == "ACME"
    assert phone.from_plivo("14155552323") == "+14155552323"
    assert phone.from_plivo(" ACME ") == "ACME"


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+14155552323", "+1415****2323"),
        ("+6591234567", "+659****4567"),
        ("+123456789", "+12****6789"),
        ("+12345678", "****"),
        ("12345", "****"),
        ("ACME", "****"),
        ("", "****"),
    ],
)
def test_masked(number: str, masked: str) -> None:
    """Enough is left of a number to tell it from others, and never the whole."""
    assert masked == phone.mask(number)


@given(st.from_regex(r"\+[1-9]\d{6,14}", fullmatch=True))
def test_digits_are_hidden(number: str) -> None:
    """At least three digits of any number are hidden."""
    assert len(number) - len(phone.mask(number).replace("****", "")) >= 3


@pytest.mark.parametrize(
    ("text", "is_gsm", "septets", "units"),
    [
        ("", True, 0, 0),
        ("Hello, world!", True, 13, 13),
        ("¿Qué? Ñandú", False, 11, 11),
        ("äöüß@£$ΔΩ", True, 9, 9),
        ("5 €", True, 4, 3),
        ("[x]{y}~^|\\", True, 18, 10),
        ("a\nb\rc\fd", True, 8, 7),
        ("ç", False, 1, 1),
        ("😀", False, 1, 2),
        ("a\tb", False, 3, 3),
    ],
)
def test_alphabets(text: str, *, is_gsm: bool, septets: int, units: int) -> None:
    """GSM 03.38 costs a septet a character, two behind the escape; the rest is UTF-16."""
    assert (is_gsm, septets, units) == (
        phone.is_gsm(text),
        phone.septets(text),
        phone.utf16_units(text),
    )


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("+14155552323", "1"),
        ("+77272000000", "7"),
        ("+201000000000", "20"),
        ("+211900000000", "211"),
        ("+353861234567", "353"),
        ("+4915112345678", "49"),
        ("+85251234567", "852"),
        ("+998901234567", "998"),
        (None, None),
        ("Acme", None),
        ("12345", None),
        ("+0123456789", None),
    ],
)
def test_calling_code(number: str | None, code: str | None) -> None:
    """A number's country is told by its calling code, of one digit, two or three."""
    assert code == phone.calling_code(number)


def test_every_calling_code_has_a_country() -> None:
    """Every code that has a country is found as such, and leads no other."""
    assert list(countries.ISO) == [phone.calling_code(f"+{code}5550000") for code in countries.ISO]
