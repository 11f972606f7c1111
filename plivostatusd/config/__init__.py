"""
Configuration: one table of settings, read from a file and the environment, checked at once.

`load` gives a `Loaded` (the frozen `Config` and warnings) or raises `ConfigError` with every
problem. `example` is the sample file, `SETTINGS` the table for a manual. Any floor above the
domain may read a `Config`; only the daemon loads one. Importing this package loads neither Tornado
nor Plivo's SDK.
"""

from plivostatusd.config.address import Address
from plivostatusd.config.problem import ConfigError, Problem
from plivostatusd.config.reader import DEFAULT_PATH, Loaded, load
from plivostatusd.config.sample import example
from plivostatusd.config.sections import (
    Api,
    Callbacks,
    Log,
    Plivo,
    Reconcile,
    Retention,
    Send,
    Store,
)
from plivostatusd.config.setting import Setting
from plivostatusd.config.table import SETTINGS, Config, Secrets
from plivostatusd.config.tokens import handed_over

__all__ = [
    "DEFAULT_PATH",
    "SETTINGS",
    "Address",
    "Api",
    "Callbacks",
    "Config",
    "ConfigError",
    "Loaded",
    "Log",
    "Plivo",
    "Problem",
    "Reconcile",
    "Retention",
    "Secrets",
    "Send",
    "Setting",
    "Store",
    "example",
    "handed_over",
    "load",
]
