"""
What no single setting can know: checks of settings against each other.

Pure. A setting that was refused by itself is left out here, so that a fault is told once.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from itertools import combinations

from plivostatusd.config.address import Address
from plivostatusd.config.report import Report
from plivostatusd.config.table import Config
from plivostatusd.config.urls import is_plain_to_the_world

COMMIT_TIMEOUT_S_GOOD = 1.5
"""A callback that cannot be stored is answered within 2 s: this leaves the spool its part."""


def check(config: Config, report: Report) -> None:
    """Tell *report* what is wrong or doubtful about *config* as a whole."""
    refused = frozenset(report.refused)
    listens = {
        "callbacks.listen": config.callbacks.listen,
        "api.listen": config.api.listen,
    }
    usable = {name: listen for name, listen in listens.items() if name not in refused}
    if not (config.secrets.api_tokens or _is_told(report)):
        _check_without_tokens(usable.get("api.listen", ()), report)
    _check_collisions(usable, report)
    _check_doubts(config, refused, report)


def _is_told(report: Report) -> bool:
    """Say whether it is known already that there are tokens which could not be read."""
    told = {(problem.section, problem.key) for problem in (*report.problems, *report.warnings)}
    return ("api", "token_file") in told


def _check_without_tokens(addresses: tuple[Address, ...], report: Report) -> None:
    for address in addresses:
        if address.is_loopback:
            report.warn(
                "api.listen",
                f"every user of this machine can send messages over {address}",
                "api.token_file, or a Unix socket, which its group guards",
            )
        elif not address.is_unix:
            report.refuse(
                "api.listen",
                f"{address} is reachable from other machines and api.token_file is not set",
                "api.token_file, or an address of loopback",
            )


def _check_collisions(listens: dict[str, tuple[Address, ...]], report: Report) -> None:
    named = [(name, address) for name, listen in listens.items() for address in listen]
    for (first, one), (second, other) in combinations(named, 2):
        if one.collides(other):
            where = "here" if first == second else f"in {first}"
            report.refuse(second, f"{other} collides with {one} {where}", "distinct addresses")


def _check_doubts(config: Config, refused: AbstractSet[str], report: Report) -> None:
    if "callbacks.public_url" not in refused:
        for url in filter(is_plain_to_the_world, config.callbacks.public_url):
            report.warn(
                "callbacks.public_url",
                f"{url} is plain http: whoever sits on the way can read callbacks",
                "https://",
            )
    if 0 < config.retention.text < config.send.retry_for:
        report.warn(
            "retention.text",
            "texts are blanked before the last attempt to send them",
            "at least send.retry_for",
        )
    if config.store.commit_timeout > COMMIT_TIMEOUT_S_GOOD:
        report.warn(
            "store.commit_timeout",
            "a callback that cannot be stored may not be answered within 2s",
            "1500ms or less",
        )
