from __future__ import annotations

import itertools
from typing import Any

import pytest

from plivostatusd.domain import statuses
from plivostatusd.domain.statuses import Fact, Fold, fold

PENDING = Fact(status="pending", source="send", trust="local")
TAKEN = Fact(status="queued", source="send", trust="api")
UNKNOWN = Fact(status="unknown", source="send", trust="local", reason="no answer in time")
REFUSED = Fact(status="refused", source="send", trust="api", reason="Plivo refused it (400)")
SILENCE = Fact(status=None, source="silence", trust="local")


def heard(status: str | None, sequence: int | None = None, **more: Any) -> Fact:
    """Make the fact of a callback, at trust full unless said otherwise."""
    fields: dict[str, Any] = {"source": "callback", "trust": "full", **more}
    return Fact(status=status, sequence=sequence, **fields)


def asked(status: str, **more: Any) -> Fact:
    """Make the fact of an answer of Plivo's API."""
    return Fact(status=status, source="api", trust="api", **more)


def folded(*facts: Fact) -> Fold:
    """Fold facts, after checking that all of their orders come to the same."""
    whole = fold(facts)
    for order in itertools.permutations(facts):
        joined = fold(())
        for fact in order:
            joined |= fold([fact])
        assert columns(whole) == columns(joined)
    return whole


def columns(whole: Fold) -> dict[str, Any]:
    """Give every derived column."""
    names = (
        "status initial_status status_timestamp_us error_code reason conflict final final_by"
        " units amount mcc mnc"
    )
    return {name: getattr(whole, name) for name in names.split()}


def test_ranks() -> None:
    """The words stand in the ranks that the contract gives them."""
    by_rank = [
        {"pending"},
        {"unknown", "refused"},
        {"queued"},
        {"sent"},
        {"delivered", "undelivered", "failed", "rejected"},
        {"read"},
    ]
    for place, words in enumerate(by_rank):
        assert {place} == {statuses.rank(word) for word in words}
    assert set().union(*by_rank) == set(statuses.RANKS)
    assert {"delivered", "undelivered", "failed", "rejected"} == statuses.OUTCOMES


@pytest.mark.parametrize("word", ["bounced", "", "DELIVERED"])
def test_an_unknown_word_ranks_as_queued(word: str) -> None:
    """A status that we do not know has rank 2."""
    assert statuses.rank(word) == 2


def test_the_usual_story() -> None:
    """Pending, queued, sent, delivered: the last word is the status, the first of Plivo's kept."""
    whole = folded(
        PENDING,
        TAKEN,
        heard("sent", 2, at_us=2_000),
        heard("delivered", 3, at_us=3_000, error_code="000", units=1, amount="0.0035"),
    )
    assert columns(whole) == {
        "status": "delivered",
        "initial_status": "queued",
        "status_timestamp_us": 3_000,
        "error_code": None,
        "reason": None,
        "conflict": False,
        "final": True,
        "final_by": "status",
        "units": 1,
        "amount": "0.0035",
        "mcc": None,
        "mnc": None,
    }


def test_the_greater_rank_wins() -> None:
    """Rank comes before everything else: source, trust, Sequence and time."""
    weak = Fact(status="delivered", source="callback", trust="url-only")
    strong = asked("sent", sequence=9, at_us=9_000)
    assert folded(weak, strong).status == "delivered"


def test_late_sent_changes_nothing() -> None:
    """A `sent` that is heard again after `delivered` changes nothing, whatever its Sequence."""
    whole = folded(heard("sent", 9, at_us=9_000), heard("delivered", 3, at_us=3_000))
    assert (whole.status, whole.status_timestamp_us, whole.final) == ("delivered", 3_000, True)


@pytest.mark.parametrize(
    "overruling",
    [asked("failed"), Fact(status="failed", source="operator", trust="local")],
)
def test_the_api_and_the_operator_overrule(overruling: Fact) -> None:
    """At equal rank the API and the operator overrule every callback, however trusted or late."""
    whole = folded(heard("delivered", 9, at_us=9_000), overruling)
    assert whole.status == "failed"


