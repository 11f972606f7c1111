from __future__ import annotations

import re
from configparser import ConfigParser
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path

import pytest

from plivostatusd.config import (
    SETTINGS,
    Callbacks,
    Config,
    ConfigError,
    Plivo,
    Secrets,
    Send,
    Setting,
    example,
    load,
)
from plivostatusd.config.setting import attribute
from plivostatusd.config.table import SECTIONS
from plivostatusd.domain.secret import Secret

SAMPLE = Path(__file__).parents[2] / "plivostatusd.conf.example"
CONFIG = Config(
    plivo=Plivo(auth_id="MA" + "0" * 18), callbacks=Callbacks(public_url=("https://a.example",))
)

DOCUMENTED = {
    "plivo": "auth_id auth_token auth_token_file main_auth_token_file api_url proxy ca_file "
    "timeout concurrency",
    "callbacks": "public_url listen minimum_trust body_max queue_max",
    "api": "listen token_file hosts",
    "store": "path spool_reserve commit_timeout",
    "send": "from queue_max per_day unknown_after unknown_then wait retry_for per_second",
    "reconcile": "after list_per_minute get_per_second silence_final",
    "retention": "text messages",
    "log": "level format numbers",
}


def test_the_table_has_every_setting() -> None:
    """Sections and keys are exactly those that users were promised."""
    table = {name: [row.key for row in SETTINGS if row.section == name] for name in SECTIONS}
    assert table == {name: keys.split() for name, keys in DOCUMENTED.items()}


def test_the_sample_file_is_made_from_the_table() -> None:
    """`plivostatusd.conf.example` is what `example()` returns, byte for byte."""
    assert example() == SAMPLE.read_text("utf-8")


def test_the_sample_explains_every_setting_beside_its_default() -> None:
    """Each setting has its explanation and stands behind a #, except the required ones."""
    text = example()
    for row in SETTINGS:
        line = f"{row.key} = {row.default}".rstrip()
        shown = line if row.is_required else f"#{line}"
        assert f"\n{shown}\n" in text
        assert " ".join(row.about.split()) in re.sub(r"\n# ?", " ", text)
    assert max(map(len, text.splitlines())) <= 100


def test_the_sample_lacks_only_what_is_required(tmp_path: Path) -> None:
    """Of the sample as shipped, `-t` misses two settings and the token, nothing else."""
    path = tmp_path / "x.conf"
    path.write_text(example())
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    names = [f"{problem.section}.{problem.key}" for problem in caught.value.problems]
    assert names == ["plivo.auth_id", "callbacks.public_url", "plivo.auth_token_file"]


def test_the_sample_uncommented_is_the_default(tmp_path: Path) -> None:
    """Taking the # from every setting of the sample changes nothing."""
    keys = "|".join(row.key for row in SETTINGS)
    text = re.sub(rf"(?m)^#({keys}) =", r"\1 =", example())
    for row in SETTINGS:
        if row.is_required:
            text = text.replace(f"\n{row.key} =\n", f"\n{row.key} = {row.sample}\n")
    path = tmp_path / "x.conf"
    path.write_text(text)
    environ = {"PLIVO_AUTH_TOKEN": "x"}
    parser = ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.read_string(text)
    assert sum(map(len, parser.values())) == len(SETTINGS)
    config = load(path, environ).config
    assert (config.api, config.store, config.send) == (CONFIG.api, CONFIG.store, CONFIG.send)
    assert (config.reconcile, config.retention) == (CONFIG.reconcile, CONFIG.retention)
    assert replace(config.callbacks, public_url=CONFIG.callbacks.public_url) == CONFIG.callbacks
    assert replace(config.plivo, auth_id=CONFIG.plivo.auth_id) == CONFIG.plivo


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_samples_and_defaults_are_valid(row: Setting) -> None:
    """What the sample file shows as a default or an example is accepted as it stands."""
    for text in filter(None, (row.default, row.sample)):
        row.kind.convert(text)
    assert bool(row.default) + row.is_required <= 1


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_explanations_are_sentences(row: Setting) -> None:
    """Each setting is explained in whole sentences."""
    assert row.about.endswith(".")
    assert len(row.about) > 20
    assert not row.kind.expected.endswith(".")


def test_a_default_has_the_type_of_its_attribute() -> None:
    """Durations are float, sizes and counts int: what the annotations say is what comes."""
    for section, declared in SECTIONS.items():
        for item in fields(declared):
            value = getattr(getattr(CONFIG, section), item.name)
            plain = {"float": float, "int": int, "str": str}.get(str(item.type))
            assert plain is None or type(value) is plain, f"{section}.{item.name}"


def test_the_record_is_frozen() -> None:
    """Nobody changes a configuration; a reload makes another."""
    with pytest.raises(FrozenInstanceError):
        CONFIG.send.wait = 5.0  # type: ignore[misc]  # what must fail


def test_differences_name_what_changed() -> None:
    """A reload learns which settings differ, and which of them need a restart."""
    other = replace(
        CONFIG,
        send=Send(from_="74564", wait=1.0),
        callbacks=Callbacks(public_url=CONFIG.callbacks.public_url, listen=()),
    )
    found = [(row.name, row.is_reloadable) for row in CONFIG.differences(other)]
    assert found == [("callbacks.listen", False), ("send.from", True), ("send.wait", True)]
    assert CONFIG.differences(CONFIG) == ()


def test_a_replaced_token_is_a_difference() -> None:
    """Tokens that changed in their files are told under the setting that names the file."""
    other = replace(
        CONFIG,
        secrets=Secrets(
            auth_tokens=(Secret("a"),),
            main_auth_tokens=(Secret("b"),),
            api_tokens={"cron": Secret("c")},
        ),
    )
    assert [row.name for row in other.differences(CONFIG)] == [
        "plivo.auth_token_file",
        "plivo.main_auth_token_file",
        "api.token_file",
    ]


def test_what_only_a_restart_applies() -> None:
    """Listeners and the store's file stay as they are until a restart; all else reloads."""
    assert [row.name for row in SETTINGS if not row.is_reloadable] == [
        "callbacks.listen",
        "api.listen",
        "store.path",
        "store.spool_reserve",
    ]


def test_only_from_needs_another_name_in_python() -> None:
    """Attributes are called as their keys are, `from` aside."""
    assert {row.key: attribute(row.key) for row in SETTINGS if attribute(row.key) != row.key} == {
        "from": "from_"
    }
