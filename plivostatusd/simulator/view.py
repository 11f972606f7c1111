"""The truth over HTTP, for people and for tests in another process: `GET /simulator/messages`."""

from __future__ import annotations

import json

from tornado.web import RequestHandler

from .account import Account
from .delivery import Delivery
from .message import Message


class ViewHandler(RequestHandler):
    """
    `{"messages": [{uuid, dst, status, sequence, …, lost, callbacks: [{status, sequence, …}]}]}`.

    Oldest first. Needs no credentials, since only this machine reaches it. No message text.
    """

    account: Account

    def initialize(self, account: Account) -> None:
        """Take the account to show."""
        self.account = account

    def get(self) -> None:
        """Show everything."""
        messages = [_shown(message) for message in self.account.messages.values()]
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"messages": messages}))


def _shown(message: Message) -> dict[str, object]:
    return {
        "uuid": message.uuid,
        "dst": message.dst,
        "story": message.story.digits if message.story else None,
        "status": message.state,
        "sequence": message.sequence,
        "error_code": message.error_code or None,
        "lost": sorted(message.lost),
        "callbacks": [_shown_delivery(delivery) for delivery in message.deliveries],
    }


def _shown_delivery(delivery: Delivery) -> dict[str, object]:
    return {
        "status": delivery.status,
        "sequence": delivery.sequence,
        "attempt": delivery.attempt,
        "answer": delivery.answer,
        "trouble": delivery.trouble or None,
        "forged": delivery.is_forged,
        "forgery": delivery.forgery or None,
    }
