"""
The whole configuration as one frozen record, and the table that all its settings make.

`Config` is the only thing passed around; it is made by `plivostatusd.config.load`, or by hand in
a test. `SETTINGS` is what the reader, the sample file and the manual walk along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from plivostatusd.config.sections import (
    Api,
    Callbacks,
    Log,
    Plivo,
    Reconcile,
    Retention,
    Send,
    Store,
)
from plivostatusd.config.setting import Setting, attribute, rows
from plivostatusd.domain.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What the files named in the settings held. Every value prints as `***`."""

    auth_tokens: tuple[Secret, ...] = ()
    main_auth_tokens: tuple[Secret, ...] = ()
    api_tokens: Mapping[str, Secret] = field(default_factory=lambda: MappingProxyType({}))

    def values(self) -> tuple[Secret, ...]:
        """Return all of them: what a log must never show."""
        return (*self.auth_tokens, *self.main_auth_tokens, *self.api_tokens.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that the daemon was told, checked. Durations are seconds, sizes bytes."""

    plivo: Plivo
    callbacks: Callbacks
    api: Api = field(default_factory=Api)
    store: Store = field(default_factory=Store)
    send: Send = field(default_factory=Send)
    reconcile: Reconcile = field(default_factory=Reconcile)
    retention: Retention = field(default_factory=Retention)
    log: Log = field(default_factory=Log)
    secrets: Secrets = field(default_factory=Secrets)

    def differences(self, other: Config) -> tuple[Setting, ...]:
        """
        Return the settings that *other* says otherwise, in the table's order.

        A token that changed in its file counts as a change of the setting that names the file.
        """
        return tuple(row for row in SETTINGS if self._said(row) != other._said(row))

    def hidden(self) -> tuple[Secret, ...]:
        """Return what no log line may show: every token, and the proxy's password."""
        user, _, password = _user_info(self.plivo.proxy or "").partition(":")
        texts = (Secret(f"{user}:{password}"), Secret(password)) if password else ()
        unused = (self.plivo.auth_token,) if self.plivo.auth_token else ()
        return (*self.secrets.values(), *unused, *texts)

    def _said(self, row: Setting) -> tuple[object, object]:
        """Return a setting's value, with what the file that it names held."""
        held = {
            "plivo.auth_token_file": self.secrets.auth_tokens,
            "plivo.main_auth_token_file": self.secrets.main_auth_tokens,
            "api.token_file": self.secrets.api_tokens,
        }
        return getattr(getattr(self, row.section), attribute(row.key)), held.get(row.name)


def _user_info(url: str) -> str:
    return url.partition("://")[2].rpartition("@")[0]


SECTIONS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "plivo": Plivo,
        "callbacks": Callbacks,
        "api": Api,
        "store": Store,
        "send": Send,
        "reconcile": Reconcile,
        "retention": Retention,
        "log": Log,
    }
)

SETTINGS: tuple[Setting, ...] = tuple(
    row for section, declared in SECTIONS.items() for row in rows(section, declared)
)
