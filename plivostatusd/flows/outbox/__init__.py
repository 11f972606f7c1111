"""
A message's way out: intent committed, claimed, Plivo called, settled.

It promises that no SMS is sent twice: the intent is committed before Plivo is called, only a call
that provably never reached Plivo (or met 429) is made again, and a call whose outcome is not known
leaves the message `unknown` for a callback, or an operator, to settle.

`Outbox` is the one door; behind it each file holds one noun:

    intake    takes sends, and answers for keys that were here before
    answers   who waits for Plivo's word on which message
    ledger    writes outcomes down, however long the store refuses
    dispatch  claims what is due, at the pace
    calls     calls Plivo for one entry, and writes down what became of it
    gate      whether Plivo may be called: the pause and the operator's hold
    probing   while Plivo refuses the account: asks whether it still does
    backlog   what the last process left, and what waited too long
    settling  what an operator says of sends whose outcome is unknown
"""

from plivostatusd.flows.outbox.outbox import Outbox
from plivostatusd.flows.outbox.terms import Api, Gauges, Terms

__all__ = ["Api", "Gauges", "Outbox", "Terms"]
