"""
`check_plivostatus`: reads the command line, asks once, says one line, ends with one of four states.

The only place that catches what went wrong. What the daemon does to us is CRITICAL, what its
operator did to the command line UNKNOWN.
"""

from __future__ import annotations

import math
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from types import FrameType

from plivostatusd import __version__
from plivostatusd.check import options as command_line
from plivostatusd.check import textfile
from plivostatusd.check.measures import MEASURES, Measure, all_of
from plivostatusd.check.questions import Questions
from plivostatusd.check.verdict import CRITICAL, OK, UNKNOWN, WARNING, Verdict
from plivostatusd.ctl.errors import AnswerLost, CtlError, Refused, Unreachable, UsageError
from plivostatusd.ctl.target import client

_SERVER_ERRORS = range(500, 600)


def main(argv: Sequence[str] | None = None) -> int:
    """
    Check what *argv*, or else the process's own command line, says.

    Returns:
        The exit status, 0 to 3. `--help` and `--version` are 3 as well, by the guidelines.
    """
    try:
        options = command_line.read(list(sys.argv[1:] if argv is None else argv))
    except SystemExit:
        return UNKNOWN
    except UsageError as error:
        return _say(Verdict(UNKNOWN, error.line()))
    if options.version:
        sys.stdout.write(f"{command_line.PROGRAM} {__version__}\n")
        return UNKNOWN
    signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, options.timeout)
    try:
        return _say(_verdict(options))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _say(verdict: Verdict) -> int:
    sys.stdout.write(f"{verdict.line()}\n")
    sys.stdout.flush()
    return verdict.state


def _give_up(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError


def _verdict(options: Namespace) -> Verdict:
    try:
        questions = Questions(client(options, os.environ))
        return _export(questions, options) if options.textfile else _check(questions, options)
    except (Unreachable, AnswerLost) as error:
        return Verdict(CRITICAL, error.line())
    except Refused as error:
        return Verdict(CRITICAL if error.status in _SERVER_ERRORS else UNKNOWN, error.line())
    except CtlError as error:
        return Verdict(UNKNOWN, error.line())
    except TimeoutError:
        return Verdict(CRITICAL, f"no answer within {options.timeout:g} s")
    except Exception as error:  # noqa: BLE001 - a bug of ours is no state of the daemon's
        return Verdict(UNKNOWN, f"this plug-in failed: {type(error).__name__}")


def _check(questions: Questions, options: Namespace) -> Verdict:
    if options.check == command_line.READY:
        return _ready(questions)
    measure = MEASURES[options.check](questions, options)
    if options.warning is None and options.critical is None:
        ready = _ready(questions)
        return Verdict(ready.state, f"{measure.text}; {ready.text}", (measure.datum,))
    return _judged(measure, options)


def _ready(questions: Questions) -> Verdict:
    """Judge readiness; what else is to be known at once is data, if whoever asks may know it."""
    faults = questions.faults()
    try:
        told = all_of(questions.metrics())
    except Refused:
        told = ()
    text = "; ".join(faults) if faults else "ready"
    return Verdict(CRITICAL if faults else OK, text, tuple(each.datum for each in told))


def _judged(measure: Measure, options: Namespace) -> Verdict:
    """Hold a measure against the thresholds."""
    warning, critical = (
        "" if given is None else given.text for given in (options.warning, options.critical)
    )
    data = (replace(measure.datum, warning=warning, critical=critical),)
    if measure.judged is None:
        return Verdict(OK, measure.text, data)
    if math.isnan(measure.judged):
        return Verdict(CRITICAL, measure.text, data)
    for state, given in ((CRITICAL, options.critical), (WARNING, options.warning)):
        if given is not None and given.alerts(measure.judged):
            return Verdict(state, measure.text, data)
    return Verdict(OK, measure.text, data)


def _export(questions: Questions, options: Namespace) -> Verdict:
    """Write the file, whether the daemon answers or not."""
    try:
        metrics = questions.metrics_text()
    except CtlError:
        textfile.write(options.textfile, None)
        raise
    textfile.write(options.textfile, metrics)
    return Verdict(OK, f"metrics written to {options.textfile}")


if __name__ == "__main__":
    sys.exit(main())
