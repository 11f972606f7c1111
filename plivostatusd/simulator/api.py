"""
Plivo's Message API over HTTP: send, get, list.

Owns the answers' shape and the order of checks (outage, credentials, parameters, story). What a
call means is the account's business.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import http
import json
import uuid
from typing import Any, NoReturn

from tornado.web import Application, Finish, HTTPError, RequestHandler

from . import listing, message, send
from .account import Account, ApiRequest
from .listing import Page
from .message import Message
from .story import Answer
from .view import ViewHandler

_JSON = "application/json"


class ApiHandler(RequestHandler):
    """What every call of the API has in common."""

    SUPPORTED_METHODS = ("GET", "POST")

    account: Account
    dst = ""

    def initialize(self, account: Account) -> None:
        """Take the account that this call is about."""
        self.account = account

    def prepare(self) -> None:
        """Refuse before anything is read: outage, then credentials."""
        outage = self.account.outage
        if outage is not None and outage.refuses(self.request.method or ""):
            self.refuse(outage.status, outage.error)
        if not self._is_authorised():
            self.set_header("WWW-Authenticate", 'Basic realm="Plivo"')
            self.refuse(401, "authentication failed")

    def _is_authorised(self) -> bool:
        options = self.account.options
        scheme, _, encoded = self.request.headers.get("Authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            return False
        known = [f"{options.auth_id}:{token}".encode() for token in options.auth_tokens]
        is_known = any(hmac.compare_digest(given, pair) for pair in known)
        return scheme.lower() == "basic" and is_known and self._is_own_account()

    def _is_own_account(self) -> bool:
        return self.path_args[:1] == [self.account.options.auth_id]

    def answer(self, status: int, **body: object) -> None:
        """Write a JSON answer with an `api_id`, as each of Plivo's has."""
        self.set_status(status)
        self.set_header("Content-Type", _JSON)
        self.finish(json.dumps({"api_id": str(uuid.uuid4()), **body}))

    def refuse(self, status: int, error: str) -> NoReturn:
        """Answer with an error, and end the call here."""
        self.answer(status, error=error)
        raise Finish

    def write_error(self, status_code: int, **_: Any) -> None:
        """Give Tornado's own refusals (404, 405) Plivo's shape."""
        if status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self.allowed()))
        self.answer(status_code, error=http.HTTPStatus(status_code).phrase.lower())

    def allowed(self) -> list[str]:
        """Name the methods that this resource has."""
        has = type(self)
        return [
            name
            for name in self.SUPPORTED_METHODS
            if getattr(has, name.lower()) is not getattr(RequestHandler, name.lower())
        ]

    def on_finish(self) -> None:
        """Note the call in the truth."""
        self.note(self.get_status())

    def note(self, answer: int | None) -> None:
        """Add this call to the account's list."""
        request = self.request
        self.account.requests.append(
            ApiRequest(request.method or "", request.path, answer, self.dst)
        )


class MessagesHandler(ApiHandler):
    """`/v1/Account/{auth_id}/Message/`."""

    async def post(self, _auth_id: str) -> None:
        """Send."""
        asked = self._read_send()
        self.dst = "<".join(asked.recipients)
        manner = self.account.answer_to(asked.recipients)
        self._refuse_by(manner)
        taken = self.account.take(asked, self.request.remote_ip or "")
        if manner is Answer.DROPPED:
            self.note(None)
            self.detach().close()
            return
        if manner is Answer.AFTER_CALLBACK:
            await taken[0].first_called.wait()
        self._accept(asked, taken)

    def _read_send(self) -> send.Send:
        body = self._json() if self._is_json() else None
        if not isinstance(body, dict):
            self.refuse(400, "the body should be a JSON object")
        try:
            return send.read(body)
        except send.ParameterError as exc:
            self.refuse(400, str(exc))

    def _is_json(self) -> bool:
        return self.request.headers.get("Content-Type", "").partition(";")[0].strip() == _JSON

    def _json(self) -> object:
        try:
            return json.loads(self.request.body)
        except ValueError:
            return None

    def _refuse_by(self, manner: Answer) -> None:
        if manner is Answer.LIMITED_ONCE:
            retry_after_s = self.account.options.retry_after_s
            if retry_after_s is not None:
                self.set_header("Retry-After", str(retry_after_s))
            self.refuse(429, "too many requests")
        if manner is Answer.BROKEN:
            self.refuse(500, "internal server error")
        if manner is Answer.REFUSED:
            self.refuse(400, "refused by the story of this number")

    def _accept(self, asked: send.Send, taken: list[Message]) -> None:
        invalid = {"invalid_number": list(asked.invalid)} if asked.invalid else {}
        uuids = [message.uuid for message in taken]
        self.answer(202, message="message(s) queued", message_uuid=uuids, **invalid)

    def get(self, _auth_id: str) -> None:
        """List."""
        filters = {name: self.get_query_argument(name) for name in self.request.query_arguments}
        try:
            page = self.account.page(filters)
        except listing.FilterError as exc:
            self.refuse(400, str(exc))
        self._list(page, filters)

    def _list(self, page: Page, filters: dict[str, str]) -> None:
        auth_id = self.account.options.auth_id
        self.answer(
            200,
            meta=page.meta(self.request.path, filters),
            objects=[message.record(each, auth_id) for each in page.messages],
        )


class MessageHandler(ApiHandler):
    """`/v1/Account/{auth_id}/Message/{uuid}/`."""

    def get(self, _auth_id: str, message_uuid: str) -> None:
        """Get one."""
        found = self.account.messages.get(message_uuid)
        if found is None:
            self.refuse(404, "not found")
        self.answer(200, **message.record(found, self.account.options.auth_id))


class UnknownHandler(RequestHandler):
    """Anything else: 404, in Plivo's shape."""

    def prepare(self) -> None:
        """Refuse."""
        raise HTTPError(404)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Answer as the API would."""
        self.set_header("Content-Type", _JSON)
        self.set_status(status_code)
        self.finish(json.dumps({"api_id": str(uuid.uuid4()), "error": "not found"}))


def application(account: Account) -> Application:
    """Lay out the paths: Plivo's own, and the view of the truth."""
    messages = r"/v1/Account/([^/]+)/Message/"
    about = {"account": account}
    return Application(
        [
            (messages, MessagesHandler, about),
            (messages + r"([^/]+)/", MessageHandler, about),
            (r"/simulator/messages", ViewHandler, about),
        ],
        default_handler_class=UnknownHandler,
        log_function=_no_access_log,
    )


def _no_access_log(_: RequestHandler) -> None:
    """Keep Tornado's access log silent: `say` tells what happens, with numbers masked."""
