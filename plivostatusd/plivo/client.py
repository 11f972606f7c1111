"""
One worker thread's own Plivo SDK client, made to go where we say and to tell the truth.

The SDK keeps state in a client during a call, so no two threads share one. Importing this module
loads the SDK (60 ms and 14 MiB on top of the daemon, measured 2026-11): ``api`` does so in the
worker thread, at the first call.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plivo
from plivo.exceptions import ValidationError

from plivostatusd.plivo.answer import Answer
from plivostatusd.plivo.attempt import CURRENT
from plivostatusd.plivo.call import SendCall
from plivostatusd.plivo.options import ApiOptions
from plivostatusd.plivo.wire import Adapter

LATER_S = 0.5
"""A socket gives up so much after the call, whose own clock names the reason."""

SYSTEM_CA_FILE = Path("/etc/ssl/certs/ca-certificates.crt")


class _RestClient(plivo.RestClient):  # type: ignore[misc]  # the SDK has no types
    """The SDK's client with a base URL of its own: the SDK resets it before every request."""

    our_base_uri: str

    def create_request(self, *args: Any, **kwargs: Any) -> Any:
        self.base_uri = self.our_base_uri
        return super().create_request(*args, **kwargs)


class Client:
    """The SDK for one thread. Its calls return nothing: the attempt under way holds the answer."""

    def __init__(self, options: ApiOptions) -> None:
        proxies = {"all": options.proxy} if options.proxy else None
        token = options.auth_token.reveal()
        socket_s = options.timeout_s + LATER_S
        self._rest = _RestClient(options.auth_id, token, proxies, socket_s)
        self._rest.our_base_uri = f"{options.api_url.rstrip('/')}/v1/Account"
        session = self._rest.session
        session.trust_env = False  # whatever a later SDK would read there
        session.verify = _trusted(options.ca_file)
        session.headers["Accept-Encoding"] = "identity"  # a few hundred bytes: nothing to unpack
        for scheme in ("https://", "http://"):
            session.mount(scheme, Adapter())

    def send(self, call: SendCall) -> None:
        """Ask Plivo to send one message."""
        try:
            self._rest.messages.create(**_arguments(call))
        except ValidationError as error:
            attempt = CURRENT.get()
            if not attempt.is_written:  # the SDK's own checks: Plivo would say no as well
                attempt.answer = Answer.refusal(str(error))

    def probe(self) -> None:
        """Ask Plivo something that costs nothing."""
        self._rest.messages.list(limit=1)

    def get(self, message_uuid: str) -> None:
        """Ask Plivo about one message."""
        self._rest.messages.get(message_uuid)

    def list(self, parameters: Mapping[str, str]) -> None:
        """
        Ask Plivo for one page of messages.

        Not by the SDK's own ``list``, which takes no cursor, and trips over refusals (TypeError).
        """
        self._rest.request("GET", ("Message",), dict(parameters))

    def close(self) -> None:
        """Close the connections; no call is under way."""
        self._rest.session.close()
        self._rest.multipart_session.close()


def _trusted(ca_file: Path | None) -> str | bool:
    """Choose the CA bundle: ours, else the system's, which updates itself, else certifi's."""
    if ca_file is not None:
        return str(ca_file)
    return str(SYSTEM_CA_FILE) if SYSTEM_CA_FILE.exists() else True


def _arguments(call: SendCall) -> dict[str, Any]:
    """Name the call's fields as the SDK does; numbers without plus, as Plivo documents them."""
    return {
        "src": call.src and call.src.removeprefix("+"),
        "dst": call.dst.removeprefix("+"),
        "text": call.text,
        "type_": call.type,
        "url": call.url,
        "powerpack_uuid": call.powerpack_uuid,
        "media_urls": list(call.media_urls) or None,
        "message_expiry": call.message_expiry,
        "dlt_entity_id": call.dlt_entity_id,
        "dlt_template_id": call.dlt_template_id,
        "dlt_template_category": call.dlt_template_category,
    }
