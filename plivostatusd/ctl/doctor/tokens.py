"""The tokens that are configured, and what else may be one: for finding out who signed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from plivostatusd.config import Config
from plivostatusd.config.tokens import STORED
from plivostatusd.domain.diagnosis.clues import Suspect, suspects_of
from plivostatusd.domain.secret import Secret
from plivostatusd.domain.signature import Key

_FILE_BYTES_MAX = 16_384
_FILES_MAX = 20
_OTHERS = {"api_token", "api_tokens"}


def keys_of(config: Config) -> list[Key]:
    """Give the configured tokens as the daemon names them."""
    named: list[tuple[str, tuple[Secret, ...]]] = [
        ("auth_token", config.secrets.auth_tokens),
        ("main_auth_token", config.secrets.main_auth_tokens),
    ]
    return [
        Key.of(f"{name} {index}", token.reveal())
        for name, tokens in named
        for index, token in enumerate(tokens, start=1)
    ]


def token_file(config: Config) -> Path:
    """Say where Plivo's token is stored."""
    return config.plivo.auth_token_file or STORED / "auth_token"


def suspects(config: Config, in_force: set[str]) -> Iterator[Suspect]:
    """
    Give every token that may have signed though the daemon does not go by it.

    *in_force* are the fingerprints that it goes by; empty when it does not say.
    """
    place = token_file(config)
    if in_force:
        yield from not_loaded(config, in_force)
    yield from suspects_of(_lines(place), str(place))
    if config.plivo.main_auth_token_file:
        main = config.plivo.main_auth_token_file
        yield from suspects_of(_lines(main), str(main))
    known = {key.token for key in keys_of(config)}
    for file in _files_beside(config):
        for line in _lines(file):
            token = line.strip()
            if token and token.encode() not in known and len(token.split()) == 1:
                yield _of_file(token, file, place)


def not_loaded(config: Config, in_force: set[str]) -> Iterator[Suspect]:
    """
    Give every token that is stored, and whose fingerprint is not among those *in_force*.

    Systemd hands a credential over once: what is stored since waits for a restart.
    """
    place = token_file(config)
    lines = [line.strip() for line in _lines(place)]
    stored = [Key.of(place.name, line) for line in lines if line and not line.startswith("#")]
    for key in [*keys_of(config), *stored]:
        if key.fingerprint not in in_force:
            yield Suspect(
                key=key,
                mistake="token-not-loaded",
                found=f"it is signed with a token of {place} that the daemon has not read yet",
                fix="systemctl restart plivostatusd",
            )


def _of_file(token: str, file: Path, place: Path) -> Suspect:
    if "main" in file.name:
        return Suspect(
            key=Key.of(file.name, token),
            mistake="main-token",
            found=f"it is signed with the main account's token, which {file} holds",
            fix=f"[plivo] main_auth_token_file = {file}",
        )
    return Suspect(
        key=Key.of(file.name, token),
        mistake="old-token",
        found=f"it is signed with the token that {file} holds, and {place} does not",
        fix=f"put it on the second line of {place}, and systemctl restart plivostatusd",
    )


def _files_beside(config: Config) -> list[Path]:
    """Give the other files where tokens are stored."""
    used = {token_file(config), config.plivo.main_auth_token_file, config.api.token_file}
    found = []
    for folder in dict.fromkeys((token_file(config).parent, STORED)):
        try:
            found += sorted(each for each in folder.iterdir() if each.is_file())
        except OSError:
            continue
    likely = (each for each in found if each not in used and each.name not in _OTHERS)
    return [each for each in likely if "token" in each.name][:_FILES_MAX]


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            return file.read(_FILE_BYTES_MAX).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
