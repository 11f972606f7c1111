"""
Every error this program raises on purpose.

    StatusdError
    ├── Refusal                     a request that gets an answer other than 2xx
    │   ├── BadSignature            403  no signature of ours verifies, or it is too weak
    │   ├── ReplayRefused           403  a remembered nonce under another request
    │   ├── UnknownRef              403  a weakly signed request on a ref that is not ours
    │   ├── CallbackUnreadable      400  signed by nobody, and not to be parsed
    │   ├── BadSend                 400  a send with one or more problems
    │   ├── KeyInFlight             409  the first request with this key is being committed
    │   ├── KeyReused               422  the key came before with another body
    │   ├── NotCancellable          409  the message is past `pending`
    │   ├── NotUnknown              409  nothing to settle: its outcome is known, or awaited
    │   ├── UuidTaken               409  Plivo's id belongs to another message
    │   ├── TextGone                409  the text is no longer kept, so it cannot be sent again
    │   ├── LimitReached            429  our own pace or queue limit
    │   ├── Undecided               500  nobody can say whether the commit happened
    │   ├── OutboxPaused            503  Plivo refuses the account
    │   ├── NoRoom                  507  a copy of the store would fill the disk
    │   └── StoreUnavailable        503  the commit did not happen
    │       └── StoreDamaged        503  and will not, until somebody repairs the store
    ├── StartRefused                exit 69: something needed is not there
    └── StoryEnded                  exit 70: a part of the daemon has ended by a fault of ours

A foreign error is renamed once, at the door that met it. Texts carry no token, number or message
text. `hint` is what an operator can type.
"""

from __future__ import annotations

from typing import ClassVar


class StatusdError(Exception):
    """The root: catches everything that this program raises on purpose."""

    hint: str = ""


class Refusal(StatusdError):
    """A request that cannot be granted; `http_status` is the answer it gets."""

    http_status: ClassVar[int] = 400
    slug: ClassVar[str] = "refused"
    title: ClassVar[str] = "The request was refused"

    def __init__(self, detail: str = "", *, retry_after_s: int | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.retry_after_s = retry_after_s


class BadSignature(Refusal):
    """No signature verifies. `reason` is for the log; the sender never learns it."""

    http_status = 403
    slug = "bad-signature"
    title = "The signature does not verify"
    hint = "plivostatusctl doctor"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ReplayRefused(Refusal):
    """A nonce that is remembered came with another request, and only V2 signs it."""

    http_status = 403
    slug = "replay"
    title = "The nonce was used before"
    reason = "replay"
    hint = "Somebody may hold a captured callback: plivostatusctl show ID"


class UnknownRef(Refusal):
    """Only V2 signs a request on a ref that this store does not know."""

    http_status = 403
    slug = "unknown-ref"
    title = "The callback's path belongs to no message of this store"
    reason = "unknown_ref"
    hint = "Was the store restored from a backup? V3-signed callbacks are kept all the same."


class CallbackUnreadable(Refusal):
    """The body cannot be parsed, and no signature over the URL vouches for it."""

    slug = "unreadable"
    title = "The body cannot be read"
    reason = "unreadable"


class BadSend(Refusal):
    """A send with problems, each a pair of field and sentence."""

    slug = "bad-send"
    title = "The message was not accepted"

    def __init__(self, problems: tuple[tuple[str, str], ...]) -> None:
        super().__init__("; ".join(f"{field}: {problem}" for field, problem in problems))
        self.problems = problems


class KeyInFlight(Refusal):
    """The first request with this Idempotency-Key is being committed at this moment."""

    http_status = 409
    slug = "key-in-flight"
    title = "The first request with this Idempotency-Key is still being committed"


class KeyReused(Refusal):
    """An Idempotency-Key was used before, with another body."""

    http_status = 422
    slug = "key-reused"
    title = "This Idempotency-Key was used before with another body"


class NotCancellable(Refusal):
    """The message is no longer pending, so cancelling it would be a lie."""

    http_status = 409
    slug = "not-cancellable"
    title = "Only a pending message can be cancelled"


class NotUnknown(Refusal):
    """The message is not a send whose outcome is unknown, so nobody's word is needed on it."""

    http_status = 409
    slug = "not-unknown"
    title = "Only a send whose outcome is unknown can be settled"


class UuidTaken(Refusal):
    """The `MessageUUID` that an operator named is another message's."""

    http_status = 409
    slug = "uuid-taken"
    title = "This message_uuid belongs to another message"


class TextGone(Refusal):
    """The text was blanked, so the message cannot be sent again."""

    http_status = 409
    slug = "text-gone"
    title = "The text of the message is no longer kept (retention.text)"


class LimitReached(Refusal):
    """A limit of our own: `send.queue_max` or `send.per_day`."""

    http_status = 429
    slug = "limit-reached"
    title = "A limit of this daemon is reached"


class OutboxPaused(Refusal):
    """Plivo refuses the account, so nothing new is taken until it does not."""

    http_status = 503
    slug = "outbox-paused"
    title = "Plivo refuses the account; nothing was recorded"
    hint = "Look at the account's credentials and credit in Plivo's console"


class Undecided(Refusal):
    """A COMMIT reported an error, and what it left could not be read back: a 503 would lie."""

    http_status = 500
    slug = "undecided"
    title = "It is not known whether this was recorded"
    hint = "Look at plivostatusctl list before it is sent again, or repeat it under its key"


class NoRoom(Refusal):
    """A copy of the store, which is made beside it, would take what the spool may need."""

    http_status = 507
    slug = "no-room"
    title = "There is no room for a copy of the store"

    def __init__(self, detail: str = "", *, hint: str = "") -> None:
        super().__init__(detail)
        self.hint = hint


class StoreUnavailable(Refusal):
    """The commit did not happen. Nothing was acknowledged; Plivo will call again."""

    http_status = 503
    slug = "store-unavailable"
    title = "The store cannot take writes"
    hint = "journalctl -u plivostatusd names what to type"

    def __init__(self, detail: str = "", *, hint: str = "") -> None:
        super().__init__(detail)
        self.hint = hint or self.hint


class StoreDamaged(StoreUnavailable):
    """The store cannot be relied upon, so nothing is written into it. *command* repairs it."""

    slug = "store-damaged"
    title = "The store is damaged, and is left as it is"
    hint = "journalctl -u plivostatusd names the command that repairs it"

    def __init__(self, detail: str = "", *, command: str = "") -> None:
        super().__init__(detail)
        self.command = command


class StoryEnded(StatusdError):
    """
    A part of the daemon that runs for as long as it does has ended.

    What is left would look alive and not do its work: the process ends, and is started again.
    """

    hint = "journalctl -u plivostatusd -p err"


class StartRefused(StatusdError):
    """Something the daemon needs is not there; it ends with exit status 69."""

    def __init__(self, sentence: str, *, command: str = "") -> None:
        super().__init__(f"{sentence}. Type: {command}" if command else sentence)
        self.sentence = sentence
        self.command = command
