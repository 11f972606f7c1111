from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivostatusd.plivo.query import ListQuery, Page, next_page

NINE_US = 1_795_424_400_000_000  # 2026-11-23T09:00:00Z
WINDOW = {"since_us": NINE_US, "until_us": NINE_US + 240_000_001}
PATH = "/v1/Account/MA/Message/"


def query(**more: Any) -> ListQuery:
    """Ask for four minutes and a microsecond."""
    return ListQuery(**{**WINDOW, **more})


def test_the_least_question() -> None:
    """A question always has both ends of its window, in UTC to the microsecond, and a limit."""
    expected = {
        "message_time__gte": "2026-11-23 09:00:00.000000",
        "message_time__lt": "2026-11-23 09:04:00.000001",
        "message_direction": "outbound",
        "limit": "20",
    }
    assert expected == query().parameters()


def test_a_whole_question() -> None:
    """Numbers are asked for as E.164, and the page by the parameter that Plivo named."""
    asked = query(
        sender="+14155551212",
        recipient="+14155552323",
        direction=None,
        page=Page("cursor", "abc="),
        limit=7,
    )
    expected = {
        "message_time__gte": "2026-11-23 09:00:00.000000",
        "message_time__lt": "2026-11-23 09:04:00.000001",
        "from_number": "+14155551212",
        "to_number": "+14155552323",
        "limit": "7",
        "cursor": "abc=",
    }
    assert expected == asked.parameters()


@pytest.mark.parametrize(
    "more", [{"limit": 0}, {"limit": 21}, {"until_us": NINE_US}, {"until_us": NINE_US - 1}]
)
def test_impossible_questions(more: dict[str, int]) -> None:
    """A question that Plivo would refuse, or that asks for nothing, cannot be made."""
    with pytest.raises(ValueError, match="want"):
        query(**more)


def test_repr_shows_no_number() -> None:
    """A question in a log line or a traceback shows neither number, nor Plivo's cursor."""
    asked = query(sender="+14155551212", recipient="+14155552323", page=Page("cursor", "secret"))
    for private in ("1415555", "secret"):
        assert private not in repr(asked)


@pytest.mark.parametrize(
    ("link", "page"),
    [
        (f"{PATH}?limit=20&offset=20", Page("offset", "20")),
        (f"{PATH}?limit=20&cursor=abc%3D", Page("cursor", "abc=")),
        (f"{PATH}?cursor=abc&offset=20&limit=20", Page("cursor", "abc")),
        ("https://elsewhere.example/?offset=40&to_number=1", Page("offset", "40")),
        (
            f"{PATH}?offset=20&is_callinsights_request=1&callinsights_request_path=x",
            Page("offset", "20"),
        ),
        ("?offset=20", Page("offset", "20")),
        ("", None),
        (PATH, None),
        (f"{PATH}?limit=20", None),
        (f"{PATH}?offset=", None),
        (f"{PATH}?offset=-20", None),
        (f"{PATH}?offset=٣", None),
        (f"{PATH}?offset=1e3", None),
        (f"{PATH}?offset=12345678901", None),
        (f"{PATH}?cursor=a%0Ab", None),
        (f"{PATH}?cursor=%ff&offset=20", None),
        (f"{PATH}?cursor={'x' * 2_049}", None),
        (f"{PATH}?offset=20&{'x' * 4_096}", None),
        (f"{PATH}?{'a=1&' * 40}offset=20", None),
        ("http://[?offset=20", None),
    ],
)
def test_the_link_to_the_next_page(link: str, page: Page | None) -> None:
    """Of Plivo's link one well-formed cursor or offset is taken, and nothing else."""
    assert page == next_page(link)


@given(st.text())
def test_no_link_breaks_the_reader(link: str) -> None:
    """Whatever stands in a link, it gives a page or none."""
    assert isinstance(next_page(f"?{link}"), Page | None)


@pytest.mark.parametrize(
    ("page", "other", "expected"),
    [
        (Page("offset", "20"), None, True),
        (Page("offset", "0"), None, False),
        (Page("offset", "100"), Page("offset", "20"), True),
        (Page("offset", "20"), Page("offset", "20"), False),
        (Page("offset", "20"), Page("offset", "100"), False),
        (Page("offset", "20"), Page("cursor", "abc"), True),
        (Page("cursor", "abc"), None, True),
        (Page("cursor", "abc"), Page("offset", "20"), True),
        (Page("cursor", "abc"), Page("cursor", "abd"), True),
        (Page("cursor", "abc"), Page("cursor", "abc"), False),
    ],
)
def test_pages_lead_on(page: Page, other: Page | None, expected: bool) -> None:
    """A page that is the one before, or lies before it, leads nowhere."""
    assert expected == page.is_after(other)
