"""
Say what became of a send whose outcome is unknown, for good.

--sent UUID: Plivo has it, and its console shows it as UUID. --not-sent: it was not
sent. --send-again: send it as a new message, whether or not the first arrived.
"""

from __future__ import annotations

from argparse import ArgumentParser

from plivostatusd.ctl.by_hand import do
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE
from plivostatusd.ctl.show import path_of
from plivostatusd.ctl.visible import visible

WORDS = "ID (--sent UUID | --not-sent | --send-again)"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the id, and the one word on it."""
    parser.add_argument("id", metavar="ID", help="our id")
    word = parser.add_mutually_exclusive_group(required=True)
    word.add_argument("--sent", metavar="UUID", help="Plivo has it, under this message_uuid")
    word.add_argument("--not-sent", action="store_true", help="it was not sent")
    word.add_argument("--send-again", action="store_true", help="send it as a new message")


def run(run: Run) -> int:
    """Settle the message."""
    options = run.options
    if options.sent is not None:
        said = {"outcome": "sent", "message_uuid": options.sent}
        options.words_again = ("--sent", options.sent)
    else:
        word = "not-sent" if options.not_sent else "send-again"
        said = {"outcome": word}
        options.words_again = (f"--{word}",)
    message = do(run, f"{path_of(options.id)}/settle", said)
    if run.output.as_json:
        run.output.document(message)
    else:
        run.output.line(f"{visible(message.get('id'))}  {visible(message.get('status'))}")
    return DONE
