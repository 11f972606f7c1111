"""The simulator's pure parts: parameters, list, stories, units, times, options."""

from __future__ import annotations

import random
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

import pytest

from plivostatusd.simulator import Options, listing, phone, segments, send
from plivostatusd.simulator.catalogue import Catalogue
from plivostatusd.simulator.message import Message
from plivostatusd.simulator.pace import api_time, callback_time
from plivostatusd.simulator.story import STORIES, Manner, story_of

GOOD: Mapping[str, object] = {"src": "14155551212", "dst": "+1 (415) 555-0001", "text": "hello"}
NOW_US = 1_795_422_602_123_456  # 2026-11-23 08:30:02.123456 UTC
HOUR_US = 3_600_000_000


def test_a_send_is_read_as_plivo_reads_it() -> None:
    """Numbers lose what Plivo strips; type, method and url have Plivo's defaults."""
    wanted = send.Send(src="14155551212", recipients=("14155550001",), text="hello")
    assert wanted == send.read(GOOD)
    assert (wanted.kind, wanted.method, wanted.url) == ("sms", "POST", "")


def test_recipients_are_split_and_sorted_out() -> None:
    """`<` separates recipients, repeats count once, and what is no number is set aside."""
    asked = send.read({**GOOD, "dst": "14155550002<junk<+14155550001<1-415-555-0002"})
    assert (asked.recipients, asked.invalid) == (("14155550002", "14155550001"), ("junk",))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"dst": None}, "dst"),
        ({"dst": "junk"}, "dst"),
        ({"dst": "123456789012345"}, "dst"),
        ({"dst": ["14155550001"]}, "dst"),
        ({"dst": "<".join(str(14155550000 + n) for n in range(1_001))}, "dst"),
        ({"text": None}, "text"),
        ({"text": ""}, "text"),
        ({"text": "x" * 1_601}, "text"),
        ({"text": "漢" * 738}, "text"),
        ({"src": None}, "src"),
        ({"src": "+"}, "src"),
        ({"src": "a" * 12}, "src"),
        ({"src": "14155550001"}, "src"),
        ({"powerpack_uuid": "p"}, "powerpack_uuid"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://example.com/ü"}, "url"),
        ({"method": "PUT"}, "method"),
        ({"type": "fax"}, "type"),
        ({"log": "no"}, "log"),
        ({"log": True}, "log"),
        ({"message_expiry": 4}, "message_expiry"),
        ({"message_expiry": True}, "message_expiry"),
        ({"trackable": "yes"}, "trackable"),
        ({"media_urls": ["u"] * 11}, "media_urls"),
    ],
)
def test_bad_parameters_are_named(change: Mapping[str, object], field: str) -> None:
    """A missing or impossible parameter is refused by a sentence that names it."""
    with pytest.raises(send.ParameterError, match=field):
        send.read({**GOOD, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"src": None, "powerpack_uuid": "p"},
        {"text": None, "type": "mms", "media_urls": ["https://example.com/a.png"]},
        {"type": "whatsapp", "text": "x" * 4_096},
        {"message_expiry": 5},
        {"log": "content_only", "trackable": False, "method": "get"},
        {"unheard_of": "ignored"},
    ],
)
def test_good_parameters_are_taken(change: Mapping[str, object]) -> None:
    """What Plivo documents is taken, and what it does not is ignored."""
    assert send.read({**GOOD, **change}).recipients == ("14155550001",)


@pytest.mark.parametrize(
    ("text", "units"),
    [("", 1), ("x" * 160, 1), ("x" * 161, 2), ("€" * 80, 1), ("€" * 81, 2), ("漢" * 71, 2)],
)
def test_units(text: str, units: int) -> None:
    """Parts are counted in septets or in UTF-16 units, with less room when there are several."""
    assert units == segments.units(text)


def test_mask_hides_the_middle() -> None:
    """A masked number shows its first and last four digits, a short one nothing."""
    assert (phone.mask("14155552323"), phone.mask("12345")) == ("+1415****2323", "****")


