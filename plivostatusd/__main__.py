"""The command `plivostatusd`: arguments in, an exit status of sysexits.h out."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from plivostatusd import __version__
from plivostatusd.config import ConfigError, load
from plivostatusd.domain.errors import StartRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plivostatusd.config import Loaded

OK: Final = 0
USAGE: Final = 64
UNAVAILABLE: Final = 69
CONFIGURATION: Final = 78
DEFAULT_CONFIG: Final = Path("/etc/plivostatusd/plivostatusd.conf")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line and end with the status for usage."""
        sys.stderr.write(f"{self.prog}: {message} (try --help)\n")
        raise SystemExit(USAGE)


def _version() -> str:
    return (
        f"plivostatusd {__version__}"
        f" (Python {platform.python_version()}, SQLite {sqlite3.sqlite_version})"
    )


def parser() -> argparse.ArgumentParser:
    """Make the command line's parser."""
    made = _Parser(
        prog="plivostatusd",
        description="Sends SMS through Plivo, and keeps the one true status of each.",
        epilog="Exit status: 0 good, 64 usage, 69 something needed is not there, 78 configuration.",
        allow_abbrev=False,
    )
    made.add_argument(
        "-c",
        dest="config",
        metavar="FILE",
        type=Path,
        default=DEFAULT_CONFIG,
        help=f"configuration file (default: {DEFAULT_CONFIG})",
    )
    made.add_argument(
        "-t", dest="test", action="store_true", help="test the configuration, then exit"
    )
    made.add_argument(
        "--dev", action="store_true", help="logs for a person; restart when a source file changes"
    )
    made.add_argument("--version", action="version", version=_version())
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    options = parser().parse_args(argv)
    try:
        loaded = load(options.config, os.environ, testing=options.test)
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        return CONFIGURATION
    if options.test:
        for warning in loaded.warnings:
            sys.stderr.write(f"warning: {warning}\n")
        sys.stderr.write(f"{options.config}: the configuration is good\n")
        return OK
    return _run(loaded, options)


def _run(loaded: Loaded, options: argparse.Namespace) -> int:
    # Imported here: a wrong configuration is said before Tornado is loaded.
    from plivostatusd import daemon

    os.umask(0o077)
    daemon.configure_logs(loaded.config, dev=options.dev)
    for warning in loaded.warnings:
        daemon.log.info("config_warned", problem=str(warning), hint="plivostatusd -t")
    if options.dev:
        from tornado import autoreload

        autoreload.add_reload_hook(sys.stdout.flush)
    try:
        asyncio.run(_serve(loaded, options))
    except StartRefused as refused:
        daemon.log.error("start_refused", reason=str(refused), hint=refused.command)
        sys.stderr.write(f"plivostatusd: {refused}\n")
        return UNAVAILABLE
    return OK


async def _serve(loaded: Loaded, options: argparse.Namespace) -> None:
    from plivostatusd.daemon import Daemon

    if options.dev:
        from tornado import autoreload

        autoreload.start()
    config, path = loaded.config, options.config
    await Daemon(config, path=path, environ=os.environ, is_dev=options.dev).run()


if __name__ == "__main__":
    sys.exit(main())
