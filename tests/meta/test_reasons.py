"""Every exception from a rule says why it is one."""

from __future__ import annotations

import io
import re
import tokenize

import pytest

from tests.meta.source import ROOT, Module, modules

ASKS = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:|mypy:|ruff:|isort:)")

EXPLAINED = (
    # The rule by its name, then why, after a dash, a second # or in brackets.
    re.compile(r"noqa: [A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)*\s+[-#(]\s*\S.{2,}"),
    re.compile(r"type: ignore\[[a-z-]+(, ?[a-z-]+)*\]\s+#\s+\S.{2,}"),
    re.compile(r"pragma: no (cover|branch)\s+[-#(]\s*\S.{2,}"),
)


@pytest.mark.parametrize("module", modules(), ids=str)
def test_ignores_in_code(module: Module) -> None:
    """Each noqa, type: ignore and pragma names its rule and gives its reason on its line."""
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type == tokenize.COMMENT and ASKS.search(token.string):
            explained = any(form.search(token.string) for form in EXPLAINED)
            assert explained, f"{module}:{token.start[0]} gives no reason: {token.string}"


def test_ignores_in_settings() -> None:
    """Each rule that ruff is told to ignore has its reason behind it."""
    settings = (ROOT / "pyproject.toml").read_text()
    rules = re.findall(r'^    "[A-Z]+[0-9]+",.*$', settings, re.MULTILINE)
    assert rules
    for rule in rules:
        assert re.search(r",\s+# \S.{2,}", rule), rule
