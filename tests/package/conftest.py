"""The packages that the tests of this folder look at: built once, of what is committed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from tests.package.built import ARCHITECTURES, Package, build, native_architecture


@pytest.fixture(scope="session")
def package_for(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Package]:
    """Return the package for an architecture; it is built, and unpacked, when first asked for."""

    @cache
    def package_for(arch: str) -> Package:
        return Package(build(arch), tmp_path_factory.mktemp(arch) / "unpacked")

    return package_for


@pytest.fixture(params=ARCHITECTURES)
def package(request: pytest.FixtureRequest, package_for: Callable[[str], Package]) -> Package:
    """Return the package for each architecture in turn."""
    return package_for(request.param)


@pytest.fixture
def native(package_for: Callable[[str], Package]) -> Package:
    """Return the package that could be installed here."""
    return package_for(native_architecture())
