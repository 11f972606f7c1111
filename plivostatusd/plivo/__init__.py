"""
Plivo's message API behind a handful of outcomes.

Owns every call that leaves for Plivo. ``api`` is the door; ``call`` says what to send, ``query``
what to list, ``outcome`` what became of the call, and ``record`` what Plivo knows of a message.
Importing those loads neither the SDK nor requests: the first call does, in its own thread, so that
the daemon is up and answering callbacks before that.
"""
