"""
`plivostatusctl`: reads the command line, runs one command, ends with one exit status.

The only place that catches what went wrong; every failure is one line on standard error.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from plivostatusd import __version__
from plivostatusd.ctl.commands import command
from plivostatusd.ctl.context import Run
from plivostatusd.ctl.errors import DONE, FAILED, INTERRUPTED, CtlError
from plivostatusd.ctl.options import read_command, read_common
from plivostatusd.ctl.output import Output


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command that *argv* (otherwise the process's own command line) asks for.

    Returns:
        The exit status; `--help` lists them. 130 after Ctrl-C.
    """
    words = tuple(sys.argv[1:] if argv is None else argv)
    output = Output(_open(sys.stdout), _open(sys.stderr), as_json=_wants_json(words))
    try:
        status = _run(words, output)
        output.flush()
    except CtlError as error:
        output.complaint(error)
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        output.abandon()  # whoever reads has seen enough, as `head` does
        return DONE
    except OSError as error:
        output.abandon()
        output.complaint(CtlError(f"the output cannot be written: {error.strerror}"))
        return FAILED
    return status


def _open(stream: TextIO | None) -> TextIO:
    """Return a stream that takes every character; Python has None for one that was closed."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def _read_input() -> bytes:
    return sys.stdin.buffer.read() if sys.stdin else b""


def _wants_json(words: tuple[str, ...]) -> bool:
    """Say whether even a wrong command line wants its error as JSON."""
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def _run(words: tuple[str, ...], output: Output) -> int:
    try:
        options = read_common(words, version=__version__)
        if options.command == "simulate":
            from plivostatusd.ctl.simulate import hand_over

            return hand_over(options.rest)
        chosen = command(options.command)
        options = read_command(chosen, options)
    except SystemExit as ended:  # --help and --version print, and end
        return int(ended.code or DONE)
    run = Run(
        options=options,
        output=output,
        environ=os.environ,
        read_input=_read_input,
    )
    return chosen.run(run)


if __name__ == "__main__":
    sys.exit(main())
