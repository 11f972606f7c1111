"""
Finding out from Plivo's API what no callback told.

It promises that a message which stays silent is asked about, the least certain and the oldest
first, at the pace that Plivo allows; that a send whose answer was lost is found in Plivo's list, or
left unknown, and never sent again; and that after a time in which callbacks were lost the store
becomes whole again. It never floods: while the API fails it waits longer each time, and says so
once.

`Reconcile` is the one door; behind it each file holds one noun:

    questions  asks about single messages, as they become due
    searches   looks in Plivo's list for sends whose answer was lost
    sweeps     reads Plivo's list about many silent messages at once
    reading    the list, page by page
    brake      while the API fails: how long to wait
    outcomes   what came of it: logged, counted, told to whoever demanded it
    desk       what all of them work with
"""

from plivostatusd.flows.reconcile.reconcile import Reconcile
from plivostatusd.flows.reconcile.terms import Api, Gauges, Terms

__all__ = ["Api", "Gauges", "Reconcile", "Terms"]
