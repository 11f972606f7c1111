"""
The daemon: the composition of the house, and nothing that decides.

`Daemon` builds doors and flows in order, serves, drains, and closes in reverse; nobody else makes
one. `terms` turns the configuration into what each of them is told.
"""

from plivostatusd.daemon.daemon import Daemon, configure_logs, log
from plivostatusd.web.transport.choice import new_event_loop

__all__ = ["Daemon", "configure_logs", "log", "new_event_loop"]
