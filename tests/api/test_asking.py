"""The local API does what its OpenAPI document says, whatever is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.asking import PROGRAM, ask_around


@pytest.mark.takes(40)
@pytest.mark.timeout(240)
@pytest.mark.gen_test(timeout=200)
async def test_asking(tmp_path: Path) -> None:
    """Schemathesis finds no answer that is not described, and no bad request that is taken."""
    assert PROGRAM.exists(), "packaging/setup-dev test installs requirements/api.txt"
    told = await ask_around(tmp_path, seed=1, examples=4)
    assert 0 == told.status, told.report
