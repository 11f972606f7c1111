"""Which daemon is asked, and which token it is shown."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from plivostatusd.config import load
from plivostatusd.ctl import target
from plivostatusd.ctl.client import Client
from plivostatusd.ctl.errors import UsageError


def client(*, environ: dict[str, str] | None = None, **options: str) -> Client:
    """Find the daemon that *options* mean."""
    given = {"socket": None, "url": None, "token_file": None, "config": None} | options
    return target.client(Namespace(**given), environ or {})


def places(found: Client) -> list[str]:
    """Where it would ask, in order."""
    return list(map(str, found._addresses))


def write(folder: Path, text: str) -> str:
    """Write a configuration."""
    path = folder / "plivostatusd.conf"
    path.write_text(text)
    return str(path)


def test_usual_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without options and configuration the usual socket is asked, then the usual port."""
    monkeypatch.setattr(target, "CONFIG", tmp_path / "none.conf")
    expected = ["unix:/run/plivostatusd/api.sock", "http://127.0.0.1:8788"]
    assert expected == places(client())


def test_usual_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without options the usual configuration says where."""
    path = write(tmp_path, "[api]\nlisten = 127.0.0.1:9000\n")
    monkeypatch.setattr(target, "CONFIG", Path(path))
    assert ["http://127.0.0.1:9000"] == places(client())


def test_sockets_first(tmp_path: Path) -> None:
    """Of the listeners that the configuration names, sockets are asked first."""
    path = write(tmp_path, "[api]\nlisten = 127.0.0.1:1, unix:/a, [::1]:2, unix:/b\n")
    expected = ["unix:/a", "unix:/b", "http://127.0.0.1:1", "http://[::1]:2"]
    assert expected == places(client(config=path))


def test_default_listener(tmp_path: Path) -> None:
    """A configuration that says nothing of the API means the default listener."""
    path = write(tmp_path, "[plivo]\nauth_id = x\n")
    assert ["http://127.0.0.1:8788"] == places(client(config=path))


def test_environment_over_file(tmp_path: Path) -> None:
    """The environment overrides the file, as it does for the daemon."""
    path = write(tmp_path, "[api]\nlisten = 127.0.0.1:1\n")
    environ = {"PLIVOSTATUSD_API_LISTEN": "unix:/e"}
    assert ["unix:/e"] == places(client(config=path, environ=environ))


def test_secrets_are_not_needed(tmp_path: Path) -> None:
    """Listeners are found though another setting is bad and credentials cannot be read."""
    text = "[plivo]\nauth_token_file = /none\nnonsense = 1\n[api]\nlisten = unix:/a\n"
    assert ["unix:/a"] == places(client(config=write(tmp_path, text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "No such file"),
        ("[api]\nlisten = here\n", "neither ADDRESS:PORT nor unix:/PATH"),
    ],
)
def test_bad_configuration(tmp_path: Path, text: str | None, expected: str) -> None:
    """A configuration that was named and cannot be used ends the command, in one line."""
    path = write(tmp_path, text) if text else str(tmp_path / "none.conf")
    with pytest.raises(UsageError, match=expected) as caught:
        client(config=path)
    assert "\n" not in caught.value.line()
    assert path in caught.value.line()


def test_options_over_configuration(tmp_path: Path) -> None:
    """--socket and --url are asked alone, and need no configuration."""
    none = str(tmp_path / "none.conf")
    assert ["unix:/s"] == places(client(socket="/s", config=none))
    assert ["http://127.0.0.1:5"] == places(client(url="http://127.0.0.1:5", config=none))


LISTENERS = [
    "",
    "[api]\n",
    "[api]\nlisten = unix:/a.sock, 127.0.0.1:8788\n",
    "[send]\nper_day = 5\n\n[api]\r\nlisten=[::1]:88 ,  10.0.0.5:99\r\ntoken_file = {tokens}\r\n",
    "[api]\n# listen = unix:/b\nlisten\t=\t127.0.0.1:7\ntoken_file =\n[log]\nlevel = debug\n",
]


@pytest.mark.parametrize("text", LISTENERS)
@pytest.mark.parametrize(
    "environ", [{}, {"PLIVOSTATUSD_API_LISTEN": " unix:/e, 127.0.0.1:5\n"}], ids=["file", "both"]
)
def test_what_the_daemon_reads(tmp_path: Path, text: str, environ: dict[str, str]) -> None:
    """Where the daemon listens and what tokens it knows is found as the daemon finds it."""
    (tmp_path / "tokens").write_text("cron token-of-cron-16x\n")
    (tmp_path / "tokens").chmod(0o600)
    needed = f"[plivo]\nauth_id = MA{'X' * 18}\n[callbacks]\npublic_url = https://a.example\n"
    spelled = text.replace("{tokens}", f"{tmp_path}/tokens")
    path = Path(write(tmp_path, f"\ufeff{needed}{spelled}"))
    path.chmod(0o600)
    environ = {"PLIVO_AUTH_TOKEN": "x" * 40, "PLIVOSTATUSD_API_TOKEN_FILE": ""} | environ
    if "{tokens}" in text:
        del environ["PLIVOSTATUSD_API_TOKEN_FILE"]
    api = load(path, environ).config.api
    sockets_first = sorted(api.listen, key=lambda address: not address.is_unix)
    found = target._configured(str(path), environ)
    assert list(map(str, sockets_first)) == [
        str(address).removeprefix("http://") for address in found.addresses
    ]
    assert api.token_file == found.token_file


def configured(tmp_path: Path, listen: str) -> str:
    """Write a configuration with a token file."""
    (tmp_path / "tokens").write_text("cron token-of-cron-16x\nweb token-of-web\n")
    return write(tmp_path, f"[api]\nlisten = {listen}\ntoken_file = {tmp_path}/tokens\n")


def token(found: Client) -> str:
    """The token that the first address is shown."""
    return found._token(found.address)


def test_configured_token(tmp_path: Path) -> None:
    """A TCP listener is shown the first token of the configuration's token file."""
    assert "token-of-cron-16x" == token(client(config=configured(tmp_path, "192.0.2.1:80")))


