"""
The machine under the daemon: its file systems, listening sockets, peers and locks.

Owns every question put to the operating system that is neither SQLite's nor HTTP's. Knows nothing
of messages, callbacks or Plivo. Used by the composition and by the web floor.
"""
