"""Certificates for one test run, made by openssl: a good one, and what a client must not take."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.unit.test_plivo_server import make_certificate

NAME = "plivo.invalid"
_PLACES = f"DNS:{NAME},IP:127.0.0.1"
_EXPIRED_CONFIG = f"""
[ca]
default_ca = here
[here]
database = {{folder}}/index
serial = {{folder}}/serial
new_certs_dir = {{folder}}
default_md = sha256
policy = any
[any]
commonName = supplied
[places]
subjectAltName = {_PLACES}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Files of key and certificate; *trusted* vouches for all but the stranger."""

    good: Path
    stranger: Path
    elsewhere: Path
    expired: Path
    trusted: Path

    @classmethod
    def make(cls, folder: Path) -> Certificates:
        """Make all of them in *folder*."""
        made = {
            name: make_certificate(_subfolder(folder, name), places)
            for name, places in (
                ("good", _PLACES),
                ("stranger", _PLACES),
                ("elsewhere", "DNS:elsewhere.invalid"),
            )
        }
        expired = _make_expired(_subfolder(folder, "expired"))
        trusted = folder / "trusted.pem"
        vouched = (made["good"], made["elsewhere"], expired)
        trusted.write_bytes(b"".join(path.read_bytes() for path in vouched))
        return cls(**made, expired=expired, trusted=trusted)


def _subfolder(folder: Path, name: str) -> Path:
    place = folder / name
    place.mkdir()
    return place


def _make_expired(folder: Path) -> Path:
    """Make one that ended long ago; only `openssl ca` lets us say when that was."""
    config, key, request = folder / "ca.cnf", folder / "key.pem", folder / "request.pem"
    config.write_text(_EXPIRED_CONFIG.format(folder=folder))
    (folder / "index").touch()
    (folder / "serial").write_text("01\n")
    made, both = folder / "certificate.pem", folder / "both.pem"
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _openssl(
        "req", "-new", *new_key, "-subj", "/CN=expired", "-keyout", str(key), "-out", str(request)
    )
    dates = ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"]
    signed = ["-batch", "-selfsign", "-notext", "-extensions", "places", "-in", str(request)]
    _openssl("ca", "-config", str(config), *signed, "-keyfile", str(key), *dates, "-out", str(made))
    both.write_bytes(key.read_bytes() + made.read_bytes())
    return both


def _openssl(*command: str) -> None:
    done = subprocess.run(["openssl", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
