"""A scene for the checks of `doctor` whose answers are given beforehand."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from plivostatusd import __version__
from plivostatusd.config import ConfigError, Loaded
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.doctor import nginx_dump
from plivostatusd.ctl.doctor.check import Check
from plivostatusd.ctl.doctor.command import Said
from plivostatusd.ctl.doctor.plivo import Answer
from plivostatusd.ctl.doctor.scene import Once, Scene
from plivostatusd.ctl.errors import CtlError, Unreachable
from plivostatusd.domain.signature import Key

TOKEN = "a-token-of-the-account"
URL = "https://sms.example.com"
UUID = "3e82ae9d-2c78-4d85-b1a4-000000000001"
DOWN = Unreachable("the daemon cannot be reached; tried unix:/x (no such file)")
NAMELESS = Namespace(nginx="no-nginx-here", config=None)


def settings(folder: Path, *, token: str = TOKEN, mode: int = 0o600, **more: str) -> Path:
    """Write a configuration and its token file."""
    (folder / "auth_token").write_text(f"{token}\n")
    (folder / "auth_token").chmod(mode)
    path = folder / "plivostatusd.conf"
    lines = {"api": "", "callbacks": "", **more}
    path.write_text(
        f"[plivo]\nauth_id = MA{'X' * 18}\nauth_token_file = {folder}/auth_token\n"
        f"[callbacks]\npublic_url = {URL}\n{lines['callbacks']}\n[api]\n{lines['api']}\n"
        f"[store]\npath = {folder}/status.db\n[send]\nfrom = +14155551212\n"
    )
    return path


def told(**changed: Any) -> dict[str, Any]:
    """Say what a daemon says of itself."""
    return {
        "version": __version__,
        "python": "3.13.1",
        "sqlite": "3.46.1",
        "pid": 0,
        "uid": 999,
        "config_good": True,
        "public_urls": [URL],
        "callbacks_listen": ["127.0.0.1:8787"],
        "minimum_trust": "url-only",
        "tokens": [Key.of("x", TOKEN).fingerprint],
        "spool_records": 0,
        "ready": {"store writable": None, "spool empty": None},
        **changed,
    }


class Stage(Scene):
    """A scene whose answers are given beforehand."""

    def __init__(
        self,
        path: Path,
        about: dict[str, Any] | CtlError = DOWN,
        answers: dict[str, Any] | None = None,
        plivo: Answer | None = None,
    ) -> None:
        if isinstance(about, dict):
            about.setdefault("config", str(path))
        client = Namespace(address=Namespace(socket=""))
        self.run = cast("Run", Namespace(options=NAMELESS, environ={}, client=client))
        self.config_path = path
        self.loaded: Once[Loaded | ConfigError] = Once(self._load)
        self.daemon: Once[dict[str, Any] | CtlError] = Once(lambda: about)
        self.plivo: Once[Answer] = Once(lambda: plivo or Answer(200, ahead_s=0.1))
        self.nginx: Once[nginx_dump.Dump] = Once(
            lambda: nginx_dump.Dump(None, Said(None, is_missing=True))
        )
        self._answers = answers or {}

    def asked(self, path: str, *, timeout_s: float = 0.0) -> dict[str, Any] | CtlError:
        """Give the answer that was put there."""
        del timeout_s
        answer: dict[str, Any] | CtlError = self._answers[path]
        return answer


def seen(maker: Callable[[Scene], Iterable[Check]], scene: Scene) -> list[tuple[str, str]]:
    """Make a check; states and sentences come back, what to type behind an arrow."""
    return [(check.state, " -> ".join(check.cells()[2:])) for check in maker(scene)]


def one(maker: Callable[[Scene], Iterable[Check]], scene: Scene) -> tuple[str, str]:
    """Make a check that says one thing."""
    (found,) = seen(maker, scene)
    return found
