"""One recording session, wired from its parts. Read it top to bottom to see the whole program.

    exchange ══ Feed ── Kline ──▶ Recorder ── Journal ──▶ candles_*.csv
                 ▲                   │  ▲
             TimeTrigger          hole  REST
                                     ▼
                     Bus ──▶ log, events.jsonl, state file

Recording comes first: everything that listens is behind a queue, a thread or a boundary of its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from kline_ops import events
from kline_ops.budget import Budget, budget_path
from kline_ops.clock import Clock, read
from kline_ops.config.settings import Settings
from kline_ops.config.trust import tls_context
from kline_ops.config.venues import venue_key
from kline_ops.errors import JournalError
from kline_ops.events import Bus, Listener
from kline_ops.feed.connection import Options
from kline_ops.feed.endpoints import BreakerOptions
from kline_ops.feed.feed import Feed, FeedOptions
from kline_ops.feed.gate import Gate
from kline_ops.feed.plan import Timing
from kline_ops.feed.rotation import Rotation
from kline_ops.market.server_time import ServerTime
from kline_ops.observe.logs import EventLog
from kline_ops.record.backfill import Backfill
from kline_ops.record.disk import Disk
from kline_ops.record.journal import Journal
from kline_ops.record.recorder import Recorder, RecordOptions
from kline_ops.resilience import Backoff, TimeTrigger
from kline_ops.watch.clocks import ClockWatch
from kline_ops.watch.keeper import Standing, StateKeeper
from kline_ops.watch.state_writer import StateWriter
from kline_ops.watch.verdict import Facts
from kline_ops.worker import Worker

#: Seconds between two looks at the clocks.
_CLOCKS_EVERY = 1.0
#: A look that is so many seconds late shows that this process stood still.
_HELD_UP = 1.0
#: Seconds that the last state and the last events may take at the end.
_LAST_WORDS = 0.5

_WRITTEN_AT_ONCE = (
    events.SessionStarted,
    events.Live,
    events.Disconnected,
    events.RestartPlanned,
    events.RestartSkipped,
    events.BackfillFailed,
    events.Banned,
    events.DiskFull,
    events.DiskRecovered,
    events.Suspended,
    events.ClockStepped,
)

_log = logging.getLogger(__name__)


def new_journal(settings: Settings, disk: Disk | None = None) -> Journal:
    """The session's journal, locked: from here on this process is the file's only recorder.

    ``disk``: the file calls; None: those of the system.

    Raises:
        JournalError: somebody else records into it; nothing was touched.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JournalError(
            f"cannot create {settings.data_dir}: {error.strerror}",
            transient=True,
            hint="check its disk and permissions, or give data_dir another place",
        ) from None
    record = settings.config.record
    journal = Journal(
        settings.csv,
        settings.stream.interval,
        owner=settings.name,
        sync=record.fsync == "always",
        columns=record.columns,
        disk=disk,
    )
    journal.lock()
    return journal


