"""Which uses of a token are written down: one a minute, and the moment is known all the same."""

from __future__ import annotations

from plivostatusd.domain.signature import Key, Verdict
from plivostatusd.domain.statuses import Trust
from plivostatusd.flows.token_uses import TokenUses
from plivostatusd.store.token_uses import TokenUse

KEY = Key.of("auth_token 1", "a-token-of-the-account")


def verdict(family: str = "V3", key: Key = KEY) -> Verdict:
    """Say that *key* verified a callback."""
    trust: Trust = "full" if family == "V3" else "url-only"
    return Verdict(trust, family, key, "https://sms.example.com/plivo/status")


def test_once_a_minute() -> None:
    """A use is written at once, and then again a minute later; each token and family for itself."""
    uses = TokenUses()
    wanted = TokenUse(KEY.fingerprint, "V3")
    assert wanted == uses.note(verdict(), 1, 10.0)
    assert uses.note(verdict(), 2, 69.9) is None
    assert wanted == uses.note(verdict(), 3, 70.0)
    assert uses.note(verdict("V2"), 4, 70.0) is not None
    assert uses.note(verdict(key=Key.of("auth_token 2", "another")), 5, 70.0) is not None


def test_the_moment_is_known() -> None:
    """What is not written is remembered, to the microsecond."""
    uses = TokenUses()
    for now_us in (1, 2, 3):
        uses.note(verdict(), now_us, 10.0)
    assert {TokenUse(KEY.fingerprint, "V3"): 3} == uses.last_us
