from __future__ import annotations

from plivostatusd.plivo.call import SendCall


def test_repr_shows_nothing_private() -> None:
    """A call in a traceback shows neither text nor numbers nor the callback's URL."""
    call = SendCall(src="+14155551212", dst="+14155552323", text="hello", url="https://x/secret")
    assert repr(call) == "SendCall(type='sms')"
