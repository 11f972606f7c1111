"""
Plivo, played on loopback: its Message API, and signed status callbacks about what it took.

For a machine with no account and no internet, and for tests. Knows nothing of the daemon: the two
meet over HTTP alone. Anybody may embed :class:`Simulator` in a running event loop, or sign a
request of their own with :func:`signed_request`; ``command.main`` is the command.
"""

from __future__ import annotations

from .options import Options
from .signer import Signed, signed_request
from .simulator import Simulator

__all__ = ["Options", "Signed", "Simulator", "signed_request"]
