"""
How many descriptors this process may have open, and raising that as far as it is allowed.

A soft limit of 1024 is what most systems start a process with, for the sake of select(2), which
nothing here uses; the hard limit is the one that is meant.
"""

from __future__ import annotations

import resource
from typing import Final

_UNLIMITED: Final = resource.RLIM_INFINITY


def raise_limit(wanted: int) -> int:
    """Have at least *wanted* descriptors, or as many as are allowed; return how many they are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == _UNLIMITED:
        return wanted
    allowed = wanted if hard == _UNLIMITED else min(wanted, hard)
    if soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        return allowed
    return soft
