from __future__ import annotations

import grp
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from plivostatusd.config import Address, ConfigError, Loaded, load
from plivostatusd.domain.secret import Secret

ID = "MA" + "0" * 18
TOKEN = "t" * 40
LEAST = f"[plivo]\nauth_id = {ID}\n[callbacks]\npublic_url = https://sms.example.com\n"
NOBODY = 65_534
ENVIRON = {"PLIVO_AUTH_TOKEN": TOKEN}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a configuration file and return its path."""

    def put(text: str | bytes, mode: int = 0o600) -> Path:
        path = tmp_path / "x.conf"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    return put


def read(path: Path, **environ: str) -> Loaded:
    """Load *path* with a token and *environ* in the environment."""
    return load(path, {**ENVIRON, **environ})


def complaints(path: Path, **environ: str) -> list[str]:
    """Return what is wrong, without the file's folder."""
    with pytest.raises(ConfigError) as caught:
        read(path, **environ)
    return [str(problem).replace(f"{path.parent}/", "") for problem in caught.value.problems]


def test_the_least_configuration_gives_every_default(write: Write) -> None:
    """Two settings and a token make a whole configuration; the rest are the documented defaults."""
    config = read(write(LEAST)).config
    assert config.plivo.auth_id == ID
    assert config.plivo.api_url == "https://api.plivo.com"
    assert config.plivo.timeout == 30.0
    assert config.callbacks.public_url == ("https://sms.example.com",)
    assert config.callbacks.listen == (Address(host="127.0.0.1", port=8787),)
    assert config.callbacks.body_max == 16_384
    assert config.api.hosts == ("localhost", "127.0.0.1", "[::1]")
    assert config.store.path == Path("/var/lib/plivostatusd/status.db")
    assert config.send.from_ is None
    assert config.send.per_second == 5.0
    assert config.reconcile.silence_final == 259_200.0
    assert config.retention.messages == 34_560_000.0
    assert config.log.numbers == "masked"
    assert config.secrets.auth_tokens == (Secret(TOKEN),)


def test_several_values_are_separated_by_commas(write: Write) -> None:
    """Listeners and public URLs may be several, on TCP and Unix sockets at once."""
    text = LEAST + "listen = unix:/run/a.sock, [::1]:8787\n"
    config = read(write(text.replace("example.com", "example.com, https://old.example/p"))).config
    assert list(map(str, config.callbacks.listen)) == ["unix:/run/a.sock", "[::1]:8787"]
    assert config.callbacks.public_url == ("https://sms.example.com", "https://old.example/p")


def test_the_environment_overrides_the_file(write: Write) -> None:
    """A variable wins over the file, which is checked all the same."""
    text = LEAST + "[send]\nwait = 5s\n"
    config = read(write(text), PLIVOSTATUSD_SEND_WAIT="7s", PLIVOSTATUSD_SEND_FROM="74564").config
    assert (config.send.wait, config.send.from_) == (7.0, "74564")


def test_the_environment_can_unset_what_may_be_unset(write: Write) -> None:
    """An empty variable takes an optional setting away, and is a problem for any other."""
    path = write(LEAST + "[send]\nfrom = 74564\n")
    assert read(path, PLIVOSTATUSD_SEND_FROM="").config.send.from_ is None
    assert complaints(path, PLIVOSTATUSD_SEND_WAIT="") == [
        (
            "environment variable PLIVOSTATUSD_SEND_WAIT: [send] wait: the value is empty; "
            "expected a duration from 1ms to 5m, or 0, which answers at once"
        )
    ]


