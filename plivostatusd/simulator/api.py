"""
Plivo's Message API over HTTP: send, get, list.

Owns the answers' shape and the order of checks (outage, credentials, limits, parameters, story).
What a call means is the account's business.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import http
import json
import uuid
from typing import Any, NoReturn

from tornado.iostream import IOStream
from tornado.web import Application, Finish, HTTPError, RequestHandler

from . import listing, message, send
from .account import Account, ApiRequest, Failing, Outage
from .listing import Page
from .message import Message
from .story import Answer
from .view import ViewHandler

_JSON = "application/json"
_GARBLED = "<html><head><title>Temporarily unavailable</title></head><body></body></html>"


class ApiHandler(RequestHandler):
    """What every call of the API has in common."""

    SUPPORTED_METHODS = ("GET", "POST")

    account: Account
    dst = ""

    def initialize(self, account: Account) -> None:
        """Take the account that this call is about."""
        self.account = account

    def prepare(self) -> None:
        """Refuse before anything is looked at: outage, credentials, limits."""
        outage = self.account.outage
        if outage is not None and outage.strikes(self.request.method or ""):
            self._fail(outage)
        elif not self._is_authorised():
            self.set_header("WWW-Authenticate", 'Basic realm="Plivo"')
            self.refuse(401, "authentication failed")
        elif not self.account.admit(is_list=self._is_list()):
            self.refuse_for_now()

    def _fail(self, outage: Outage) -> None:
        """Do as *outage* wants; nothing of the call is looked at afterwards."""
        if outage.failing is Failing.REFUSED:
            self.refuse(outage.status, outage.error)
        if outage.failing is Failing.GARBLED:
            self.set_status(outage.status)
            raise Finish(_GARBLED)
        stream = self.cut_off()
        if outage.failing is Failing.CUT:
            stream.close()
        else:
            self.account.background.start(_wait_out(stream))

    def _is_list(self) -> bool:
        return self.request.method == "GET" and self.path_args[1:] == []

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

    def refuse_for_now(self) -> NoReturn:
        """Ask the caller to slow down."""
        retry_after_s = self.account.options.retry_after_s
        if retry_after_s is not None:
            self.set_header("Retry-After", str(retry_after_s))
        self.refuse(429, "too many requests")

    def cut_off(self) -> IOStream:
        """Give no answer; what becomes of the connection is the caller's business."""
        self.note(None)
        return self.detach()

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

    def prepare(self) -> None:
        """Note whom a send is for, even if it is refused unread."""
        body = self._json()
        if isinstance(body, dict) and isinstance(dst := body.get("dst"), str):
            self.dst = dst
        super().prepare()

    async def post(self, _auth_id: str) -> None:
        """Send."""
        asked = self._read_send()
        self.dst = "<".join(asked.recipients)
        manner = self.account.answer_to(asked.recipients)
        self._refuse_by(manner)
        taken = self.account.take(asked, self.request.remote_ip or "")
        if manner is Answer.DROPPED:
            self.cut_off().close()
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
            self.refuse_for_now()
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


async def _wait_out(stream: IOStream) -> None:
    """Keep a connection open until the other end gives up, or this one is stopped."""
    try:
        await stream.read_until_close()
    finally:
        stream.close()


def _no_access_log(_: RequestHandler) -> None:
    """Keep Tornado's access log silent: `say` tells what happens, with numbers masked."""
