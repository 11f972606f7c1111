"""
Worlds in which each alert fires, and others beside them in which none does.

Series are written as promtool has them: `0+1x60` is 0, then 60 steps of 1, a minute each, or
`MINUTES` where a world lasts for days; the clock begins at nought.
"""

from __future__ import annotations

from dataclasses import dataclass

HERE = 'instance="db1:8788",job="plivostatusd"'
SENDS = "plivostatusd_sends_total"
REFUSED = "plivostatusd_callbacks_refused_total"
CALLBACKS = "plivostatusd_callbacks_total"
LAST = "plivostatusd_last_callback_timestamp_seconds"
OUTBOX = "plivostatusd_outbox_messages"
A_DAY = 1_440
MINUTES = 5
FREE, RESERVE = "plivostatusd_disk_free_bytes", "plivostatusd_disk_reserve_bytes"
CERTIFICATE = "plivostatusd_certificate_expiry_timestamp_seconds"


@dataclass(frozen=True)
class Case:
    """A world, and whether *alert* fires in it at *minute*; no other does."""

    alert: str
    fires: bool
    minute: int
    series: dict[str, str]
    about: str

    @property
    def step(self) -> int:
        """How many minutes lie between two values."""
        return MINUTES if self.minute > A_DAY else 1

    def __str__(self) -> str:
        """Name it for whoever reads promtool's complaint."""
        return f"{self.alert} {'fires' if self.fires else 'silent'}: {self.about}"


