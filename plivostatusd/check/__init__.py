"""
`check_plivostatus`, a plug-in for Nagios, Icinga and their like, and a feeder of node_exporter.

By the Monitoring Plugins Development Guidelines: one line, performance data behind a bar, exit 0 to
3. Asks the daemon as `plivostatusctl` does, on whose client it stands, and starts as fast.
"""
