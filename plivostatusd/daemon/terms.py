"""What each door and flow is told, from the configuration. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from plivostatusd.domain.signature import Key, Verifier
from plivostatusd.flows import pulse
from plivostatusd.flows.front_door import Terms as FrontDoorTerms
from plivostatusd.flows.outbox import Terms
from plivostatusd.flows.reconcile import Terms as ReconcileTerms
from plivostatusd.flows.upkeep import Retention
from plivostatusd.plivo.api import ApiOptions
from plivostatusd.web.access import Rules
from plivostatusd.web.knows import Knows

if TYPE_CHECKING:
    from pathlib import Path

    from plivostatusd.config import Config
    from plivostatusd.domain.statuses import Trust
    from plivostatusd.store.pulse import Past

LOOK_AFTER_S: Final = 130.0
"""Plivo's time of a message may lie two minutes from ours; before that a list may lack rivals."""
_BEATS_PER_RETRY_FOR: Final = 10


def verifier(config: Config) -> Verifier:
    """Whose signatures count, and how much they must cover."""
    named = [
        (f"{name} {index}", token.reveal())
        for name, tokens in (
            ("auth_token", config.secrets.auth_tokens),
            ("main_auth_token", config.secrets.main_auth_tokens),
        )
        for index, token in enumerate(tokens, start=1)
    ]
    keys = [Key.of(name, token) for name, token in named]
    minimum: Trust = "full" if config.callbacks.minimum_trust == "full" else "url-only"
    return Verifier(keys, config.callbacks.public_url, minimum=minimum)


def queue_max(config: Config, connections_max: int) -> int:
    """
    How many callbacks may wait: each holds its connection, and some are left to say 503 on.

    Else no queue of ours would ever be full, and whoever comes when all connections are in work
    would wait in the kernel, hear nothing, and come again.
    """
    return min(config.callbacks.queue_max, connections_max * 3 // 4)


def api_options(config: Config) -> ApiOptions:
    """How Plivo's API is reached."""
    plivo = config.plivo
    return ApiOptions(
        auth_id=plivo.auth_id,
        auth_token=config.secrets.auth_tokens[0],
        api_url=plivo.api_url,
        proxy=plivo.proxy,
        ca_file=plivo.ca_file,
        timeout_s=plivo.timeout,
        concurrency=plivo.concurrency,
    )


def sending(config: Config) -> Terms:
    """How messages are sent."""
    send = config.send
    return Terms(
        public_url=config.callbacks.public_url[0],
        per_second=send.per_second,
        concurrency=config.plivo.concurrency,
        retry_for_s=send.retry_for,
        queue_max=send.queue_max,
        per_day=send.per_day,
        look_after_s=min(LOOK_AFTER_S, config.reconcile.after or LOOK_AFTER_S),
    )


def reconciling(config: Config) -> ReconcileTerms:
    """How Plivo's API is asked."""
    reconcile = config.reconcile
    return ReconcileTerms(
        after_s=reconcile.after,
        silence_final_s=reconcile.silence_final,
        get_per_second=reconcile.get_per_second,
        list_per_minute=reconcile.list_per_minute,
        unknown_after_s=config.send.unknown_after,
        refuses_unknown=config.send.unknown_then == "refuse",
    )


def retention(config: Config) -> Retention:
    """What is forgotten when."""
    return Retention(
        text_s=config.retention.text,
        messages_s=config.retention.messages,
        keys=verifier(config).fingerprints,
    )


def front_door(config: Config) -> FrontDoorTerms:
    """How the front door is probed: by the URL that Plivo is given, signed by the first token."""
    judge = verifier(config)
    return FrontDoorTerms(
        public_url=config.callbacks.public_url[0],
        key=judge.keys[0],
        verifier=judge,
        upstream=_upstream(config),
    )


def _upstream(config: Config) -> str:
    """Spell the public listener as Nginx's proxy_pass wants it."""
    first = config.callbacks.listen[0]
    return f"unix:{first.path}" if first.is_unix else str(first)


def knows(config: Config, path: Path) -> Knows:
    """What an operator is told of the configuration in force."""
    return Knows(
        config_path=path,
        public_urls=config.callbacks.public_url,
        listens=tuple(map(str, config.callbacks.listen)),
        minimum_trust=config.callbacks.minimum_trust,
        keys=verifier(config).keys,
    )


def rules(config: Config) -> Rules:
    """Who may use the local API over TCP."""
    return Rules(
        hosts=frozenset(host.lower() for host in config.api.hosts),
        tokens=config.secrets.api_tokens,
    )


def beat_s(config: Config) -> float:
    """How often the heartbeat is written: often enough that `send.retry_for` can be told by it."""
    wanted_s = config.send.retry_for / _BEATS_PER_RETRY_FOR or pulse.EVERY_S
    return min(pulse.EVERY_S, max(pulse.EVERY_S_MIN, wanted_s))


def doubt(config: Config, past: Past) -> str | None:
    """
    Say why what an earlier process left may not be sent without a person's word; None: it may.

    Nobody was there for so long that it is stale; or the store is an old copy, of which the newer
    one has sent it.
    """
    longest_s = config.send.retry_for
    if past.away_us is None or not longest_s:
        return None
    away_s = past.away_us / 1_000_000
    if away_s <= longest_s + (0 if past.was_clean else beat_s(config)):
        return None
    return f"the daemon was away for {away_s:.0f} s, longer than send.retry_for"
