"""
Composition: builds the house in order, serves, drains, and closes in reverse.

Nobody else makes a door or a flow. Start: logs, lock, listeners, store, flows; what needs the store
begins once that can be opened, and meanwhile the spool takes callbacks. Stop: no sends are taken,
those on their way are waited for, then no callbacks are; what is in flight is answered, and the
store is closed.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from plivostatusd import __version__
from plivostatusd.config import ConfigError, handed_over, load
from plivostatusd.daemon import condition, terms
from plivostatusd.daemon.doors import Doors
from plivostatusd.daemon.watch import Watch
from plivostatusd.domain.errors import StartRefused, StoreDamaged, StoreUnavailable, StoryEnded
from plivostatusd.flows.backup import Backup
from plivostatusd.flows.courtesy import Courtesy
from plivostatusd.flows.evidence import Evidence
from plivostatusd.flows.forgetting import Forgetting
from plivostatusd.flows.front_door import FrontDoor
from plivostatusd.flows.importing import Importing
from plivostatusd.flows.ingest import Ingest
from plivostatusd.flows.outbox import Outbox
from plivostatusd.flows.pulse import Pulse
from plivostatusd.flows.rebuild import Rebuild
from plivostatusd.flows.reconcile import Reconcile
from plivostatusd.flows.refusals import Refusals
from plivostatusd.flows.stats import Stats
from plivostatusd.flows.upkeep import Upkeep
from plivostatusd.host.clock import Clock
from plivostatusd.host.filesystem import refuse_network
from plivostatusd.host.lock import DirectoryLock
from plivostatusd.host.reload_note import ReloadNote
from plivostatusd.log import configure, get_logger
from plivostatusd.plivo.api import PlivoApi
from plivostatusd.store import backup, database
from plivostatusd.store.failure import repair
from plivostatusd.store.handle import Handle
from plivostatusd.store.inspection import inspect
from plivostatusd.store.keep import Keep
from plivostatusd.store.reader import Reader
from plivostatusd.store.receipts import Arrival, Recorded
from plivostatusd.store.spool import Spool, spool_refused
from plivostatusd.store.writer import Writer
from plivostatusd.web.api import application
from plivostatusd.web.callbacks import CallbackServer
from plivostatusd.web.failures import Failures
from plivostatusd.web.handler import Services
from plivostatusd.web.in_flight import InFlight
from plivostatusd.web.metrics import Metrics
from plivostatusd.web.transport.choice import means

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from plivostatusd.config import Config
    from plivostatusd.host.service_manager import ServiceManager
    from plivostatusd.store.inspection import Inspection
    from plivostatusd.store.pulse import Past

log = get_logger()

WAKE_S_MAX: Final = 1.0
WAKE_RETRY_S: Final = 0.5
INSPECTION_S_MAX: Final = 30.0
DRAIN_S_MAX: Final = 10.0
CLOSE_S_MAX: Final = 5.0
FREE_BYTES_BESIDE_RESERVE: Final = 16 * 1024 * 1024


class Daemon:
    """One running daemon over one configuration, which a reload may replace."""

    def __init__(
        self,
        config: Config,
        *,
        path: Path,
        environ: Mapping[str, str],
        manager: ServiceManager,
        is_dev: bool = False,
    ) -> None:
        self._config = config
        self._path = path
        self._environ = environ
        self._is_dev = is_dev
        self._stop = asyncio.Event()
        self._told_to_reload = asyncio.Event()
        self._clock = Clock()
        self._metrics = Metrics()
        self._manager = manager
        self._doors = Doors(config, manager, self._metrics)
        self._reloads = 0
        self._ended: StoryEnded | None = None
        self._awake = asyncio.Event()
        self._past: Past
        self._why_asleep = ""

    async def run(self) -> None:
        """
        Serve until told to stop.

        Raises `StartRefused` when something needed is not there; nothing is left open then. Raises
        `StoryEnded`, after a stop in good order, when a part of it has ended by itself.
        """
        self._catch_signals()
        async with AsyncExitStack() as stack:
            self._enter_store_folder(stack)
            self._doors.bind(stack)
            await self._build(stack)
            stack.push_async_callback(self._drain)
            self._doors.open({"callbacks": self._callbacks, "api": application(self._services)})
            self._ingest.queue_max = terms.queue_max(self._config, self._doors.connections_max)
            for story in (self._wake(), self._reload_when_told(), self._front_door.run()):
                stack.push_async_callback(_end, self._begin(story))
            with suppress(TimeoutError):
                async with asyncio.timeout(WAKE_S_MAX):
                    await self._awake.wait()
            _settle_garbage_collector()
            runs = means(asyncio.get_running_loop())
            self._metrics.runs_on(*runs)
            log.info("started", version=__version__, pid=os.getpid(), **runs._asdict())
            self._manager.ready()
            if self._manager.is_there:
                stack.push_async_callback(_end, self._begin(self._watch().run()))
            await self._stop.wait()
        log.info("stopped")
        if self._ended is not None:
            raise self._ended

    def _enter_store_folder(self, stack: AsyncExitStack) -> None:
        path = self._config.store.path
        database.check_file(path)
        if sentence := refuse_network(path):
            raise StartRefused(sentence, command=f"df -T {path.parent}")
        stack.enter_context(DirectoryLock(path.parent))
        with suppress(OSError):  # what is left of a backup takes room, and no more
            backup.clear(path)

    def _begin(self, story: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin what is to go on until the end; should it end before, so does everything."""
        task = asyncio.create_task(story)
        task.add_done_callback(self._story_ended)
        return task

    def _story_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._stop.is_set():
            return
        name = getattr(task.get_coro(), "__qualname__", "")
        log.critical("story_ended", story=name, exc_info=task.exception(), hint=StoryEnded.hint)
        self._ended = StoryEnded(f"{name} has ended")
        self._stop.set()

    def _watch(self) -> Watch:
        parts = (self._writer, self._services.keep, self._pulse, self._upkeep, self._reconcile)
        how = partial(
            condition.sentence,
            writer=self._writer,
            keep=self._services.keep,
            outbox=self._outbox,
            metrics=self._metrics,
        )
        return Watch(self._manager, [each.worker for each in parts], how)

    async def _build(self, stack: AsyncExitStack) -> None:
        config = self._config
        writer = Writer(Handle(config.store.path), commit_timeout_s=config.store.commit_timeout)
        stack.push_async_callback(writer.close)
        self._writer = writer
        with suppress(StoreUnavailable):  # the spool goes ahead, and the first batch says why
            await writer.open()
        courtesy = Courtesy(lambda: self._ingest.waiting, lambda: self._ingest.received)
        reader = Reader(config.store.path, condemn=writer.condemn, give_way=courtesy.give_way)
        stack.push_async_callback(reader.close)
        keep = self._make_keep(writer)
        stack.push_async_callback(keep.close)
        self._ingest = Ingest(
            keep.put,
            terms.verifier(config),
            self._metrics,
            queue_max=config.callbacks.queue_max,
            now_us=self._clock.wall_us,
            suspected=self._doubt,
            refused=Refusals(writer, now_us=self._clock.wall_us).take,
        )
        api = PlivoApi(terms.api_options(config))
        self._outbox = Outbox(
            writer,
            api,
            terms.sending(config),
            self._metrics,
            now_us=self._clock.wall_us,
            steady_us=self._clock.steady_us,
            courtesy=courtesy,
        )
        self._reconcile = Reconcile(
            writer,
            api,
            terms.reconciling(config),
            self._metrics,
            clock=self._clock,
        )
        self._pulse = Pulse(writer, self._clock, every_s=terms.beat_s(config))
        self._upkeep = Upkeep(writer, terms.retention(config), now_us=self._clock.careful_us)
        self._front_door = FrontDoor(terms.front_door(config), self._metrics)
        self._callbacks = CallbackServer(
            self._ingest,
            body_bytes_max=config.callbacks.body_max,
            front_door=self._front_door,
        )
        self._services = self._make_services(writer, reader, keep, courtesy)
        keep.start()

    def _make_keep(self, writer: Writer) -> Keep:
        """Open the spool; without it there would be nothing to fall back on."""
        store = self._config.store
        spool = Spool(store.path.parent / "spool", reserve_bytes=store.spool_reserve)
        try:
            spool.open()
        except OSError as error:
            raise spool_refused(spool.folder, error) from error
        return Keep(writer, spool, drained=self._tell_drained)

    def _tell_drained(self, arrival: Arrival, recorded: Recorded) -> None:
        """Pass on what the spool was drained of; the flow is made after the spool."""
        self._ingest.recorded(arrival, recorded)

    def _doubt(self, message_id: str) -> None:
        """Have Plivo asked about a message; the flow is made after the one that doubts."""
        self._reconcile.doubt(message_id)

    async def _wake(self) -> None:
        """Begin what needs the store as soon as that can be opened, and go on until cancelled."""
        while not await self._is_awake():  # noqa: ASYNC110 - nothing tells when a lock is let go
            await asyncio.sleep(WAKE_RETRY_S)
        self._awake.set()
        away_s = (self._past.away_us or 0) / 1_000_000
        upkeep = self._upkeep.run(after_absence_s=away_s)
        stories = [self._pulse.run(), upkeep, self._reconcile.run()]
        if not self._past.was_clean:
            stories.append(self._inspect())
        async with asyncio.TaskGroup() as group:
            for story in stories:
                group.create_task(story)

    async def _is_awake(self) -> bool:
        try:
            await self._outbox.write_out()
            self._past = await self._pulse.begin()
            await self._reconcile.begin()
            if last_us := await self._services.reader.last_callback_us():
                self._metrics.last_callback_was(last_us)
            await self._outbox.start(doubt=terms.doubt(self._config, self._past))
        except StoreUnavailable:
            return False  # the writer has said so
        except Exception as error:
            if repr(error) != self._why_asleep:  # once, for it is tried twice a second
                log.exception("store_not_entered", hint="plivostatusd --restore BACKUP")
            self._why_asleep = repr(error)
            return False
        return True

    async def _inspect(self) -> None:
        """Look the store over after a stop that was not clean, beside everything else."""
        path = self._config.store.path
        try:
            found = await _beside(partial(inspect, path, within_s=INSPECTION_S_MAX))
        except sqlite3.Error as error:
            log.warning("store_not_inspected", error=str(error), hint=f"ls -l {path}*")
            return
        log.info("store_inspected", finished=found.finished, seconds=round(found.seconds, 3))
        if found.fault is not None:
            self._writer.condemn(StoreDamaged(found.fault, command=repair(path)))

    def _make_services(
        self, writer: Writer, reader: Reader, keep: Keep, courtesy: Courtesy
    ) -> Services:
        config = self._config
        stopping = asyncio.Event()
        return Services(
            outbox=self._outbox,
            reconcile=self._reconcile,
            rebuild=Rebuild(config.store.path, writer, now_us=self._clock.wall_us),
            evidence=Evidence(
                reader,
                lambda: self._ingest.verifier,
                self._reconcile.look,
                now_us=self._clock.wall_us,
            ),
            forgetting=Forgetting(config.store.path, writer, keep, now_us=self._clock.wall_us),
            importing=Importing(writer, config.reconcile.silence_final, now_us=self._clock.wall_us),
            stats=Stats(config.store.path, condemn=writer.condemn),
            backup=Backup(config.store.path, writer),
            reader=reader,
            writer=writer,
            keep=keep,
            metrics=self._metrics,
            front_door=self._front_door,
            token_uses=self._ingest.token_uses,
            knows=terms.knows(config, self._path),
            rules=terms.rules(config),
            default_sender=config.send.from_,
            wait_s=config.send.wait,
            store_path=config.store.path,
            free_bytes_min=config.store.spool_reserve + FREE_BYTES_BESIDE_RESERVE,
            now_us=self._clock.wall_us,
            give_way=courtesy.give_way,
            turn=courtesy.turn,
            stopping=stopping,
            failures=Failures(self._metrics.registry, stopping),
            in_flight=InFlight(),
        )

    async def _drain(self) -> None:
        """
        Take no more, answer what is in flight, and write down what is on its way.

        Callbacks are taken for as long as sends are waited for: Plivo may be telling of just those.
        """
        log.info("stopping")
        self._manager.stopping()
        ends_s = time.monotonic() + DRAIN_S_MAX
        await self._doors.stop("api")
        self._services.stopping.set()
        await self._outbox.stop(within_s=DRAIN_S_MAX)
        self._callbacks.is_draining = True
        await self._doors.stop("callbacks")
        for door in (self._callbacks.in_flight, self._services.in_flight):
            await door.empty(within_s=max(0.1, ends_s - time.monotonic()))
        await self._close_outbox()
        await self._end_pulse()
        await self._doors.close()

    async def _close_outbox(self) -> None:
        """Write outcomes down; a store that takes none must not keep the process alive for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._outbox.close()
                return
        log.error("outcomes_lost", hint="Sends that were on their way will be unknown")

    async def _end_pulse(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._pulse.end()
        except (StoreUnavailable, TimeoutError):
            log.info("stop_not_recorded")  # the next start looks the store over

    # Signals

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._told_to_reload.set)

    def _told_to_stop(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            log.warning("stopped_at_once", signal=number.name)
            os._exit(128 + number)
        self._stop.set()

    async def _reload_when_told(self) -> None:
        while True:
            await self._told_to_reload.wait()
            self._told_to_reload.clear()
            try:
                self.reload()
            except Exception:
                log.exception("reload_failed")
                self._note_reload(["failed: journalctl -u plivostatusd -p err"], taken=False)

    def reload(self) -> None:
        """Read the configuration again: all of it is taken, or nothing."""
        try:
            loaded = load(self._path, self._environ)
        except ConfigError as error:
            self._refuse(error)
            return
        old, new = self._config, loaded.config
        changed = new.differences(old)
        self._config = new
        self._apply(old, new)
        self._metrics.reload_ended(successful=True)
        taken = [change.name for change in changed if change.is_reloadable]
        left = [change.name for change in changed if not change.is_reloadable]
        are_new = new.secrets != old.secrets
        kept = [] if are_new else handed_over(new, self._environ)
        log.info("config_reloaded", changed=taken, needs_restart=left, tokens_changed=are_new)
        sentences = [f"changed: {', '.join(taken)}" if taken else "no setting has changed"]
        if are_new:
            sentences.append("tokens have changed")
        if left:
            sentences.append(f"changes at systemctl restart plivostatusd: {', '.join(left)}")
        if kept:
            names = ", ".join(kept)
            sentences.append(f"{names}: a new one comes with systemctl restart plivostatusd")
        self._note_reload(sentences, taken=True)

    def _refuse(self, error: ConfigError) -> None:
        self._metrics.reload_ended(successful=False)
        for problem in error.problems:
            hint = f"plivostatusd -t -c {self._path}"
            log.error("config_refused", problem=str(problem), hint=hint)
        sentences = [*map(str, error.problems), "refused: the old settings go on"]
        self._note_reload(sentences, taken=False)

    def _note_reload(self, sentences: list[str], *, taken: bool) -> None:
        """Answer whoever waits for it; without a runtime directory of the service's nobody does."""
        folder = self._environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
        if not folder:
            return
        self._reloads += 1
        try:
            ReloadNote(os.getpid(), self._reloads, taken, sentences).write(Path(folder))
        except OSError as error:
            log.warning("reload_not_noted", error=str(error), hint=f"ls -ld {folder}")

    def _apply(self, old: Config, new: Config) -> None:
        configure_logs(new, dev=self._is_dev)
        self._ingest.verifier = terms.verifier(new)
        self._ingest.queue_max = terms.queue_max(new, self._doors.connections_max)
        self._callbacks.body_bytes_max = new.callbacks.body_max
        self._services.rules = terms.rules(new)
        self._services.knows = terms.knows(new, self._path)
        self._front_door.change(terms.front_door(new))
        self._services.default_sender = new.send.from_
        self._services.wait_s = new.send.wait
        self._services.writer.commit_timeout_s = new.store.commit_timeout
        self._services.importing.silence_final_s = new.reconcile.silence_final
        self._upkeep.retention = terms.retention(new)
        self._pulse.every_s = terms.beat_s(new)
        self._outbox.change(terms.sending(new))
        self._reconcile.change(terms.reconciling(new))
        if terms.api_options(new) != terms.api_options(old):
            api = PlivoApi(terms.api_options(new))
            self._reconcile.replace_api(api)
            self._outbox.replace_api(api)


def configure_logs(config: Config, *, dev: bool = False) -> None:
    """Set the log up as *config* says; *dev* is for a person at a terminal."""
    configure(
        level="debug" if dev else config.log.level,
        format="console" if dev else config.log.format,
        numbers=config.log.numbers,
        secrets=config.hidden(),
    )


async def _beside(work: Callable[[], Inspection]) -> Inspection:
    """Do *work* in a thread of its own, which no end of this process waits for."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="inspection")
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, work)
    finally:
        thread.shutdown(wait=False)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])  # what one has ended of was said when it did


def _settle_garbage_collector() -> None:
    """What is here now stays: the collector need not look at it, nor so often at the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