def test_times_are_spelled_as_plivo_spells_them() -> None:
    """Callbacks carry bare UTC or a blank, the API another offset or null."""
    assert (callback_time(NOW_US), callback_time(None)) == ("2026-11-23 08:30:02.123456", "")
    assert api_time(NOW_US) == "2026-11-23 14:00:02.123456+05:30"
    assert api_time(None) is None


def test_every_story_is_there() -> None:
    """Thirteen endings have a story, and any other ending is told as 0001."""
    assert [f"{number:04}" for number in range(1, 14)] == list(STORIES)
    assert story_of("14155559999").digits == "0001"
    assert Manner.SILENT is story_of("14155550006").manner


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"auth_id": "MA123"}, "auth id"),
        ({"auth_tokens": ()}, "auth token"),
        ({"main_auth_tokens": ("",)}, "auth token"),
        ({"speed": 0.0}, "speed"),
        ({"speed": float("nan")}, "speed"),
        ({"port": 65_536}, "port"),
        ({"host": "0.0.0.0"}, "loopback"),  # noqa: S104  (it is refused)
        ({"host": "example.com"}, "loopback"),
    ],
)
def test_impossible_options_are_refused(change: dict[str, object], problem: str) -> None:
    """Options that cannot work are refused by name, and tokens never show in their repr."""
    with pytest.raises(ValueError, match=problem):
        Options(**change)  # type: ignore[arg-type]  # wrong on purpose
    assert "simulator-token" not in repr(Options())


def taken(hours_ago: float, dst: str = "14155550001", state: str = "sent") -> Message:
    """Make a message that was taken so long before now."""
    return Message(
        uuid=f"u{hours_ago:g}",
        src="14155551212",
        dst=dst,
        state=state,
        taken_us=NOW_US - int(hours_ago * HOUR_US),
        random=random.Random(0),
    )


def catalogue_of(*messages: Message) -> Catalogue:
    """Take messages in, as they come."""
    catalogue = Catalogue()
    for number, message in enumerate(messages):
        message.number = number
        catalogue.add(message)
    return catalogue


def uuids(filters: Mapping[str, str], *messages: Message) -> list[str]:
    """List by *filters* and name what came back."""
    page = listing.page_of(catalogue_of(*messages), filters, NOW_US)
    return [found.uuid for found in page.messages]


def test_list_is_of_the_last_day_unless_asked() -> None:
    """Without a time only the last 24 h are listed, newest first; a time filter lifts that."""
    messages = (taken(25), taken(23), taken(1))
    assert uuids({}, *messages) == ["u1", "u23"]
    assert uuids({"message_time__gt": "2026-11-20 00:00"}, *messages) == ["u1", "u23", "u25"]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"message_time__gt": "2026-11-23 07:30:02.123456"}, ["u0"]),
        ({"message_time__gte": "2026-11-23 07:30:02.123456"}, ["u0", "u1"]),
        ({"message_time__lt": "2026-11-23 07:30:02.123456"}, ["u2"]),
        ({"message_time__lte": "2026-11-23 07:30:02.123456"}, ["u1", "u2"]),
        ({"message_time": "2026-11-23 07:30:02.123456"}, ["u1"]),
        ({"message_time__lt": "2026-11-23 07:30"}, ["u2"]),
        ({"message_time__lt": "2026-11-23 07:30:02.2"}, ["u1", "u2"]),
        ({"to_number": "+14155550002"}, ["u1"]),
        ({"from_number": "14155551212", "message_direction": "outbound"}, ["u0", "u1", "u2"]),
        ({"message_direction": "inbound"}, []),
        ({"message_state": "delivered"}, ["u2"]),
        ({"error_code": "000", "message_type": "sms"}, ["u2"]),
    ],
)
def test_filters(filters: Mapping[str, str], wanted: list[str]) -> None:
    """Each filter keeps what it says, times in UTC with their parts optional."""
    messages = (taken(2, state="delivered"), taken(1, dst="14155550002"), taken(0))
    assert wanted == uuids(filters, *messages)