def test_trust_comes_before_sequence() -> None:
    """At equal rank what V3 signs beats what V2 alone signs, whatever Sequence says."""
    weak = heard("delivered", 9, at_us=9_000, trust="url-only")
    whole = folded(weak, heard("failed", 1, at_us=1_000, error_code="30"))
    assert (whole.status, whole.error_code, whole.conflict) == ("failed", "30", True)


def test_trusts() -> None:
    """Trust ranks local, url-only, full, api; a word that is none of them is worth the least."""
    trusts = ["of nobody", "local", "url-only", "full", "api"]
    for weaker, stronger in itertools.pairwise(trusts[1:]):
        facts = [
            Fact(status="delivered", source="inferred", trust=stronger),
            Fact(status="rejected", source="inferred", trust=weaker, sequence=9),
        ]
        assert folded(*facts).status == "delivered"
    nobodys = Fact(status="delivered", source="inferred", trust=trusts[0])
    assert folded(nobodys, nobodys._replace(trust="url-only", status="failed")).status == "failed"


def test_sequence_comes_before_time() -> None:
    """At equal trust the higher Sequence wins, whatever Plivo's own times say."""
    whole = folded(heard("delivered", 2, at_us=9_000), heard("failed", 10, at_us=1_000))
    assert whole.status == "failed"


def test_no_sequence_is_least() -> None:
    """A missing Sequence counts as -1, below every real one."""
    assert folded(heard("delivered", None, at_us=9_000), heard("failed", 0)).status == "failed"


def test_time_decides_next() -> None:
    """At equal Sequence, or without any, Plivo's own later time wins."""
    for sequence in (None, 3):
        early, late = heard("delivered", sequence, at_us=1), heard("failed", sequence, at_us=2)
        assert folded(early, late).status == "failed"


@pytest.mark.parametrize("at_us", [0, -1, -62_135_596_800_000_000])
def test_no_time_is_least(at_us: int) -> None:
    """An event without a time of its own is below each that has one, however early."""
    whole = folded(heard("delivered", 3, at_us=at_us), heard("failed", 3))
    assert (whole.status, whole.status_timestamp_us) == ("delivered", at_us)


def test_the_name_decides_last() -> None:
    """Where nothing else tells two events apart, the status' name does."""
    assert folded(heard("delivered"), heard("failed"), heard("rejected")).status == "rejected"
    assert folded(heard("delivered"), heard("undelivered")).status == "undelivered"


@pytest.mark.parametrize(
    ("code", "known"), [(None, None), ("", None), ("000", None), ("30", "30"), ("0", "0")]
)
def test_error_codes(code: str | None, known: str | None) -> None:
    """An empty error code and 000 say that nothing went wrong."""
    assert known == statuses.known_error(code)
    assert known == folded(heard("failed", 3, error_code=code)).error_code


def test_the_winners_own_error() -> None:
    """Time and error code are the winning event's, also where it has none."""
    whole = folded(
        heard("sent", 2, at_us=2_000, error_code="20"), heard("delivered", 3, error_code="")
    )
    assert (whole.status_timestamp_us, whole.error_code) == (None, None)


def test_what_the_greatest_event_carries() -> None:
    """Units, amount and network are those of the greatest event that carries each."""
    whole = folded(
        heard("queued", 1, units=1, amount="0.0035", mcc="310", mnc="150"),
        heard("sent", 2, units=2, amount="0.0070", mcc=""),
        heard("delivered", 3, amount=None, mnc="15"),
    )
    assert (whole.units, whole.amount, whole.mcc, whole.mnc) == (2, "0.0070", "310", "15")


def test_initial_status() -> None:
    """The initial status is that of the least of Plivo's events, whenever it arrived."""
    assert folded(PENDING).initial_status is None
    assert folded(PENDING, UNKNOWN).initial_status is None
    assert folded(PENDING, REFUSED).initial_status is None
    assert folded(PENDING, heard("delivered")).initial_status == "delivered"
    assert folded(PENDING, heard("delivered"), heard("sent")).initial_status == "sent"
    assert folded(PENDING, TAKEN, heard("sent")).initial_status == "queued"
    operators = Fact(status="failed", source="operator", trust="local")
    assert folded(UNKNOWN, operators).initial_status is None
    inferred = Fact(status="sent", source="inferred", trust="api")
    assert folded(UNKNOWN, inferred, heard("delivered")).initial_status == "sent"


