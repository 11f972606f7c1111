"""
One question to Plivo's API that costs nothing: the list of messages, one entry of it.

By the standard library: the daemon's own way to Plivo loads an SDK, which costs a second.
"""

from __future__ import annotations

import base64
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from plivostatusd.config import Config

WITHIN_S = 6.0


@dataclass(frozen=True, slots=True)
class Answer:
    """
    How the API answered: *status*, and how far our clock is before Plivo's, in seconds.

    Without an answer *why* says why not; *is_unasked* when there was nothing to ask with.
    """

    status: int | None = None
    ahead_s: float | None = None
    why: str = ""
    is_unasked: bool = False


def ask(config: Config) -> Answer:
    """Ask, as the daemon would: its account, first token, proxy and CA file."""
    if not config.secrets.auth_tokens:
        return Answer(why="the token may be read by root alone", is_unasked=True)
    request = _request(config)
    try:
        opener = _opener(config)
        with opener.open(request, timeout=WITHIN_S) as reply:
            return _answer(reply.status, reply.headers.get("Date", ""))
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.headers.get("Date", ""))
    except urllib.error.URLError as error:
        return Answer(why=_reason(error.reason))
    except (OSError, ValueError) as error:
        return Answer(why=_reason(error))


def _request(config: Config) -> urllib.request.Request:
    plivo = config.plivo
    url = f"{plivo.api_url}/v1/Account/{plivo.auth_id}/Message/?limit=1"
    pair = f"{plivo.auth_id}:{config.secrets.auth_tokens[0].reveal()}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return urllib.request.Request(url, headers=headers)  # noqa: S310 - https, or loopback: config/urls.py


def _opener(config: Config) -> urllib.request.OpenerDirector:
    plivo = config.plivo
    context = ssl.create_default_context(cafile=str(plivo.ca_file) if plivo.ca_file else None)
    proxies = dict.fromkeys(("http", "https"), plivo.proxy) if plivo.proxy else {}
    return urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=context)
    )


def _answer(status: int, date: str) -> Answer:
    try:
        told_s = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return Answer(status)
    # Plivo cuts the second off, so its clock stands half a second later on average.
    return Answer(status, ahead_s=time.time() - told_s - 0.5)


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
