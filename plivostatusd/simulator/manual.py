"""What the simulator's manual says: the stories, and what nobody should conclude from them."""

from __future__ import annotations

from .courier import RETRIES_S, TIMEOUT_S
from .limits import CALLS, CALLS_S, LISTS, LISTS_S
from .story import STORIES

_NOT_VOUCHED_FOR = """\
What this simulator cannot vouch for. It follows Plivo's public pages and SDKs, and was never
compared with a live account. Where those say nothing, it had to choose:

- nonces: 20 digits, one for V2 and another for V3. Whether Plivo signs a retry anew or repeats
  its nonce is unknown: --retry-nonce shows both.
- signature families: --signatures chooses. Which of V2, Ma-V2, V3 and Ma-V3 Plivo sends for
  messages differs between its own pages.
- Sequence: from 1, in steps of 1. Its first value and step are not documented.
- times in callbacks: UTC, because they name no zone. Times not known yet are blank; Plivo may
  leave the field out.
- order: first attempts about one message never overtake each other, unless --delay makes them
  late. Plivo promises no order.
- ErrorCode: blank unless undelivered or failed; which code comes with `rejected` is unknown.
- 429: whether Plivo sends Retry-After, and the body, are unknown. Limits are enforced with --limits
  alone; how Plivo counts is not documented.
- redirects: not followed, and counted as a failed attempt. What Plivo does is unknown.
- the list: newest first. Plivo's order is not documented, nor whether its `meta.next` goes on by
  offset or by cursor: --paging shows both. A filter that is not applied here is refused with 400.
- the API's times carry the offset +05:30, as in Plivo's example; yours may differ.
- bulk sends: `message_uuid` is in the order of `dst`. Plivo does not promise that.
- prices, MCC and MNC are made up; everybody is delivered in the USA.
- error texts, and 401 with its header, are made up. Paths without the last slash get 404.
- whether Plivo keeps connections to you open is unknown: here each callback has its own.
- inbound messages, media, WhatsApp conversations and `read` are not played.
"""

_VIEW = """\
GET /simulator/messages shows, as JSON and without credentials, what was taken: uuid, dst, status,
and each callback with the answer that it got (`forged` says whether Plivo would have sent it);
`lost` holds the sequence of each change whose callback was never made.
"""


def epilog() -> str:
    """Write what stands below the options in `--help`."""
    return f"{_stories()}\n{_retries()}\n{_troubles()}\n{_VIEW}\n{_NOT_VOUCHED_FOR}"


def _stories() -> str:
    lines = [f"  {story.digits}  {story.summary}" for story in STORIES.values()]
    head = "The last four digits of a recipient choose its story; any others are told as 0001:"
    return "\n".join((head, *lines, ""))


def _retries() -> str:
    waits = ", ".join(f"{wait_s:g}" for wait_s in RETRIES_S)
    return (
        f"A callback that gets no 2xx within {TIMEOUT_S:g} s is tried again after {waits} s; all\n"
        "these, and the stories' own waits, are divided by --speed (the time-out never falls\n"
        "below 2 s).\n"
    )


def _troubles() -> str:
    return (
        "--lose, --double and --delay draw a lot for each change of each message; --seed repeats\n"
        "them, in whatever order messages come. What is lost the API alone knows. --limits allows\n"
        f"{CALLS} calls in {CALLS_S:g} s, and {LISTS} of the list in {LISTS_S:g} s; --speed "
        "shortens these too.\n"
    )
