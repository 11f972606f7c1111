"""Refused callbacks as `doctor` explains them: kinds, how sure, and how old."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from plivostatusd.config import Config, load
from plivostatusd.ctl.doctor import refused, tokens
from plivostatusd.simulator import signed_request
from tests.unit.doctor_stage import DOWN, TOKEN, URL, UUID, Stage, one, seen, settings, told


def kept(url: str = URL, *, age_s: float = 0.0, reason: str = "mismatch", **more: Any) -> Any:
    """Hand out a refused callback as the daemon does."""
    made = signed_request("POST", f"{url}/plivo/status", {"MessageUUID": UUID}, TOKEN, **more)
    head = "POST /plivo/status\n" + "\n".join(f"{k.lower()}: {v}" for k, v in made.headers.items())
    at = datetime.now(UTC) - timedelta(seconds=age_s)
    return {
        "received_at": at.isoformat().replace("+00:00", "Z"),
        "reason": reason,
        "message_uuid": UUID,
        "raw": base64.b64encode(head.encode() + b"\n\n" + made.body).decode(),
    }


def explained(folder: Path, *refused_: Any, used_at: str | None = None) -> list[tuple[str, str]]:
    """Have refused callbacks explained."""
    answers = {
        "/doctor/refused": {"refused": list(refused_)},
        "/tokens": {"tokens": [{"last_used_at": used_at}]},
    }
    return seen(refused.check, Stage(settings(folder), told(), answers))


def test_none_refused(tmp_path: Path) -> None:
    """Where none was refused that is said, with when a genuine one came."""
    ((state, found),) = explained(tmp_path, used_at="2026-11-30T09:00:02.5Z")
    assert ("ok", True) == (state, "2026-11-30 09:00:02Z" in found)
    assert "no genuine one came yet" in explained(tmp_path)[0][1]
    forgotten = {**kept(), "raw": ""}
    assert "ok" == explained(tmp_path, forgotten)[0][0]


def test_kinds_of_refusals(tmp_path: Path) -> None:
    """What is one mistake is one line, with how often it was met."""
    found = explained(
        tmp_path, kept("http://sms.example.com"), kept("http://sms.example.com", age_s=9), kept()
    )
    assert ["ok", "fault"] == [state for state, _ in found]  # the newest first
    assert found[1][1].startswith("2 refused, the last at ")
    assert found[1][1].endswith(f"-> [callbacks] public_url = http://sms.example.com, {URL}")


def test_what_is_past(tmp_path: Path) -> None:
    """A mistake after which callbacks verified is a warning, unless it was met just now."""
    wrong, now = "http://sms.example.com", datetime.now(UTC).isoformat()
    past = explained(tmp_path, kept(wrong, age_s=7_200), used_at=now)
    fresh = explained(tmp_path, kept(wrong, age_s=60), used_at=now)
    alone = explained(tmp_path, kept(wrong, age_s=7_200))
    assert ["warning", "fault", "fault"] == [each[0][0] for each in (past, fresh, alone)]
    assert "others verified since" in past[0][1]


def test_what_is_not_proved(tmp_path: Path) -> None:
    """A stranger's signature is a warning, not a fault."""
    stranger = kept("https://elsewhere.example.net")
    assert "warning" == explained(tmp_path, stranger)[0][0]


def test_a_stranger_hides_nothing(tmp_path: Path) -> None:
    """Behind many that nobody can explain, one of Plivo's is found all the same."""
    strangers = [kept(f"https://n{number}.example.net", signatures="v2") for number in range(60)]
    found = explained(tmp_path, *strangers, kept("http://sms.example.com"))
    assert any("scheme" in sentence for _, sentence in found)


def test_no_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be looked into is counted, not passed over in silence."""
    monkeypatch.setattr(refused, "WITHIN_S", -1.0)
    ((state, found),) = explained(tmp_path, kept(), kept())
    assert "warning" == state
    assert found.startswith("2 more were refused")


def test_two_mistakes_in_two_places(tmp_path: Path) -> None:
    """What is wrong in two places takes a longer search, and gets it."""
    found = explained(tmp_path, kept("http://www.sms.example.com:8080/webhook"))
    assert "scheme+host+port+prefix" in found[0][1]


def test_who_may_not_know(tmp_path: Path) -> None:
    """Without the daemon's word, or without the tokens, nothing is explained, and that is said."""
    path = settings(tmp_path)
    assert "warning" == one(refused.check, Stage(path))[0]
    lost = {"/doctor/refused": DOWN, "/tokens": DOWN}
    assert "warning" == one(refused.check, Stage(path, told(), lost))[0]
    answers = {"/doctor/refused": {"refused": [kept()]}, "/tokens": {"tokens": []}}
    blind = Stage(tmp_path / "none.conf", told(), answers)
    assert "sudo plivostatusctl doctor" in one(refused.check, blind)[1]


def test_tokens_that_may_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens in other files are suspects by their names; those of the local API are not."""
    monkeypatch.setattr(tokens, "STORED", tmp_path)
    path = settings(tmp_path)
    for name in ("auth_token~", "main_token", "api_token", "notes"):
        (tmp_path / name).write_text(f"token-of-{name}\n")
    (tmp_path / "token_without_rights").mkdir()
    config: Config = load(path, {}).config
    found = {each.key.name: each.mistake for each in tokens.suspects(config, set())}
    assert {"auth_token~": "old-token", "main_token": "main-token"}.items() <= found.items()
    assert not {"api_token", "notes"} & found.keys()
    stale = [each.mistake for each in tokens.suspects(config, {"another"})]
    assert "token-not-loaded" in stale
