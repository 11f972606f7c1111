"""The checks there are, in the order in which they are shown; each says what it is called."""

from __future__ import annotations

from plivostatusd.ctl.doctor import (
    account,
    configuration,
    daemon,
    front_door,
    nginx,
    public_address,
    refused,
    sandbox,
    secret_files,
    spool,
    store,
    versions,
)
from plivostatusd.ctl.doctor.rounds import Maker

CHECKS: tuple[tuple[str, Maker], ...] = (
    (configuration.NAME, configuration.check),
    (secret_files.NAME, secret_files.check),
    (daemon.NAME, daemon.check),
    (store.NAME, store.check),
    (spool.NAME, spool.check),
    (account.NAME, account.credentials),
    (account.CLOCK, account.clock),
    (public_address.NAME, public_address.address),
    (public_address.CERTIFICATE, public_address.certificate),
    (nginx.NAME, nginx.check),
    (front_door.NAME, front_door.check),
    (refused.NAME, refused.check),
    (sandbox.NAME, sandbox.check),
    (versions.NAME, versions.check),
)
