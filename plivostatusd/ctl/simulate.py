"""Serve Plivo's Message API on loopback. All that follows the command is the simulator's."""

from __future__ import annotations

from collections.abc import Sequence


def hand_over(words: Sequence[str]) -> int:
    """Run the simulator with *words* as its command line; its exit status comes back."""
    from plivostatusd.simulator.command import main  # Tornado and the SDK, for this command alone

    return main(list(words))
