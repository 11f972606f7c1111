"""
The daemon with other bounds on its connections, for tests that cannot wait as long as it does.

`python -m tests.fault.impatient '{"head_s_max": 1}' -c FILE`: the bounds by name, and `descriptors`
for the hard limit on descriptors that it starts with; then what plivostatusd takes.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import replace

from plivostatusd.__main__ import main
from plivostatusd.daemon import doors

if __name__ == "__main__":
    bounds = json.loads(sys.argv[1])
    if "descriptors" in bounds:
        descriptors = bounds.pop("descriptors")
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    doors.BOUNDS = replace(doors.BOUNDS, **bounds)  # type: ignore[misc]  # Final to all but tests
    sys.exit(main(sys.argv[2:]))