def test_stored_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no file is named, the token that the package has stored is shown to our own port."""
    stored = tmp_path / "api_token"
    monkeypatch.setattr(target, "STORED_TOKEN", stored)
    path = write(tmp_path, "[api]\nlisten = 127.0.0.1:9000\n")
    (own,) = client(config=path)._addresses
    assert "" == client(config=path)._token(own)
    stored.write_text("local stored-token-4711\n")
    assert "stored-token-4711" == client(config=path)._token(own)


def test_socket_needs_no_token(tmp_path: Path) -> None:
    """A socket is shown no token unless one was asked for."""
    path = configured(tmp_path, "unix:/a")
    assert "" == token(client(config=path))
    other = tmp_path / "other"
    other.write_text("given-token")
    assert "given-token" == token(client(config=path, token_file=str(other)))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://sms.example.com", ""),
        ("https://sms.example.com", "token-of-cron-16x"),
        ("http://127.0.0.1:7", "token-of-cron-16x"),
    ],
)
def test_token_stays_private(tmp_path: Path, url: str, expected: str) -> None:
    """The configuration's token is not sent in the clear to a host that was typed."""
    path = configured(tmp_path, "127.0.0.1:8788")
    assert expected == token(client(config=path, url=url))


def test_given_token_goes_anywhere(tmp_path: Path) -> None:
    """A token file that was named is used where it was asked for."""
    path = tmp_path / "t"
    path.write_text("given-token")
    assert "given-token" == token(client(url="http://sms.example.com", token_file=str(path)))


def test_token_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A token file that was named must be readable; the configuration's need not be."""
    path = write(tmp_path, f"[api]\ntoken_file = {tmp_path}/none\n")
    assert "" == token(client(config=path))
    with pytest.raises(UsageError, match=r"--token-file: .*none: No such file"):
        token(client(config=path, token_file=str(tmp_path / "none")))
