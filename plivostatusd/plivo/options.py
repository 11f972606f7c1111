"""What the door to Plivo needs to be told; the daemon fills it in from the configuration."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from plivostatusd.domain.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOptions:
    """Where Plivo is and who we are. *proxy* is an http or https URL, no other scheme."""

    auth_id: str
    auth_token: Secret
    api_url: str = "https://api.plivo.com"
    proxy: str | None = None
    ca_file: Path | None = None
    timeout_s: float = 30.0
    concurrency: int = 8

    def __post_init__(self) -> None:
        if self.proxy and not self.proxy.lower().startswith(("http://", "https://")):
            message = "proxy: want a URL that begins with http:// or https://"
            raise ValueError(message)

    def secrets(self) -> tuple[str, str]:
        """Return what no answer may repeat: the token, alone and as each call's header bears it."""
        token = self.auth_token.reveal()
        return token, b64encode(f"{self.auth_id}:{token}".encode()).decode()
