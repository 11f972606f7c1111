"""
Look at everything that sending and callbacks rest on, and say what to type.

Each line says ok, warning or fault, what was found, and behind "->" what to type or
to write. Refused callbacks are explained: likely mistakes are searched until one of
them verifies. Run it as root, who may read the credentials and Nginx's configuration.
Exit status 1 when there is a fault. Works without the daemon, too.
"""

from __future__ import annotations

from argparse import ArgumentParser

from plivostatusd.ctl.context import Run
from plivostatusd.ctl.doctor.check import FAULT, OK, Check
from plivostatusd.ctl.errors import DONE, FAILED

WORDS = ""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare how Nginx is called."""
    parser.add_argument(
        "--nginx",
        metavar="COMMAND",
        default="nginx",
        help="how Nginx is called here (default: nginx), -T is added",
    )


def run(run: Run) -> int:
    """Make every check and print what was found."""
    from plivostatusd.ctl.doctor.checks import CHECKS
    from plivostatusd.ctl.doctor.rounds import make
    from plivostatusd.ctl.doctor.scene import Scene

    checks = make(CHECKS, Scene(run))
    if run.output.as_json:
        run.output.document({"checks": [check.document() for check in checks]})
    else:
        _print(run, checks)
    return FAILED if any(check.state == FAULT for check in checks) else DONE


def _print(run: Run, checks: list[Check]) -> None:
    for check in checks:
        run.output.row(Check.COLUMNS, check.cells())
    states = [check.state for check in checks]
    run.output.line("")
    run.output.line(", ".join(_counted(state, states.count(state)) for state in Check.STATES))


def _counted(state: str, count: int) -> str:
    return f"{count} {state}{'s' if count != 1 and state != OK else ''}"
