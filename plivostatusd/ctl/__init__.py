"""
`plivostatusctl`, the operator's tool: one file a command, over the daemon's local API.

Stands apart from the daemon: it talks HTTP, never opens the store (a file owned by root would lock
the daemon out), and starts in well under 100 ms because nothing here imports Tornado, the Plivo SDK
or the daemon's floors; only `simulate` does, when it is asked for.
"""