@pytest.mark.parametrize(
    "filters",
    [
        {"limit": "21"},
        {"limit": "0"},
        {"limit": "x"},
        {"offset": "-1"},
        {"message_time": "yesterday"},
        {"message_time__lt": "2026-13-40 00:00"},
        {"to_numer": "1"},
        {"cursor": "MS4x"},
    ],
)
def test_bad_filters_are_named(filters: Mapping[str, str]) -> None:
    """A filter that cannot be read, or is not known, is refused by name."""
    with pytest.raises(listing.FilterError, match=next(iter(filters))):
        uuids(filters)


def test_pages_link_to_each_other() -> None:
    """`next` and `previous` lead through the whole list once, filters kept, and then end."""
    messages = [taken(hours / 10) for hours in range(5, 0, -1)]
    catalogue = catalogue_of(*messages)
    filters = {"limit": "2", "from_number": "14155551212"}
    seen: list[str] = []
    link: object = "?" + "&".join(f"{name}={value}" for name, value in filters.items())
    while link:
        filters = dict(parse_qsl(urlsplit(str(link)).query))
        page = listing.page_of(catalogue, filters, NOW_US)
        meta = page.meta("/v1/Message/", filters)
        assert (meta["total_count"], filters["from_number"]) == (5, "14155551212")
        assert (meta["previous"] is None) is (not seen)
        seen += [message.uuid for message in page.messages]
        link = meta["next"]
    assert [message.uuid for message in reversed(messages)] == seen


def test_cursors_hold_their_place() -> None:
    """By cursor a list is walked once through, whatever is added meanwhile."""
    messages = [taken(hours / 10) for hours in range(50, 0, -10)]
    catalogue = catalogue_of(*messages)
    filters = {"limit": "2"}
    seen: list[str] = []
    while True:
        page = listing.page_of(catalogue, filters, NOW_US, "cursor")
        seen += [message.uuid for message in page.messages]
        meta = page.meta("/v1/Message/", filters)
        assert {"limit", "next", "previous"} == set(meta)
        assert meta["previous"] is None
        if meta["next"] is None:
            break
        catalogue.add(taken(0.1))
        filters = dict(parse_qsl(urlsplit(str(meta["next"])).query))
    assert [message.uuid for message in reversed(messages)] == seen


@pytest.mark.parametrize(
    "filters", [{"offset": "20"}, {"cursor": ""}, {"cursor": "x"}, {"cursor": "MTIz"}]
)
def test_bad_cursors_are_named(filters: Mapping[str, str]) -> None:
    """In a list by cursor an offset, and a cursor that no page gave, are refused by name."""
    with pytest.raises(listing.FilterError, match=next(iter(filters))):
        listing.page_of(catalogue_of(), filters, NOW_US, "cursor")


def test_a_clock_set_back() -> None:
    """The list is by time even if the clock was set back; those of one moment as they came."""
    assert ["u0.5", "u1", "u2"] == uuids({}, taken(2), taken(0.5), taken(1))
    first, second = taken(1), taken(1)
    second.uuid = "second"
    assert ["second", "u1"] == uuids({}, first, second)


@pytest.mark.parametrize(
    "filters",
    [
        {
            "message_time__gte": "2026-11-23 04:00",
            "message_direction": "outbound",
            "offset": "9000",
        },
        {"to_number": "14155550042", "from_number": "14155551212"},
        {"message_time__lt": "2026-11-23 04:00"},
    ],
)
def test_a_page_looks_at_few_messages(
    filters: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page by time or by recipient is cut out of 20,000 messages without looking at them all."""
    catalogue = catalogue_of(
        *(taken(number / 2_000, dst=f"1415555{number:04}") for number in range(20_000, 0, -1))
    )
    looks: list[Message] = []

    def place(message: Message) -> tuple[int, int]:
        looks.append(message)
        return message.taken_us, message.number

    monkeypatch.setattr(Message, "place", property(place))
    assert listing.page_of(catalogue, filters, NOW_US).messages
    assert len(looks) < 100
