"""How one simulator behaves: a frozen record that refuses what cannot be."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Method = Literal["GET", "POST"]
Signatures = Literal["both", "v2", "v3"]
RetryNonce = Literal["new", "same"]
Paging = Literal["offset", "cursor"]

# Well known on purpose: they open nothing but a simulator.
AUTH_ID = "MASIMULATOR000000000"
AUTH_TOKEN = "simulator-token"  # noqa: S105  (not a secret, see above)

PORT_MAX = 65_535
_AUTH_ID = re.compile(r"[MS]A[A-Z0-9]{18}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    The settings of one simulator.

    Raises:
        ValueError: on construction, with every problem in one sentence.
    """

    host: str = "127.0.0.1"
    port: int = 8799
    auth_id: str = AUTH_ID
    # Each opens the API, and each signs: the headers then hold a list, as while Plivo rotates.
    auth_tokens: tuple[str, ...] = field(default=(AUTH_TOKEN,), repr=False)
    # Sign the `Ma-` headers; none means that the account is its own main account.
    main_auth_tokens: tuple[str, ...] = field(default=(), repr=False)
    speed: float = 1.0
    seed: int | None = None
    ca_file: Path | None = None
    signatures: Signatures = "both"
    # None calls back as the send asked.
    method: Method | None = None
    # None leaves the header of a 429 away.
    retry_after_s: int | None = 1
    retry_nonce: RetryNonce = "new"
    # Shares of the changes whose callback is never made, made twice, and made up to 10 s late.
    lose: float = 0.0
    double: float = 0.0
    delay: float = 0.0
    # Enforce Plivo's limits on calls of its API, shortened by speed.
    limits: bool = False
    # How the list goes on after a page: Plivo's SDK is prepared for both.
    paging: Paging = "offset"
    # Where to connect whatever host the callback's url names; the url is signed as it stands.
    connect_to: tuple[str, int] | None = None
    # A floor under the shortened time-out: at high speed 8 s would shrink below what a healthy
    # daemon on a busy machine needs for one commit, and every answer would be counted as lost.
    timeout_s_min: float = 2.0

    def __post_init__(self) -> None:
        problems = "; ".join(self._problems())
        if problems:
            raise ValueError(problems)

    def _problems(self) -> Iterator[str]:
        if not _is_loopback(self.host):
            # Anybody who reaches the simulator may read all that it took.
            yield f"host {self.host!r}: want a loopback address, such as 127.0.0.1"
        if not _AUTH_ID.fullmatch(self.auth_id):
            yield "auth id: want 20 capitals and digits that begin with MA or SA"
        if not self.auth_tokens or not all((*self.auth_tokens, *self.main_auth_tokens)):
            yield "auth token: want at least one, none of them empty"
        for name in ("lose", "double", "delay"):
            if not 0 <= (share := getattr(self, name)) <= 1:
                yield f"{name} {share:g}: want a share, 0 to 1"
        if not self.speed > 0:
            yield f"speed {self.speed:g}: want more than 0"
        if not 0 <= self.port <= PORT_MAX:
            yield f"port {self.port}: want 0 to {PORT_MAX}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
