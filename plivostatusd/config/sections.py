"""
The settings: what can be configured, with each one's kind, default and explanation.

A section is a frozen dataclass and each field of it one setting. Nothing else in the program or
its documents says what a setting is: the reader, `plivostatusd -t`, `plivostatusd.conf.example`
and the manual are made from these fields. Durations are seconds, sizes bytes.
"""
# ruff: noqa: RUF009 - setting() and its like are dataclasses.field() with a row of the table in it

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plivostatusd.config import kinds
from plivostatusd.config.address import Address
from plivostatusd.config.setting import optional, required, setting
from plivostatusd.domain.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Plivo:
    """The account at Plivo, and how its API is reached."""

    auth_id: str = required(
        kinds.ACCOUNT,
        "The account's id, or a subaccount's, as Plivo's console shows it.",
        sample="MAXXXXXXXXXXXXXXXXXX",
        sensitive=True,
    )
    auth_token: Secret | None = optional(
        kinds.SECRET,
        "The account's token, for development only: it is refused here when other users can read "
        "this file. Store it in /etc/plivostatusd/credentials/auth_token instead.",
        sensitive=True,
    )
    auth_token_file: Path | None = optional(
        kinds.PATH,
        "File with the account's token, one a line: the first sends, all of them verify "
        "callbacks, so that a token can be replaced without losing any. Lines that begin with # "
        "are comments; other users must not be able to read the file. When this is not set, the "
        "token is looked for in $CREDENTIALS_DIRECTORY/auth_token (systemd's LoadCredential=), "
        "in auth_token above, and in the environment variable PLIVO_AUTH_TOKEN.",
        sample="/etc/plivostatusd/credentials/auth_token",
        sensitive=True,
    )
    main_auth_token_file: Path | None = optional(
        kinds.PATH,
        "For a subaccount: file with the main account's token, one a line, to verify callbacks "
        "that Plivo signs with that one alone.",
        sample="/etc/plivostatusd/credentials/main_auth_token",
        sensitive=True,
    )
    api_url: str = setting(
        kinds.API_URL,
        "Base of Plivo's API. Change it only to talk to a simulator.",
        default="https://api.plivo.com",
    )
    proxy: str | None = optional(
        kinds.PROXY,
        "Proxy for calls to Plivo's API. The variables HTTPS_PROXY and HTTP_PROXY are not looked "
        "at.",
        sample="http://proxy.example.com:3128",
        sensitive=True,
    )
    ca_file: Path | None = optional(
        kinds.PATH,
        "Certificates (PEM) of the authorities that may vouch for Plivo's API, for a proxy that "
        "opens TLS.",
        sample="/etc/ssl/certs/ca-certificates.crt",
    )
    timeout: float = setting(
        kinds.duration("100ms", "10m"),
        "Longest wait for one answer of Plivo's API, from dialling to its last byte.",
        default="30s",
    )
    concurrency: int = setting(
        kinds.whole("1", "100"),
        "API calls in flight at most.",
        default="8",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """The public listener, behind Nginx: here Plivo reports what became of each message."""

    public_url: tuple[str, ...] = required(
        kinds.PUBLIC_URLS,
        "Where Plivo reaches this machine: scheme and host, a port if it is not the usual one, "
        "and the path prefix if Nginx strips one. Signatures are checked against exactly this "
        "text, never against the Host header. When moving house name both, separated by a comma: "
        "the first is given to Plivo, callbacks to any of them are accepted.",
        sample="https://sms.example.com",
    )
    listen: tuple[Address, ...] = setting(
        kinds.ADDRESSES,
        "Where Nginx passes callbacks on to.",
        default="127.0.0.1:8787",
        reload=False,
    )
    minimum_trust: str = setting(
        kinds.choice("url-only", "full"),
        "How much of a callback its signature must cover. Plivo's V3 signature covers all of it "
        "(full), V2 covers the address alone (url-only). With full, a callback that carries V2 "
        "alone is refused.",
        default="url-only",
    )
    body_max: int = setting(
        kinds.size("1KiB", "10MiB"),
        "Largest callback accepted; a larger one is answered 413. Plivo's are below 2 KiB.",
        default="16KiB",
    )
    queue_max: int = setting(
        kinds.whole("1", "1000000"),
        "Callbacks that may wait to be written to disk; past it they are answered 503, and Plivo "
        "calls again.",
        default="5000",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The local listener: here programs on this machine send messages and ask about them."""

    listen: tuple[Address, ...] = setting(
        kinds.ADDRESSES,
        "Where programs on this machine reach it. A Unix socket (unix:/run/plivostatusd/api.sock) "
        "is guarded by its group, TCP by token_file; without token_file TCP is for loopback alone.",
        default="127.0.0.1:8788",
        reload=False,
    )
    token_file: Path | None = optional(
        kinds.PATH,
        "File with one NAME TOKEN a line. TCP clients must then send Authorization: Bearer TOKEN, "
        "and NAME is logged and kept with each message. Tokens have 16 characters or more; other "
        "users must not be able to read the file. When this is not set, it is "
        "$CREDENTIALS_DIRECTORY/api_token (systemd's LoadCredential=), if there is one.",
        sample="/etc/plivostatusd/credentials/api_tokens",
        sensitive=True,
    )
    hosts: tuple[str, ...] = setting(
        kinds.HOSTS,
        "Host names accepted over TCP, so that no web page can send messages through a browser on "
        "this machine. Add the public name when Nginx passes /send on.",
        default="localhost, 127.0.0.1, [::1]",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where messages and their events are kept."""

    path: Path = setting(
        kinds.PATH,
        "The SQLite file, on a local disk. The spool, which takes callbacks while SQLite cannot, "
        "lies beside it in spool/.",
        default="/var/lib/plivostatusd/status.db",
        reload=False,
    )
    spool_reserve: int = setting(
        kinds.size("0", "1GiB"),
        "Disk space held back so that the spool still works on a full disk.",
        default="2MiB",
        reload=False,
    )
    commit_timeout: float = setting(
        kinds.duration("1ms", "1m"),
        "A write to the store that takes longer sends callbacks to the spool.",
        default="1s",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """The way out: messages accepted by POST /send."""

    from_: str | None = optional(
        kinds.SENDER,
        "Sender of messages that name none.",
        sample="+14155551212",
        sensitive=True,
    )
    queue_max: int = setting(
        kinds.whole("1", "10000000"),
        "Messages that may wait to be sent; past it new ones are answered 429.",
        default="100000",
    )
    per_day: int = setting(
        kinds.whole("1", "1000000000", zero="is no limit"),
        "Messages a day at most, against a script that runs away; past it 429.",
        default="0",
    )
    unknown_after: float = setting(
        kinds.duration("1s", "365d"),
        "A message of which nobody could find out whether Plivo took it is reported after this "
        "long. It is never sent again by itself.",
        default="24h",
    )
    unknown_then: str = setting(
        kinds.choice("report", "refuse"),
        "What then becomes of it. report: it stays unknown until somebody settles it "
        "(plivostatusctl settle). refuse: it counts as refused, whether or not Plivo took it.",
        default="report",
    )
    wait: float = setting(
        kinds.duration("1ms", "5m", zero="answers at once"),
        "How long POST /send waits for Plivo's answer before it says 'pending'.",
        default="10s",
    )
    retry_for: float = setting(
        kinds.duration("1s", "7d", zero="never tries again"),
        "How long a call that certainly did not reach Plivo, or met its rate limit, is tried "
        "again.",
        default="1h",
    )
    per_second: float = setting(
        kinds.decimal("0.001", "10000"),
        "Pace of calls to Plivo's API. A new account may send 5 messages a second.",
        default="5",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """Asking Plivo about messages whose callbacks do not come."""

    after: float = setting(
        kinds.duration("1s", "365d", zero="never asks"),
        "Silence after which Plivo is asked what became of a message.",
        default="10m",
    )
    list_per_minute: float = setting(
        kinds.decimal("0.001", "100000"),
        "Calls of Plivo's list of messages; Plivo allows 20 a minute.",
        default="20",
    )
    get_per_second: float = setting(
        kinds.decimal("0.001", "1000"),
        "Questions about single messages.",
        default="2",
    )
    silence_final: float = setting(
        kinds.duration("1s", "365d"),
        "A message whose last word stays 'sent' this long counts as final: many carriers confirm "
        "no delivery.",
        default="72h",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long what was sent is kept."""

    text: float = setting(
        kinds.duration("1s", "36500d", zero="keeps them"),
        "Age at which the texts of messages are blanked.",
        default="30d",
    )
    messages: float = setting(
        kinds.duration("1s", "36500d", zero="keeps them"),
        "Age at which messages and their events are deleted.",
        default="400d",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What goes to standard output, which systemd hands to the journal."""

    level: str = setting(
        kinds.choice("debug", "info", "warning", "error"),
        "The least important lines that are written.",
        default="info",
    )
    format: str = setting(
        kinds.choice("json", "console"),
        "json: one object a line. console: coloured, for a person at a terminal.",
        default="json",
    )
    numbers: str = setting(
        kinds.choice("masked", "full"),
        "Phone numbers in log lines: masked (+1415****2323) or full.",
        default="masked",
    )
