"""The two listeners over HTTP: what Plivo calls, and what this machine's programs call."""
