"""How the daemon is, in one sentence: what `systemctl status` shows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plivostatusd.flows.outbox import Outbox
    from plivostatusd.store.keep import Keep
    from plivostatusd.store.writer import Writer
    from plivostatusd.web.metrics import Metrics


def sentence(*, writer: Writer, keep: Keep, outbox: Outbox, metrics: Metrics) -> str:
    """Say what does not go its way, with what to type, else that all does; then live figures."""
    so_far = metrics.so_far()
    last = "none yet"
    if so_far.callbacks:  # the metric knows of those before the start as well
        last = f"the last at {datetime.fromtimestamp(so_far.last_callback_s, UTC):%H:%M:%S} UTC"
    figures = (
        f"Since the start {so_far.callbacks} callbacks ({last}), {so_far.calls} calls to Plivo"
    )
    return f"{_state(writer, keep, outbox)}. {figures}"


def _state(writer: Writer, keep: Keep, outbox: Outbox) -> str:
    if writer.fault is not None:
        reason = writer.fault.detail
        return f"Callbacks go to the spool ({keep.records} there), sends get 503: {reason}"
    if keep.is_spooling:
        return f"The spool is being drained, {keep.records} callbacks are left"
    if outbox.why_waiting is not None:
        return f"Callbacks are taken, sends wait: {outbox.why_waiting}"
    return "Callbacks and sends are taken"
