"""
The store: one SQLite file that holds what is known of every message.

`Writer` owns the one connection that writes; `Reader` only reads. What is done inside a transaction
is told by the modules between them, as plain functions over a connection.
"""