def test_a_bad_variable_is_named(write: Write) -> None:
    """A problem with an override names its variable, not the file."""
    assert complaints(write(LEAST), PLIVOSTATUSD_CALLBACKS_BODY_MAX="16") == [
        (
            "environment variable PLIVOSTATUSD_CALLBACKS_BODY_MAX: [callbacks] body_max: "
            "'16' has no "
            "unit; expected a size from 1KiB to 10MiB"
        )
    ]


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("PLIVOSTATUSD_SEND_WIAT", "did you mean PLIVOSTATUSD_SEND_WAIT?"),
        ("PLIVOSTATUSD_SENDER_FROM", "did you mean PLIVOSTATUSD_SEND_FROM?"),
        ("PLIVOSTATUSD_API_PORT", "did you mean"),
        ("PLIVOSTATUSD_LOG_", "did you mean"),
    ],
)
def test_a_variable_that_means_to_be_a_setting(write: Write, variable: str, hint: str) -> None:
    """A misspelt override is a problem: silently doing nothing would be worse."""
    (complaint,) = complaints(write(LEAST), **{variable: "8788"})
    assert complaint.startswith(
        f"environment variable {variable}: there is no such setting; {hint}"
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PLIVOSTATUSD_HOME", "/srv"),
        ("PLIVOSTATUSD_VERSION", "1"),
        ("PLIVOSTATUSD_SERVICE_HOST", "10.0.0.1"),
        ("PLIVOSTATUSD_API_SERVICE_PORT_HTTP", "80"),
        ("PLIVOSTATUSD_API_PORT", "tcp://10.0.0.1:80"),
        ("PLIVOSTATUSD_API_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("plivostatusd_send_wait", "x"),
        ("PLIVO_AUTH_ID", "x"),
    ],
)
def test_a_variable_that_is_somebody_elses(write: Write, variable: str, value: str) -> None:
    """Variables that name no section of ours, or that a container host sets, are left alone."""
    read(write(LEAST), **{variable: value})


def test_every_problem_is_told_at_once(write: Write) -> None:
    """Form, values, missing settings, environment, tokens and contradictions: all in one go."""
    path = write(
        "[plivo]\nauth_tokn = x\n[api]\nlisten = 0.0.0.0:8788, 127.0.0.1:8788\n"
        "token_file =\n[send]\nwait = 10\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(path, {"PLIVOSTATUSD_LOG_LEVEL": "loud"})
    found = [
        (problem.line, f"{problem.section}.{problem.key}", problem.found)
        for problem in caught.value.problems
    ]
    assert found == [
        (2, "plivo.auth_tokn", "unknown key; did you mean 'auth_token'?"),
        (7, "send.wait", "'10' has no unit"),
        (None, "log.level", "'loud' is none of them"),
        (None, "plivo.auth_id", "is not set"),
        (None, "callbacks.public_url", "is not set"),
        (None, "plivo.auth_token_file", "no token of the account was found"),
        (
            4,
            "api.listen",
            "0.0.0.0:8788 is reachable from other machines and api.token_file is not set",
        ),
        (4, "api.listen", "127.0.0.1:8788 collides with 0.0.0.0:8788 here"),
    ]
    assert str(caught.value).count("\n") == 7


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "body_max = 16KiB ; bytes",
            "the value has a comment behind it, which needs a line of its own",
        ),
        (
            "body_max = 16KiB # x",
            "the value has a comment behind it, which needs a line of its own",
        ),
        ('minimum_trust = "full"', "the value stands in quotes, which are taken literally here"),
        ("minimum_trust = ful", "'ful' is none of them; did you mean 'full'?"),
        ("queue_max =", "the value is empty"),
        ("queue_max = 0", "'0' is too small"),
        ("queue_max = 5_000", "'5_000' is not a whole number"),
        ("listen = 127.0.0.1", "'127.0.0.1' is not ADDRESS:PORT or unix:/path"),
    ],
)
def test_a_value_that_is_refused(write: Write, line: str, expected: str) -> None:
    """A wrong value is told with its line, what ails it and what was expected."""
    (complaint,) = complaints(write(LEAST + line + "\n"))
    key = line.partition(" ")[0]
    assert complaint.startswith(f"x.conf:5: [callbacks] {key}: {expected}; expected ")


def test_every_bad_entry_of_a_list_is_told(write: Write) -> None:
    """Two bad addresses in one line are two problems."""
    found = complaints(write(LEAST + "listen = 1, 127.0.0.1:0, 2\n"))
    assert [text.partition(" is ")[0] for text in found] == [
        "x.conf:5: [callbacks] listen: '1'",
        "x.conf:5: [callbacks] listen: '2'",
    ]