def test_conflict() -> None:
    """More than one distinct outcome is a conflict, and stays one when the API has settled it."""
    assert not folded(heard("delivered", 3), heard("delivered", 4)).conflict
    whole = folded(heard("delivered", 3), heard("undelivered", 4))
    assert (whole.status, whole.conflict) == ("undelivered", True)
    settled = folded(heard("delivered", 3), heard("undelivered", 4), asked("delivered"))
    assert (settled.status, settled.conflict) == ("delivered", True)


def test_read_is_no_conflict() -> None:
    """`read` after `delivered` is no conflict, and wins."""
    whole = folded(heard("delivered", 3), heard("read", 4))
    assert (whole.status, whole.conflict, whole.final_by) == ("read", False, "status")


def test_a_new_word() -> None:
    """A status that we do not know shows while nothing greater is known, and is not final."""
    whole = folded(PENDING, TAKEN, heard("bounced", 2))
    assert (whole.status, whole.final) == ("queued", False)  # the API's own word is worth more
    assert folded(PENDING, heard("bounced", 2)).status == "bounced"
    assert folded(heard("bounced", 2), heard("sent", 1)).status == "sent"


def test_forged_delivered_then_genuine_failed() -> None:
    """A `delivered` that only V2 signed gives way to a `failed` that V3 signs, as a conflict."""
    whole = folded(
        PENDING,
        TAKEN,
        heard("delivered", 99, trust="url-only", at_us=9_000, error_code="000"),
        heard("failed", 2, error_code="420", at_us=2_000),
    )
    assert (whole.status, whole.error_code, whole.conflict) == ("failed", "420", True)


@pytest.mark.parametrize(
    ("status", "final"),
    [
        ("pending", False),
        ("unknown", False),
        ("refused", True),
        ("queued", False),
        ("sent", False),
        ("bounced", False),
        ("delivered", True),
        ("undelivered", True),
        ("failed", True),
        ("rejected", True),
        ("read", True),
    ],
)
def test_final(status: str, *, final: bool) -> None:
    """Ranks 4 and 5 are final, and so is `refused`."""
    whole = folded(Fact(status=status, source="send", trust="local"))
    assert (whole.final, whole.final_by) == (final, "status" if final else None)


def test_refused() -> None:
    """A refusal is final, says why, and any word of Plivo's on the message replaces it."""
    whole = folded(PENDING, REFUSED)
    assert (whole.status, whole.reason) == ("refused", "Plivo refused it (400)")
    overtaken = folded(PENDING, REFUSED, heard("queued", 1))
    assert (overtaken.status, overtaken.reason, overtaken.final) == ("queued", None, False)


def test_cancelled_by_an_operator() -> None:
    """What an operator says of a message that Plivo never saw stands above what we said."""
    cancelled = Fact(status="refused", source="operator", trust="local", reason="cancelled")
    whole = folded(PENDING, UNKNOWN, cancelled)
    assert (whole.status, whole.reason, whole.final) == ("refused", "cancelled", True)


def test_unknown() -> None:
    """An unclear outcome stays open, and a callback on the ref settles it."""
    whole = folded(PENDING, UNKNOWN)
    assert (whole.status, whole.reason, whole.final) == ("unknown", "no answer in time", False)
    assert folded(PENDING, UNKNOWN, heard("sent", 2)).status == "sent"


DOUBTFUL = heard("delivered", 3, trust="url-only")


@pytest.mark.parametrize(
    ("facts", "is_so"),
    [
        ((heard("sent", 2), DOUBTFUL), True),
        ((DOUBTFUL, heard("delivered", 3)), False),  # V3 says the same
        ((DOUBTFUL, asked("delivered")), False),
        ((DOUBTFUL, heard("failed", 9, trust="url-only")), True),
        ((heard("sent", 2, trust="url-only"),), False),  # no outcome yet
        ((heard("delivered", 3), heard("read", 4, trust="url-only")), True),
        ((DOUBTFUL, SILENCE), True),
        ((), False),
    ],
)
def test_doubted(facts: tuple[Fact, ...], *, is_so: bool) -> None:
    """An outcome is doubted while nothing better than the URL's signature says it."""
    assert is_so == folded(*facts).doubted


