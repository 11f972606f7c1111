"""
Print everything known of one message, to be handed on as evidence.

Its story, each callback byte by byte as it came, each of their signatures
checked again now (by which token, against which URL), what Plivo's own record
says at this moment, the price, and who sent it. Says, too, what is not kept.
Numbers and text are in it: it is whole, and so as private as the message.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from plivostatusd.ctl.client import records
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE
from plivostatusd.ctl.show import path_of, print_story
from plivostatusd.ctl.timeline import precise
from plivostatusd.ctl.visible import printable, visible

WORDS = "ID"
_INDENT = "    "


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the id, and whether Plivo is asked."""
    parser.add_argument("id", metavar="ID", help="our id, or Plivo's message_uuid")
    parser.add_argument("--offline", action="store_true", help="do not ask Plivo's API")


def run(run: Run) -> int:
    """Ask for the evidence and print it."""
    query = {"ask": "0"} if run.options.offline else None
    evidence = run.client.get(f"{path_of(run.options.id)}/evidence", query)
    if run.output.as_json:
        run.output.document(evidence)
    else:
        _print(run, evidence)
    return DONE


def _print(run: Run, evidence: dict[str, Any]) -> None:
    message: dict[str, Any] = evidence.get("message") or {}
    write = run.output.line
    write(f"Evidence of message {visible(message.get('id'))}")
    made = f"{visible(evidence.get('made_by'))} for {visible(evidence.get('made_for'))}"
    write(f"made {precise(evidence.get('made_at'))} by {made}")
    write("")
    print_story(run, message)
    listed = records(evidence, "records")
    for number, record in enumerate(listed, start=1):
        write("")
        write(f"Record {number} of {len(listed)}: {_about(record)}")
        for line in _lines(record):
            write(f"{_INDENT}{line}".rstrip())
    write("")
    for line in _plivo(evidence.get("plivo") or {}):
        write(line)
    write("")
    write("Not kept, and so not shown:")
    for each in evidence.get("not_kept") or ():
        write(f"{_INDENT}{visible(each)}")


def _about(record: dict[str, Any]) -> str:
    parts = [
        f"{visible(record.get('source'))}, received {precise(record.get('received_at'))}",
        f"says {visible(record.get('status'))}",
        f"taken at trust {visible(record.get('trust'))}",
    ]
    if record.get("verified_by"):
        parts.append(f"proved then by {visible(record['verified_by'])}")
    return ", ".join(parts)


def _lines(record: dict[str, Any]) -> Iterator[str]:
    if record.get("blanked"):
        yield "its bytes were blanked by 'forget'"
        return
    request = record.get("request")
    if isinstance(request, dict):
        yield printable(f"{request.get('method')} {request.get('target')}")
        for name, value in (request.get("headers") or {}).items():
            yield printable(f"{name}: {value}")
        yield ""
        yield printable(str(request.get("body")))
    else:
        yield printable(str(record.get("body")))
    yield ""
    yield f"SHA-256 {visible(record.get('sha256'))}"
    for signature in record.get("signatures") or ():
        yield _verdict(signature)


def _verdict(signature: dict[str, Any]) -> str:
    header = visible(signature.get("header"))
    if not signature.get("genuine"):
        return f"checked now: {header} is made by no token that is configured, over no public URL"
    token, url = visible(signature.get("token")), visible(signature.get("url"))
    covers = visible(signature.get("covers"))
    return f"checked now: {header} is genuine: {token}, over {url} (covers {covers})"


def _plivo(said: dict[str, Any]) -> Iterator[str]:
    answer = said.get("answer")
    if answer == "not asked":
        why = f": {visible(said['reason'])}" if said.get("reason") else ""
        yield f"Plivo was not asked{why}"
        return
    asked = f"Plivo was asked at {precise(said.get('asked_at'))}"
    if answer == "absent":
        yield f"{asked}, and has no such message"
    elif answer != "found":
        yield f"{asked}, and gave no answer: {visible(said.get('reason'))}"
    else:
        yield f"{asked}, and its record says:"
        for name, value in (said.get("record") or {}).items():
            spelt = value if isinstance(value, str) else json.dumps(value)
            yield f"{_INDENT}{printable(str(name))}: {printable(spelt)}"