@pytest.mark.parametrize(
    "text",
    [
        f"[plivo]\nauth_id = {TOKEN}",
        f"[plivo]\nauth_token = {TOKEN} x",
        f"[plivo]\nauth_token_file = {TOKEN}",
        f"[plivo]\nauth_token_file = /{TOKEN}",
        f"[plivo]\nproxy = http://u:{TOKEN}@h/x",
        f"[plivo]\napi_url = https://u:{TOKEN}@h",
        f"[callbacks]\npublic_url = https://u:{TOKEN}@h, https://u:{TOKEN},x@h",
        f"[api]\ntoken_file = {TOKEN}",
        f"[send]\nfrom = +1415555{TOKEN}",
    ],
)
def test_no_problem_shows_a_secret(write: Write, text: str) -> None:
    """A token in the wrong place or in the wrong shape is never repeated."""
    assert TOKEN not in "\n".join(complaints(write(text)))


def test_a_full_number_is_not_shown(write: Write) -> None:
    """A sender that is refused is not repeated."""
    assert "4155552323" not in "".join(complaints(write(LEAST + "[send]\nfrom = 0014155552323/x")))


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda _path: None, "does not exist"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
        (lambda path: path.symlink_to("/dev/zero"), "is larger than 1 MiB"),
    ],
)
def test_a_file_that_cannot_be_read(
    tmp_path: Path, make: Callable[[Path], object], found: str
) -> None:
    """A configuration that is not there is one problem with its path, and no traceback."""
    path = tmp_path / "y.conf"
    make(path)
    assert complaints(path) == [f"y.conf: the file {found}"]


def test_a_file_that_may_not_be_read(write: Write) -> None:
    """What root types lets this group read it: `plivostatusd -t` would find nothing wrong."""
    path = write("")
    path.chmod(0)
    me = os.geteuid()
    if me == 0:
        os.seteuid(NOBODY)
    try:
        with pytest.raises(ConfigError) as caught:
            read(path)
    finally:
        os.seteuid(me)
    group = grp.getgrgid(os.getegid()).gr_name
    assert f"chgrp {group} {path} && chmod g+r {path}" == caught.value.command


def test_a_path_that_cannot_exist() -> None:
    """Even a path with a NUL in it is a problem, printed on one line."""
    assert complaints(Path("/run/\0\n")) == [
        "\\x00\\n: the file cannot be read: its name is not valid"
    ]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660])
def test_a_token_in_the_file_itself(write: Write, mode: int) -> None:
    """For development the token may stand in the file, if others cannot read it."""
    path = write(LEAST.replace("[callbacks]", f"auth_token = {TOKEN}\n[callbacks]"), mode)
    assert load(path, {}).config.secrets.auth_tokens == (Secret(TOKEN),)


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o664])
def test_a_token_in_a_file_that_others_read(write: Write, mode: int) -> None:
    """A token that others can read is refused, even when another one is used."""
    path = write(LEAST.replace("[callbacks]", f"auth_token = {TOKEN}\n[callbacks]"), mode)
    assert complaints(path) == [
        (
            "x.conf:3: [plivo] auth_token: other users can read the token here; expected the "
            "token in "
            "a file of its own, or this file closed to them: chmod o= FILE"
        )
    ]
    assert complaints(path, PLIVOSTATUSD_PLIVO_AUTH_TOKEN=TOKEN)


@pytest.mark.parametrize("value", ["", "unset"])
def test_no_token_in_a_file_that_others_read(write: Write, value: object) -> None:
    """A file without a token in it may be open to all."""
    path = write(LEAST.replace("[callbacks]", f"auth_token = {value}\n[callbacks]"), 0o644)
    assert read(path).config.secrets.auth_tokens == (Secret(TOKEN),)


def test_a_token_as_an_override(write: Write) -> None:
    """From the environment, `auth_token` counts without a look at the file's mode."""
    loaded = load(write(LEAST, 0o644), {"PLIVOSTATUSD_PLIVO_AUTH_TOKEN": TOKEN})
    assert loaded.config.secrets.auth_tokens == (Secret(TOKEN),)


def test_nothing_printed_of_a_configuration_shows_a_secret(write: Write) -> None:
    """The record prints without tokens, the proxy's password, the account and the sender."""
    text = LEAST.replace(
        "[callbacks]", f"auth_token = {TOKEN}\nproxy = http://u:pw1@h\n[callbacks]"
    )
    config = read(write(text + "[send]\nfrom = +14155551212\n")).config
    assert not [word for word in (TOKEN, "pw1", ID, "4155551212") if word in repr(config)]
    assert {secret.reveal() for secret in config.hidden()} == {TOKEN, "pw1", "u:pw1"}


