"""
How a command can end, and the one line that says why.

    CtlError                     exit 1   not found, refused or failed
    ├── Refused                  exit 1   the daemon answered, and said no
    ├── InDoubt                  exit 1   a send that may or may not be recorded, daemon answering
    ├── UsageError               exit 64  the command line makes no sense
    ├── Unreachable              exit 69  no connection to the daemon was made
    ├── AnswerLost               exit 69  the request went out, and no answer came back
    └── NotRecorded              exit 75  a send of which nothing was recorded: try again

Texts carry no token, no message text and no number. `main` prints them; nothing else does.
"""

from __future__ import annotations

from typing import Any, ClassVar

DONE = 0
FAILED = 1
USAGE = 64
UNAVAILABLE = 69
TRY_AGAIN = 75
INTERRUPTED = 130


class CtlError(Exception):
    """A command failed. `detail` says what happened, `hint` what to type."""

    exit_status: int = FAILED
    title: ClassVar[str] = "The command failed"

    def __init__(self, detail: str, *, hint: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint

    def line(self) -> str:
        """Say it in one line, for a person."""
        if not self.hint:
            return self.detail
        return f"{self.detail}{'' if self.detail.endswith('?') else '.'} {self.hint}"

    def document(self) -> dict[str, Any]:
        """Say it as problem details (RFC 9457), for a program."""
        own: dict[str, Any] = {
            "type": "about:blank",
            "title": self.title,
            "status": None,
            "detail": self.detail,
        }
        if self.hint:
            own["hint"] = self.hint
        return own | {"exit_status": self.exit_status}


class UsageError(CtlError):
    """The command line makes no sense, or names a file that cannot be read."""

    exit_status = USAGE
    title = "The command line is wrong"


class Unreachable(CtlError):
    """No connection was made, so the daemon has seen nothing of the request."""

    exit_status = UNAVAILABLE
    title = "The daemon cannot be reached"


class AnswerLost(CtlError):
    """A connection was made and the request begun; what became of it is not known."""

    exit_status = UNAVAILABLE
    title = "The daemon's answer was lost"


class NotRecorded(CtlError):
    """A send of which provably nothing was recorded."""

    exit_status = TRY_AGAIN
    title = "Nothing was recorded, it may be tried again"


class InDoubt(CtlError):
    """A send that may be recorded: repeating it blindly could send it twice."""

    title = "It is not known whether the message was recorded"

    def __init__(self, detail: str, *, hint: str, exit_status: int) -> None:
        super().__init__(detail, hint=hint)
        self.exit_status = exit_status


class Refused(CtlError):
    """The daemon answered with an error; `problem` is its problem document, if it sent one."""

    title = "The daemon refused"

    def __init__(self, status: int, problem: dict[str, Any] | None, *, hint: str = "") -> None:
        super().__init__(describe(status, problem), hint=hint or hint_of(problem))
        self.status = status
        self.problem = problem

    def document(self) -> dict[str, Any]:
        """Hand on the daemon's own problem document, with our hint and exit status added."""
        return super().document() | {"status": self.status} | (self.problem or {})


def describe(status: int, problem: dict[str, Any] | None) -> str:
    """Put a problem document into one line: what, the fields that are wrong, the HTTP status."""
    if problem is None:
        return f"the answer was HTTP status {status}, not the daemon's JSON"
    parts = [str(problem.get("detail") or problem.get("title") or "refused").rstrip(".")]
    parts += [line for line in _field_lines(problem) if line not in parts[0]]
    parts += [
        f"{name} {problem[name]}"
        for name in ("plivo_status", "plivo_error", "id")
        if problem.get(name) is not None
    ]
    return f"{'; '.join(parts)} ({status})"


def hint_of(problem: dict[str, Any] | None) -> str:
    """Return what the daemon itself says can be done, if it does."""
    return str((problem or {}).get("hint") or "")


def _field_lines(problem: dict[str, Any]) -> list[str]:
    listed = problem.get("problems")
    if not isinstance(listed, list):
        return []
    return [
        f"{entry.get('field')}: {entry.get('problem')}"
        for entry in listed
        if isinstance(entry, dict)
    ]
