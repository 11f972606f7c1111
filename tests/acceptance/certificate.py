"""A throw-away certificate authority and one server certificate, made by openssl for one test."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

_OPENSSL_CONFIG = """
[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:{name}, DNS:localhost, IP:127.0.0.1
"""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files of a server certificate that is good for one day, and of who vouches for it."""

    authority: Path
    chain: Path
    key: Path

    @classmethod
    def make(cls, folder: Path, name: str) -> Certificate:
        """Make all of it in *folder*: for the host *name*, for localhost and for 127.0.0.1."""
        config = folder / "openssl.cnf"
        config.write_text(_OPENSSL_CONFIG.format(name=name))
        made = cls(folder / "authority.pem", folder / "chain.pem", folder / "server.key")
        authority_key = folder / "authority.key"
        _openssl(config, "authority", authority_key, made.authority)
        vouched = ["-CA", str(made.authority), "-CAkey", str(authority_key)]
        _openssl(config, "server", made.key, made.chain, *vouched)
        return made

    def client_context(self) -> ssl.SSLContext:
        """Return what a client needs that trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.authority))


def _openssl(config: Path, section: str, key: Path, certificate: Path, *more: str) -> None:
    command = ["openssl", "req", "-x509", "-config", str(config), "-extensions", section]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    command += ["-keyout", str(key), "-out", str(certificate), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