API_ELSEWHERE = "[api]\nlisten = unix:/run/x.sock\n"


@pytest.mark.parametrize(
    ("lines", "place", "found"),
    [
        ("", "", "every user of this machine can send messages over 127.0.0.1:8788"),
        (
            API_ELSEWHERE + "[store]\ncommit_timeout = 2s",
            "8",
            "a callback that cannot be stored may not be answered within 2s",
        ),
        (
            API_ELSEWHERE + "[retention]\ntext = 30m",
            "8",
            "texts are blanked before the last attempt to send them",
        ),
    ],
)
def test_doubts(write: Write, lines: str, place: str, found: str) -> None:
    """What works but may not be meant is one warning, at the line of the setting if it has one."""
    (warning,) = read(write(LEAST + lines)).warnings
    assert (place, found) == (str(warning.line or ""), warning.found)


def test_no_doubts(write: Write) -> None:
    """A usual configuration has no warnings."""
    assert read(write(LEAST + API_ELSEWHERE)).warnings == ()


def test_plain_http_to_the_world_is_a_doubt(write: Write) -> None:
    """A public URL without TLS is warned of, unless it is loopback."""
    text = LEAST.replace("https://sms.example.com", "http://a.example, http://localhost")
    loaded = read(write(text + "[api]\nlisten = unix:/x"))
    assert [problem.found for problem in loaded.warnings] == [
        "http://a.example is plain http: whoever sits on the way can read callbacks"
    ]


def test_tokens_open_the_api_to_other_machines(write: Write, tmp_path: Path) -> None:
    """With a token file the API may listen anywhere, without a warning."""
    tokens = tmp_path / "tokens"
    tokens.write_text(f"cron {TOKEN}\n")
    tokens.chmod(0o600)
    loaded = read(write(LEAST + f"[api]\nlisten = 0.0.0.0:8788\ntoken_file = {tokens}\n"))
    assert loaded.config.secrets.api_tokens == {"cron": Secret(TOKEN)}
    assert loaded.warnings == ()


def test_one_address_for_both_listeners(write: Write) -> None:
    """Two listeners cannot share an address."""
    path = write(LEAST + "listen = 127.0.0.1:9\n[api]\nlisten = localhost:9\n")
    assert complaints(path) == [
        (
            "x.conf:7: [api] listen: localhost:9 collides with 127.0.0.1:9 in callbacks.listen; "
            "expected distinct addresses"
        )
    ]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("-----BEGIN CERTIFICATE-----\n", None),
        ("nonsense", "the file that it names holds no certificate"),
        (None, "the file that it names does not exist"),
    ],
)
def test_the_authorities_are_looked_at(
    write: Write, tmp_path: Path, content: str | None, found: str | None
) -> None:
    """A ca_file that cannot vouch for anybody is found out before the first send."""
    authorities = tmp_path / "ca.pem"
    if content is not None:
        authorities.write_text(content)
    path = write(LEAST.replace("[callbacks]", f"ca_file = {authorities}\n[callbacks]"))
    if found is None:
        assert read(path).config.plivo.ca_file == authorities
    else:
        assert complaints(path) == [f"x.conf:3: [plivo] ca_file: {found}; expected a PEM file"]


def test_testing_alone_looks_for_the_stored_token(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only `-t` looks at the place where the package stores the token."""
    stored = tmp_path / "auth_token"
    stored.write_text(TOKEN)
    stored.chmod(0o600)
    monkeypatch.setattr("plivostatusd.config.tokens.STORED", tmp_path)
    path = write(LEAST)
    assert load(path, {}, testing=True).config.secrets.auth_tokens == (Secret(TOKEN),)
    with pytest.raises(ConfigError, match="no token of the account"):
        load(path, {})


def test_configuration_is_read_without_tornado_and_plivo() -> None:
    """A tool that only reads the configuration does not wait for the big libraries."""
    program = (
        "import sys, plivostatusd.config;"
        "print(sorted({'tornado', 'plivo', 'structlog', 'requests'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert run.stdout == "[]\n"