def of(name: str, **labels: str) -> str:
    """Spell a series of one daemon."""
    own = "".join(f',{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{HERE}{own}}}"


def fires(alert: str, minute: int, about: str, series: dict[str, str]) -> Case:
    """Make a world in which it fires."""
    return Case(f"Plivostatusd{alert}", True, minute, series, about)


def silent(alert: str, minute: int, about: str, series: dict[str, str]) -> Case:
    """Make a world in which nothing does."""
    return Case(f"Plivostatusd{alert}", False, minute, series, about)


def gauge(alert: str, name: str, bad: str, good: str, minute: int) -> list[Case]:
    """Make the worlds of an alert that looks at one gauge: bad, good, and bad for too short."""
    return [
        fires(alert, minute, "bad", {name: f"{bad}x{minute}"}),
        silent(alert, minute, "good", {name: f"{good}x{minute}"}),
        silent(alert, minute, "good again", {name: f"{bad}x1 {good}x{minute}"}),
    ]


def outcomes(delivered: str, undelivered: str) -> dict[str, str]:
    """Count callbacks of two kinds."""
    return {
        of(CALLBACKS, status="delivered", trust="full"): delivered,
        of(CALLBACKS, status="undelivered", trust="full"): undelivered,
    }


def sent_and_heard(sends: str, heard: str) -> dict[str, str]:
    """Count what Plivo took, and say when it last reported."""
    return {of(SENDS, outcome="accepted"): sends, of(LAST): heard}


def waiting(state: str, count: str, **sends: str) -> dict[str, str]:
    """Have sends wait while others go out."""
    gone = {of(SENDS, outcome=outcome): values for outcome, values in sends.items()}
    return {of(OUTBOX, state=state): count, **gone}


MTIME = 'node_textfile_mtime_seconds{instance="db1:9100",file="/srv/textfile/plivostatusd.prom"}'

CASES = [
    *gauge("Down", of("up"), "0", "1", 10),
    fires("Down", 10, "by textfile", {of("plivostatusd_up"): "0x10"}),
    fires("Down", 30, "textfile old", {MTIME: "0x30"}),
    silent("Down", 30, "textfile new", {MTIME: "0+60x30"}),
    fires("NoCallbacks", 55, "deaf", sent_and_heard("0+1x60", "0x60")),
    silent("NoCallbacks", 55, "heard", sent_and_heard("0+1x60", "0+60x60")),
    silent("NoCallbacks", 55, "nothing sent", sent_and_heard("5x60", "0x60")),
    silent("NoCallbacks", 55, "sent just now", sent_and_heard("0x45 1+1x15", "0x60")),
    fires("CallbacksRefused", 45, "rising", {of(REFUSED, reason="mismatch"): "0x30 1+1x20"}),
    fires("CallbacksRefused", 45, "rewritten", {of(REFUSED, reason="unknown_path"): "0x30 1+1x20"}),
    fires(
        "CallbacksRefused",
        3000,
        "far above the usual",
        {of(REFUSED, reason="mismatch"): "0+5x576 2885+50x24"},
    ),
    silent("CallbacksRefused", 2880, "as usual", {of(REFUSED, reason="mismatch"): "0+5x576"}),
    silent("CallbacksRefused", 45, "scanners", {of(REFUSED, reason="no_signature"): "0x30 1+9x20"}),
    silent("CallbacksRefused", 45, "few", {of(REFUSED, reason="mismatch"): "0x40 3x20"}),
    fires("CallbackReplayed", 15, "one", {of(REFUSED, reason="replay"): "0x10 1x10"}),
    silent("CallbackReplayed", 30, "long ago", {of(REFUSED, reason="replay"): "0x5 1x30"}),
    fires("CallbacksNotKept", 15, "queue", {of(REFUSED, reason="queue_full"): "0x10 1x10"}),
    fires("CallbacksNotKept", 15, "store", {of(REFUSED, reason="store-unavailable"): "0x10 1x10"}),
    silent("CallbacksNotKept", 30, "long ago", {of(REFUSED, reason="queue_full"): "0x5 1x30"}),
    *gauge("StoreNotWritable", of("plivostatusd_store_writable"), "0", "1", 5),
    *gauge("SpoolNotEmpty", of("plivostatusd_spool_records"), "7", "0", 10),
    *gauge(
        "OldestOpenMessage", of("plivostatusd_oldest_open_message_seconds"), "350000", "300000", 70
    ),
    *gauge("UnknownSends", of(OUTBOX, state="unknown"), "2", "0", 40),
    fires("OutboxStuck", 30, "nothing goes", waiting("pending", "5x40", accepted="3x40")),
    fires("OutboxStuck", 30, "never reached", waiting("pending", "5x40", not_sent="0+1x40")),
    silent("OutboxStuck", 30, "moving", waiting("pending", "5x40", accepted="0+1x40")),
    silent("OutboxStuck", 30, "empty", waiting("pending", "0x40", accepted="3x40")),
    *gauge("AccountRefused", of("plivostatusd_outbox_paused"), "1", "0", 5),
    *gauge("OutboxHeld", of("plivostatusd_outbox_held"), "1", "0", 70),
    fires("DiskFull", 5, "full", {of(FREE): "1000000x5", of(RESERVE): "18000000x5"}),
    silent("DiskFull", 5, "room", {of(FREE): "900000000x5", of(RESERVE): "18000000x5"}),
    silent(
        "DiskFull", 5, "not known", {of(FREE): "NaN NaN NaN NaN NaN NaN", of(RESERVE): "18000000x5"}
    ),
    fires(
        "DiskFilling",
        480,
        "a megabyte a minute",
        {of(FREE): "1000000000-1000000x500", of(RESERVE): "18000000x500"},
    ),
    silent(
        "DiskFilling",
        480,
        "slowly",
        {of(FREE): "1000000000-1000x500", of(RESERVE): "18000000x500"},
    ),
    fires("CertificateExpires", 70, "eleven days", {of(CERTIFICATE): "1000000x90"}),
    silent("CertificateExpires", 70, "three weeks", {of(CERTIFICATE): "2000000x90"}),
    fires("CertificateExpired", 20, "a day", {of(CERTIFICATE): "100000x30"}),
    silent("CertificateExpired", 20, "eleven days", {of(CERTIFICATE): "1000000x30"}),
    *gauge("ReloadFailed", of("plivostatusd_config_last_reload_successful"), "0", "1", 10),
    *gauge("ProbeFailed", of("plivostatusd_probe_successful"), "0", "1", 20),
    fires(
        "DeliveryRatioDropped",
        1560,
        "a bad hour",
        outcomes("0+50x300 15005+5x14", "0x300 0+45x14"),
    ),
    fires("DeliveryRatioDropped", 60, "bad from the start", outcomes("0+1x70", "0+9x70")),
    silent("DeliveryRatioDropped", 1560, "as bad as ever", outcomes("0+25x314", "0+25x314")),
    silent(
        "DeliveryRatioDropped",
        1560,
        "few",
        outcomes("0+5x300 1500x14", "0x306 1+4x3 13x6"),
    ),
    silent("DeliveryRatioDropped", 1560, "none", outcomes("0+5x280 1400x40", "0x320")),
]
