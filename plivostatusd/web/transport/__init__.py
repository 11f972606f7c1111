"""
HTTP read in C: an asyncio protocol that speaks Tornado's interfaces to the doors behind it.

`head` has llhttp (by httptools) read a request's head, `body` cuts bodies as Tornado does, and
`connection` tells `Connections` what happens, as the one on Tornado's streams does. Everything that
`HTTPServerConnectionDelegate` can serve runs on it unchanged. `choice` says what is used where.
"""
