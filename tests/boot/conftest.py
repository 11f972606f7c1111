"""Machines that are booted for the tests of this folder, and what is installed in them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.acceptance.certificate import Certificate
from tests.acceptance.nginx import SERVER_NAME
from tests.boot.machine import Machine, sweep
from tests.boot.rootfs import SUITES
from tests.boot.service import Service
from tests.boot.versions import Version, built, later
from tests.meta.source import FIGURES
from tests.package.built import ROOT


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin early, and with time: root file systems and the package may have to be made."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.timeout(300))
            item.add_marker(pytest.mark.takes(120))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the machine has to say of a test that failed."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for service in item.funcargs.values():
            if isinstance(service, Service) and service.machine.is_on:
                report.sections.append(("the machine", service.last_words()))
    return report


@pytest.fixture(scope="session")
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Leave a measured figure for the end of the run."""
    return request.config.stash.setdefault(FIGURES, []).append


@pytest.fixture(scope="session")
def package() -> Version:
    """Return the package as it was built of what is committed."""
    return built()


@pytest.fixture(scope="session")
def later_package(package: Version, tmp_path_factory: pytest.TempPathFactory) -> Version:
    """Return the package in a later version."""
    return later(package, tmp_path_factory.mktemp("later"))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Return a certificate for the name in the site as shipped."""
    return Certificate.make(tmp_path_factory.mktemp("certificate"), SERVER_NAME)


@pytest.fixture(scope="session", params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """Return each Debian in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def machines() -> Path:
    """Return where machines keep what they write: beside the tree, because /tmp may be memory."""
    folder = ROOT / "build" / "boot"
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    return folder


@pytest.fixture(scope="module")
def fresh(
    suite: str, machines: Path, package: Version, certificate: Certificate
) -> Iterator[Service]:
    """Boot a machine on which nothing of ours has ever been, for one file of tests."""
    with Machine(suite, "fresh", machines) as machine:
        yield Service(machine, package, certificate)


@pytest.fixture(scope="session")
def lasting(
    suite: str, machines: Path, package: Version, certificate: Certificate
) -> Iterator[Service]:
    """Boot the machine that most tests share."""
    with Machine(suite, "lasting", machines, syncs=False) as machine:
        yield Service(machine, package, certificate)


@pytest.fixture
def service(lasting: Service) -> Service:
    """Return the service as a satisfied admin has it: up, and nothing wrong."""
    lasting.ready()
    return lasting
