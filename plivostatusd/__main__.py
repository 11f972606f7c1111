"""The command `plivostatusd`: arguments in, an exit status of sysexits.h out."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import os
import platform
import sqlite3
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from plivostatusd import __version__
from plivostatusd.config import ConfigError, load
from plivostatusd.domain.errors import StartRefused, StoryEnded
from plivostatusd.host.service_manager import ServiceManager

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plivostatusd.config import Loaded

OK: Final = 0
USAGE: Final = 64
UNAVAILABLE: Final = 69
SOFTWARE: Final = 70
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
        epilog="Exit status: 0 good, 64 usage, 69 something needed is not there, 70 a fault of the"
        " program, 78 configuration.",
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
        "--restore",
        metavar="FILE",
        type=Path,
        help="put a backup, or a store that was stopped, in the store's place, then exit; the"
        " daemon must be stopped",
    )
    made.add_argument(
        "--salvage",
        action="store_true",
        help="with --restore: FILE is damaged; save what can be read of it",
    )
    made.add_argument(
        "--dev", action="store_true", help="logs for a person; restart when a source file changes"
    )
    made.add_argument("--version", action="version", version=_version())
    return made


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    made = parser()
    options = made.parse_args(argv)
    if options.salvage and not options.restore:
        made.error("--salvage goes with --restore")
    if options.restore and (options.test or options.dev):
        made.error("--restore stands alone")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    options = _options(argv)
    try:
        loaded = load(
            options.config, os.environ, testing=options.test, with_secrets=not options.restore
        )
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        if not (options.test or options.restore):
            _manager().status(_summary(error, options.config))
        return CONFIGURATION
    if options.test:
        for warning in loaded.warnings:
            sys.stderr.write(f"warning: {warning}\n")
        sys.stderr.write(f"{options.config}: the configuration is good\n")
        return OK
    return _restore(loaded, options) if options.restore else _run(loaded, options)


def _manager() -> ServiceManager:
    return ServiceManager(os.environ, pid=os.getpid())


def _summary(error: ConfigError, path: Path) -> str:
    """Say in one line why the service cannot start, for `systemctl status`."""
    more = len(error.problems) - 1
    others = f" (and {more} more)" if more else ""
    command = error.command or f"plivostatusd -t -c {path}"
    return f"Not started: {error.problems[0]}{others}. Type: {command}"


def _restore(loaded: Loaded, options: argparse.Namespace) -> int:
    from plivostatusd.daemon.restore import restore

    source, store = options.restore, loaded.config.store.path
    os.umask(0o077)
    try:
        done = restore(source, store, salvages=options.salvage)
    except StartRefused as refused:
        sys.stderr.write(f"plivostatusd: {refused}\n")
        return UNAVAILABLE
    lines = [f"{store} is now what {source} was: {done.messages} messages"]
    if done.salvaged is not None:
        lines.append(f"rows were lost in {done.salvaged.holes} places; once it runs:")
        lines.append("    plivostatusctl rebuild --write && plivostatusctl reconcile")
    if done.aside is not None:
        lines.append(f"the store that was there is kept as {done.aside}")
    if done.unsettled:
        lines.append(
            f"{done.unsettled} sends that were pending or under way in it are unknown now: each may"
            " have been sent, and none is sent again (plivostatusctl list --status unknown)"
        )
    if done.mended.events or done.mended.others:
        lost = f"{done.mended.events} events and {done.mended.others} other rows"
        lines.append(f"{lost} pointed at messages that are gone")
    lines.append("next: systemctl start plivostatusd")
    print(*lines, sep="\n")  # noqa: T201 - for the person who typed it
    return OK


def _run(loaded: Loaded, options: argparse.Namespace) -> int:
    # Imported here: a wrong configuration is said before Tornado is loaded.
    from plivostatusd import daemon

    os.umask(0o077)
    # Where each thread was, when the watchdog aborts us; names of files and functions, no values.
    faulthandler.enable()
    manager = _manager()
    daemon.configure_logs(loaded.config, dev=options.dev)
    for warning in loaded.warnings:
        daemon.log.info("config_warned", problem=str(warning), hint="plivostatusd -t")
    if options.dev:
        from tornado import autoreload

        autoreload.add_reload_hook(sys.stdout.flush)
    try:
        with asyncio.Runner(loop_factory=daemon.new_event_loop) as runner:
            runner.run(_serve(loaded, options, manager))
    except StoryEnded:
        return SOFTWARE
    except StartRefused as refused:
        manager.status(f"Not started: {refused}")
        daemon.log.error("start_refused", reason=str(refused), hint=refused.command)
        sys.stderr.write(f"plivostatusd: {refused}\n")
        return UNAVAILABLE
    if any(each is not threading.main_thread() for each in threading.enumerate()):
        # All is written and said. A look-up of a name, or a look at the store, that goes on in a
        # thread would keep the process alive for as long as it likes.
        sys.stdout.flush()
        os._exit(OK)
    return OK


async def _serve(loaded: Loaded, options: argparse.Namespace, manager: ServiceManager) -> None:
    from plivostatusd.daemon import Daemon

    if options.dev:
        from tornado import autoreload

        autoreload.start()
    config, path = loaded.config, options.config
    is_dev = options.dev
    await Daemon(config, path=path, environ=os.environ, manager=manager, is_dev=is_dev).run()


if __name__ == "__main__":
    sys.exit(main())