@pytest.mark.parametrize(
    ("facts", "is_so"),
    [
        ((heard("delivered", 3), heard("failed", 4)), True),
        ((heard("delivered", 3), DOUBTFUL), False),  # twice the same outcome
        ((heard("delivered", 3), heard("sent", 4)), False),
        ((heard("delivered", 3), heard("failed", 4), asked("delivered")), False),
        ((heard("delivered", 3), asked("failed")), False),
        ((heard("delivered", 3), heard("failed", 4), asked("sent")), True),  # it knows no outcome
        ((heard("delivered", 3), heard("failed", 4), heard("read", 5)), True),
        ((heard("delivered", 3), heard("failed", 4), heard("read", 5), asked("delivered")), False),
        ((heard("delivered", 3), heard("read", 4)), False),
    ],
)
def test_contested(facts: tuple[Fact, ...], *, is_so: bool) -> None:
    """Outcomes that contradict each other are contested until Plivo's API says which it is."""
    whole = folded(*facts)
    assert is_so == whole.contested
    assert whole.conflict or not whole.contested


def test_silence() -> None:
    """Silence makes a `sent` final, has no rank, and gives way to whatever Plivo says later."""
    whole = folded(TAKEN, heard("sent", 2, at_us=2_000), SILENCE)
    assert (whole.status, whole.final, whole.final_by) == ("sent", True, "silence")
    assert (whole.status_timestamp_us, whole.initial_status) == (2_000, "queued")
    later = folded(TAKEN, heard("sent", 2), SILENCE, heard("undelivered", 3))
    assert (later.status, later.final_by) == ("undelivered", "status")


@pytest.mark.parametrize("status", ["queued", "bounced", "unknown"])
def test_silence_is_for_sent_alone(status: str) -> None:
    """Silence after anything but `sent` is not final."""
    assert not folded(heard(status), SILENCE).final


def test_a_callback_without_a_status() -> None:
    """A genuine callback that says no status still says that Plivo has the message."""
    silent = heard(None, 1, units=2)
    for before in (PENDING, UNKNOWN, REFUSED):
        assert folded(before, silent).status == "queued"
    whole = folded(silent, heard("sent", 2))
    assert (whole.status, whole.initial_status, whole.units) == ("sent", "queued", 2)


def test_nothing_at_all() -> None:
    """A set without any event that ranks is as good as queued: we heard of it from Plivo."""
    for whole in (fold([]), fold([SILENCE])):
        assert (whole.status, whole.initial_status, whole.final) == ("queued", None, False)


def test_doubled() -> None:
    """A history folded twice, or with events doubled, is the same fold."""
    facts = [PENDING, TAKEN, heard("sent", 2), heard("sent", 2)]
    assert fold(facts) == fold(facts[:3]) == fold(facts) | fold(facts)


def test_rows_are_facts() -> None:
    """A fact is made of a row whose columns stand in its fields' order."""
    assert Fact._fields == (
        "status",
        "source",
        "trust",
        "sequence",
        "at_us",
        "error_code",
        "reason",
        "units",
        "amount",
        "mcc",
        "mnc",
    )


def _told(status: str, at_us: int | None, source: str = "callback") -> Fact:
    return Fact(status=status, source=source, trust="full", at_us=at_us)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([_told("sent", 1_000_000), _told("delivered", 4_250_999)], 3_250),
        (
            [_told("sent", 1_000_000), _told("delivered", 2_000_000), _told("read", 9_000_000)],
            1_000,
        ),
        ([_told("sent", 5), _told("delivered", 5)], 0),
        ([_told("sent", 5_000), _told("delivered", 4_000)], None),
        ([_told("sent", None), _told("delivered", 4_000)], None),
        ([_told("sent", 1_000, "api"), _told("delivered", 4_000, "api")], None),
        ([_told("sent", 1_000), _told("undelivered", 4_000)], None),
        ([_told("delivered", 4_000)], None),
        ([], None),
    ],
)
def test_delivery_ms(facts: list[Fact], expected: int | None) -> None:
    """A delivered message took from sent to delivered, where callbacks tell both times."""
    assert expected == fold(facts).delivery_ms
