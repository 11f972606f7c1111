"""plivostatusd: sends SMS through Plivo for one machine and keeps what became of each."""

__version__ = "0.1.0"
