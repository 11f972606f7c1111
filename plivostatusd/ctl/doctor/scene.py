"""
What the checks look at together: the configuration, what the daemon says, Plivo's answer.

Each is found out once, by whichever check asks first; the others wait for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from plivostatusd.config import Config, ConfigError, Loaded, load
from plivostatusd.ctl.by_hand import look
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.doctor import nginx_dump, plivo
from plivostatusd.ctl.errors import CtlError
from plivostatusd.ctl.target import CONFIG

FIRST_LOOK_S = 2.5
"""One that runs and does not answer is known by then, and all else can still be looked at."""
LOOK_S = 5.0
T = TypeVar("T")


class Once(Generic[T]):
    """Finds something out when it is first asked for, whichever thread asks."""

    def __init__(self, find: Callable[[], T]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._found: list[T] = []

    def __call__(self) -> T:
        """Give it."""
        with self._lock:
            if not self._found:
                self._found.append(self._find())
            return self._found[0]


class Scene:
    """One run of `doctor`; every attribute but `run` is to be called."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.config_path = Path(run.options.config or CONFIG)
        self.loaded: Once[Loaded | ConfigError] = Once(self._load)
        self.daemon: Once[dict[str, Any] | CtlError] = Once(
            lambda: self.asked("/doctor", timeout_s=FIRST_LOOK_S)
        )
        self.plivo: Once[plivo.Answer] = Once(self._ask_plivo)
        self.nginx: Once[nginx_dump.Dump] = Once(lambda: nginx_dump.take(run.options.nginx))

    @property
    def config(self) -> Config | None:
        """The configuration; None when it cannot be used."""
        loaded = self.loaded()
        return loaded.config if isinstance(loaded, Loaded) else None

    @property
    def told(self) -> dict[str, Any]:
        """What the daemon says of itself; nothing when it does not answer."""
        told = self.daemon()
        return told if isinstance(told, dict) else {}

    @property
    def environ(self) -> dict[str, str]:
        """Give our own environment, and above it what the daemon was started with."""
        environ = dict(self.run.environ)
        try:
            raw = Path(f"/proc/{self.told['pid']}/environ").read_bytes()
        except (KeyError, OSError):
            return environ
        pairs = (entry.partition("=") for entry in raw.decode("utf-8", "replace").split("\0"))
        return environ | {name: value for name, _, value in pairs if _is_ours(name)}

    def asked(self, path: str, *, timeout_s: float = LOOK_S) -> dict[str, Any] | CtlError:
        """Ask the daemon what is for operators; why not, when it does not say."""
        try:
            return look(self.run, path, timeout_s=timeout_s)
        except CtlError as error:
            return error

    def wait_for_nginx(self) -> None:
        """
        Return once `nginx -T` has ended: who connects must not meet it.

        Where no Nginx runs it listens for a moment on every port that it is configured for, and
        resets whoever came (ngx_open_listening_sockets; seen with 1.22).
        """
        self.nginx()

    def public_urls(self) -> tuple[str, ...]:
        """Give public_url: as the daemon goes by it, else as it is configured."""
        config = self.config
        return tuple(
            self.told.get("public_urls") or (config.callbacks.public_url if config else ())
        )

    def listens(self) -> tuple[str, ...]:
        """Say where the public listener is."""
        config = self.config
        listed = map(str, config.callbacks.listen) if config else ()
        return tuple(self.told.get("callbacks_listen") or listed)

    def _load(self) -> Loaded | ConfigError:
        """Read it as the daemon did; where its credentials cannot be seen, as `-t` does."""
        errors = []
        for environ in (self.environ, dict(self.run.environ)):
            try:
                return load(self.config_path, environ, testing=True)
            except ConfigError as error:
                errors.append(error)
        return errors[0]

    def _ask_plivo(self) -> plivo.Answer:
        config = self.config
        return (
            plivo.Answer(why="the configuration cannot be used")
            if config is None
            else (plivo.ask(config))
        )


def _is_ours(name: str) -> bool:
    return name.startswith("PLIVOSTATUSD_") or name in {"PLIVO_AUTH_TOKEN", "CREDENTIALS_DIRECTORY"}