class Session:
    """Records until it is told to stop. Make one, run it once."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        *,
        clock: Clock,
        draw: Callable[[], float],
        listeners: tuple[Listener, ...] = (),
        supervised: bool = False,
        budget_file: Path | None = None,
        on_begin: Callable[[], None] = lambda: None,
    ) -> None:
        self._supervised = supervised
        #: Called when the candle file is this process's to write; its terminal is, too, from then on.
        self._on_begin = on_begin
        #: Where the recorders of this machine share what the exchange allows an address.
        self._budget_file = budget_file or budget_path()
        self._settings = settings
        self._journal = journal
        self._clock = clock
        self._draw = draw
        self._sideline = Worker("sideline")
        self._bus = Bus()
        for listener in listeners:
            self._bus.listen(listener)
        self._server_time = ServerTime(clock.wall_ms(), clock.monotonic())
        self._clock_watch = ClockWatch()
        self._tls: ssl.SSLContext | None = None
        self._rotation: Rotation | None = None
        self._reason = "asked to"
        self._stop = asyncio.Event()

    def stop(self, reason: str) -> None:
        """End cleanly: the row is finished and synced, sockets are closed."""
        self._reason = reason
        self._stop.set()

    def renew(self) -> None:
        """Let a successor take over from the connection now, as at a boundary; while it runs."""
        self._feed.replace(events.PLANNED)

    async def run(self) -> None:
        """Record. Returns after :meth:`stop`, with everything received on disk.

        Raises:
            JournalError: the candle file is not ours to write.
            ConfigError: SSL_CERT_FILE can not be used.
        """
        async with AsyncExitStack() as stack:
            ws_url, rest_url = await self._addresses(stack)
            if self._settings.uses_tls:
                # One for all connections: each costs 16 ms and 2 MB.
                self._tls = tls_context(os.environ)
            budget = Budget(self._budget_file, venue_key(ws_url), self._clock)
            self._keeper = self._new_keeper(ws_url)
            self._recorder = recorder = self._new_recorder(rest_url, budget)
            self._feed = feed = self._new_feed(ws_url, budget)
            self._rotation = self._new_rotation()
            self._bus.listen(feed.hear)
            recorder.on_settled = feed.settled
            recorder.on_missed = lambda open_ms: feed.missed(recorder.stream, open_ms)
            feed.on_suspect = lambda name: recorder.look_at_market(
                lambda traded: feed.witnessed(name, traded)
            )
            chores = {asyncio.create_task(self._beat(), name="beat")}
            self._on_begin()
            try:
                if await self._unless_stopped(asyncio.create_task(recorder.start(), name="open")):
                    self._announce()
                    feed.start()
                    chores.add(asyncio.create_task(self._watch_clocks(), name="clocks"))
                    if self._rotation is not None:
                        chores.add(asyncio.create_task(self._rotation.run(), name="rotation"))
                    await self._unless_stopped(*chores, *recorder.tasks)
            finally:
                for chore in chores:
                    chore.cancel()
                await feed.close()
                unwritten = await recorder.close()
        await self._last_words(unwritten)

    async def _unless_stopped(self, *tasks: asyncio.Task[None]) -> bool:
        """Wait for the first of these to end, or for the stop: False then.

        Raises whatever it ended with: a chore that dies is a fault of ours, and the process ends with it
        rather than go on without (the supervisor starts it again).
        """
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        for task in done - {stopped}:
            task.result()
        return stopped not in done

    # -- the parts --------------------------------------------------------------------------------

    async def _addresses(self, stack: AsyncExitStack) -> tuple[str, str | None]:
        """The exchange's addresses; the embedded one is started for them."""
        settings = self._settings
        if settings.ws_url is not None:
            return settings.ws_url, settings.rest_url
        from kline_ops.exchange.embedded import embedded  # noqa: PLC0415 - for the demo only

        server = await stack.enter_async_context(embedded(self._clock))
        return server.ws_url, server.rest_url

    def _new_keeper(self, ws_url: str) -> StateKeeper:
        settings = self._settings
        beat = settings.config.resilience.heartbeat.interval
        keeper = StateKeeper(
            settings.state_file,
            self._clock,
            session=settings.name,
            endpoint=ws_url,
            beat=beat,
            supervised=self._supervised,
        )
        self._states = StateWriter(keeper, self._sideline)
        self._bus.listen(keeper.hear)
        self._bus.listen(EventLog(settings.events_file, self._clock, self._sideline).hear)
        self._bus.listen(self._write_state_at)
        return keeper

    def _new_recorder(self, rest_url: str | None, budget: Budget) -> Recorder:
        record = self._settings.config.record
        backfill = None
        if rest_url is not None and record.backfill:
            backfill = Backfill(rest_url, self._tls, budget)
        return Recorder(
            self._settings.stream,
            self._journal,
            backfill,
            RecordOptions(record.grace, self._settings.since_ms),
            bus=self._bus,
            clock=self._clock,
            server_time=self._server_time,
        )

    def _new_feed(self, ws_url: str, budget: Budget) -> Feed:
        websocket, record = self._settings.config.websocket, self._settings.config.record
        connection = Options(
            open_timeout=websocket.connection.timeout,
            ping_interval=websocket.ping.interval,
            ping_timeout=websocket.ping.timeout,
            tls=self._tls,
        )
        retry = websocket.reconnect
        timing = Timing(
            stall=websocket.stall_timeout,
            proof=websocket.proof_timeout,
            linger=record.grace + record.rest_patience,
        )
        breaker = self._settings.config.resilience.circuit_breaker
        return Feed(
            [self._settings.stream],
            FeedOptions(
                (ws_url, *self._settings.failover_urls),
                connection,
                Backoff(retry.delay, retry.max_delay, retry.max_attempts),
                timing,
                BreakerOptions(
                    breaker.enabled, breaker.failures, breaker.cooldown, breaker.successes
                ),
                websocket.redundancy,
            ),
            bus=self._bus,
            clock=self._clock,
            server_time=self._server_time,
            on_kline=self._recorder.deliver,
            draw=self._draw,
            gate=Gate(budget),
        )

    def _new_rotation(self) -> Rotation | None:
        keys = self._settings.rotation
        if keys is None:
            return None
        return Rotation(
            TimeTrigger(keys.modulo, last_boundary_ms=self._keeper.last_boundary_ms),
            keys.margin,
            keys.min_connection_duration,
            self._feed,
            bus=self._bus,
            clock=self._clock,
            server_time=self._server_time,
        )

    # -- chores -----------------------------------------------------------------------------------

    async def _watch_clocks(self) -> None:
        """Tell of suspends, halts, steps and skew. After a suspend, catch up and connect anew."""
        due = self._clock.monotonic()
        while True:
            wall_ms, now, asleep = read(self._clock)
            if now - due >= _HELD_UP:
                self._bus.emit(events.HeldUp(seconds=round(now - due, 3)))
            due = now + _CLOCKS_EVERY
            heard = self._server_time.heard_since_sleep
            exchange_ms = self._server_time.now_ms(now) if heard else None
            told = self._clock_watch.look(wall_ms, now, asleep, exchange_ms)
            slept = sum(event.seconds for event in told if isinstance(event, events.Suspended))
            self._server_time.slept(slept)
            for event in told:
                self._bus.emit(event)
            if slept:
                self._recorder.wake()
                # What was connected before is as good as dead, and may not know it for minutes.
                self._feed.replace("suspended")
            await asyncio.sleep(_CLOCKS_EVERY)

    async def _beat(self) -> None:
        """Write the state file every ``heartbeat.interval``."""
        while True:
            self._write_state()
            await asyncio.sleep(self._settings.config.resilience.heartbeat.interval)

    def _write_state_at(self, event: events.Event) -> None:
        """Listener: what a look from outside waits for, or must outlive a crash, is written at once."""
        if isinstance(event, _WRITTEN_AT_ONCE):
            self._write_state()

    def _write_state(self) -> None:
        self._states.write(self._keeper.state(self._standing()))

    def _standing(self) -> Standing:
        figures, feed = self._recorder.figures(), self._feed
        websocket, record = self._settings.config.websocket, self._settings.config.record
        interval = self._settings.stream.interval
        last = figures.last_ms
        return Standing(
            facts=Facts(
                uptime=self._keeper.uptime,
                dark_for=self._keeper.dark_for,
                has_data=feed.messages > feed.rejects.total,
                silent_for=feed.silent_for(),
                overdue_for=figures.overdue_for,
                pursued=figures.pursued,
                absent=figures.absent,
                backfill=self._recorder.has_backfill,
                rest_error=figures.rest_error,
                disk_error=figures.disk_error,
                feed_error=self._keeper.feed_error,
                patience=record.grace + record.rest_patience,
                stall=websocket.stall_timeout,
            ),
            last_open_ms=last,
            last_close_ms=None if last is None else interval.after(last),
            next_due_ms=figures.next_due_ms,
            next_restart_ms=None if self._rotation is None else self._rotation.next_boundary_ms(),
            owed=figures.owed,
            on_disk=figures.on_disk,
            missing=figures.missing,
            clock_skew=self._clock_watch.skew,
        )

    # -- first and last words ---------------------------------------------------------------------

    def _announce(self) -> None:
        stream = self._settings.stream
        self._bus.emit(
            events.SessionStarted(
                name=self._settings.name,
                pid=os.getpid(),
                symbol=stream.symbol,
                interval=stream.interval.name,
                csv=str(self._settings.csv),
            )
        )
        for warning in self._settings.warnings:
            _log.warning("%s", warning)

    async def _last_words(self, unwritten: int) -> None:
        self._bus.emit(events.SessionStopped(reason=self._reason, unwritten=unwritten))
        self._write_state()
        self._sideline.shutdown(wait=False)
        if not self._sideline.join(_LAST_WORDS):
            _log.warning("the last state could not be written in time")
