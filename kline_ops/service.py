"""One recording session, wired from its parts. Read it top to bottom to see the whole program.

    exchange ══ Feed ── Kline ──▶ Recorder ── Journal ──▶ candles_*.csv
                 ▲                   │  ▲
             TimeTrigger          hole  REST
                                     ▼
                     Bus ──▶ log, events.jsonl, state file, alerts, HTTP

Recording comes first: everything that listens is behind a queue, a thread or a boundary of its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kline_ops import events
from kline_ops.budget import Budget, budget_path
from kline_ops.clock import Clock
from kline_ops.config.settings import Settings
from kline_ops.config.trust import tls_context
from kline_ops.config.venues import venue_key
from kline_ops.events import Bus, Listener
from kline_ops.feed.feed import Feed
from kline_ops.kit.heartbeat import Heartbeat
from kline_ops.market.messages import Kline
from kline_ops.market.server_time import ServerTime
from kline_ops.observe.logs import EventLog
from kline_ops.observe.snapshot import Snapshot
from kline_ops.record.journal import Journal
from kline_ops.session.parts import Common, new_feed, new_recorder, new_rotation
from kline_ops.session.standing import View
from kline_ops.session.succession import take_over
from kline_ops.session.upkeep import seek_secrets, watch_clocks, watch_memory
from kline_ops.watch.clocks import ClockWatch
from kline_ops.watch.keeper import StateKeeper
from kline_ops.watch.state_writer import StateWriter
from kline_ops.worker import Worker

if TYPE_CHECKING:
    from kline_ops.session.alerting import Alerting
    from kline_ops.session.observing import Observing

#: Seconds for a recorder that has made way to let go of its lock.
_COMMITTED = 5.0
#: Seconds for the state that another process left to be read.
_FIRST_WORDS = 1.0
#: Seconds that the last state and the last events may take at the end.
_LAST_WORDS = 0.5

_WRITTEN_AT_ONCE = (
    events.SessionStarted,
    events.Live,
    events.Disconnected,
    events.HeartbeatRestart,
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


@dataclass(frozen=True, slots=True)
class Host:
    """The process around a session: who keeps it, and what it is to be told."""

    supervised: bool = False
    #: Called when the candle file is this process's to write; its terminal is, too, from then on.
    on_begin: Callable[[], None] = lambda: None
    #: Given where this process takes over from another: called when it delivers, so that the other one
    #: is told to make way.
    on_live: Callable[[], None] | None = None
    #: Called when a fresh process should take over from this one.
    ask_renewal: Callable[[], None] = lambda: None


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
        budget_file: Path | None = None,
        host: Host | None = None,
    ) -> None:
        self._host = host or Host()
        #: The candle file and the state file are this process's to write.
        self._in_charge = False
        self._committed = False
        self._makes_way = False
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
        self._alerting: Alerting | None = None
        self._observing: Observing | None = None
        #: Wants each update of a candle, after the recorder; None: nobody does.
        self._onlooker: Callable[[Kline], None] | None = None
        self._chores: set[asyncio.Task[None]] = set()
        self._beating: asyncio.Task[None] | None = None
        #: When the feed was begun anew last (monotonic seconds).
        self._revived_at = float("-inf")
        #: A state could not be made, which is told.
        self._is_mute = False
        self._last_kline: Kline | None = None
        self._reason = "asked to"
        self._stop = asyncio.Event()

    def stop(self, reason: str) -> None:
        """End cleanly: the row is finished and synced, sockets are closed."""
        self._reason = reason
        self._stop.set()

    def make_way(self) -> None:
        """Let a fresh process go on, which delivers already: write what has come, let go of the file."""
        self._makes_way = True
        self.stop("made way for a fresh process")

    def is_sound(self) -> bool:
        """Is every owed candle on disk, or being pursued? Once it has begun."""
        return self._recorder.is_sound()

    def describe(self) -> str:
        """How it stands, in one line: the word, and the reason. Once it has begun."""
        return self._view.line()

    def snapshot(self) -> Snapshot:
        """How it stands at this moment, for whoever looks at it; once it has begun."""
        return self._view.snapshot(
            self._last_kline,
            is_stopping=self._stop.is_set(),
            people=None if self._alerting is None else self._alerting.figures(),
        )

    def drop(self) -> None:
        """Cut what is connected, to see what follows; while it runs."""
        self._feed.drop()

    def renew(self) -> None:
        """Let a successor take over from the connection now, as at a boundary; while it runs."""
        self._feed.replace(events.PLANNED)

    async def run(self) -> None:
        """Record. Returns after :meth:`stop`, with everything received on disk.

        Raises:
            JournalError: the candle file is not ours to write.
            ConfigError: SSL_CERT_FILE can not be used.
        """
        try:
            await self._record()
        finally:
            if self._observing is not None:
                await self._observing.close()

    async def _record(self) -> None:
        async with AsyncExitStack() as stack:
            ws_url, rest_url = await self._addresses(stack)
            common = self._new_common(ws_url)
            self._keeper = self._new_keeper(ws_url)
            await self._read_counts()
            self._recorder = recorder = new_recorder(common, self._journal, rest_url)
            self._feed = feed = new_feed(common, ws_url, self._deliver, self._draw)
            rotation = new_rotation(common, feed, self._keeper.last_boundary_ms)
            self._view = View(
                common, recorder, feed, self._keeper, rotation, self._clock_watch, self._event_log
            )
            self._alerting = self._new_alerting(common)
            self._observing = self._new_observing(common)
            self._heartbeat = self._new_heartbeat(feed)
            feed.on_dead = self._feed_died
            # To the very end: whoever waits for a slow disk lives.
            stack.callback(self._beat_no_more)
            self._bus.listen(feed.hear)
            recorder.on_settled = feed.settled
            recorder.on_missed = lambda open_ms: feed.missed(recorder.stream, open_ms)
            feed.on_suspect = lambda name: recorder.look_at_market(
                lambda traded: feed.witnessed(name, traded)
            )
            begin = asyncio.create_task(self._begin(), name="begin")
            try:
                if await self._unless_stopped(begin):
                    self._look_after(common)
                    if rotation is not None:
                        self._chore(rotation.run(), "rotation")
                    await self._unless_stopped(*self._chores, *recorder.tasks)
            finally:
                if self._committed and not begin.done():
                    # Told to end between the two: what waits in memory is in no file yet.
                    await asyncio.wait({begin}, timeout=_COMMITTED)
                for task in (begin, *self._chores):
                    task.cancel()
                try:
                    await feed.close()
                    await self._step_aside()
                finally:  # whatever fails: what waits goes to the disk
                    unwritten = await recorder.close(for_good=not self._makes_way)
        await self._last_words(unwritten)

    def _chore(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Have it done beside the rest until the end."""
        self._chores.add(asyncio.create_task(work, name=name))

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

    # -- the beginning ----------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Open the candle file and connect; taking over, the other way round.

        Raises:
            JournalError: the file is not ours to write.
        """
        if self._host.on_live is not None:
            await take_over(
                self._journal,
                self._feed,
                self._commit,
                self._view.settled_in,
                bus=self._bus,
                clock=self._clock,
            )
            await self._read_counts()
        self._in_charge = True
        self._host.on_begin()
        self._beating = asyncio.create_task(self._heartbeat.run(), name="beat")
        if self._alerting is not None:
            self._chore(self._alerting.run(), "alerts")
        if self._observing is not None:
            self._chore(self._observing.run(), "onlookers")
        await self._recorder.start()
        self._announce()
        if self._host.on_live is None:
            self._feed.start()

    async def _read_counts(self) -> None:
        """Go on with the counts of the process before; a disk that hangs holds up no candle."""
        loop = asyncio.get_running_loop()
        reading = loop.run_in_executor(self._sideline, self._keeper.take_over)
        await asyncio.wait({reading}, timeout=_FIRST_WORDS)

    def _commit(self) -> None:
        """The other recorder is told to make way: from here on the candles are ours to write."""
        self._committed = True
        if self._host.on_live is not None:
            self._host.on_live()

    # -- the parts --------------------------------------------------------------------------------

    async def _addresses(self, stack: AsyncExitStack) -> tuple[str, str | None]:
        """The exchange's addresses; the embedded one is started for them."""
        settings = self._settings
        if settings.ws_url is not None:
            return settings.ws_url, settings.rest_url
        from kline_ops.exchange.embedded import embedded  # noqa: PLC0415 - for the demo only

        server = await stack.enter_async_context(embedded(self._clock))
        return server.ws_url, server.rest_url

    def _new_common(self, ws_url: str) -> Common:
        return Common(
            self._settings,
            self._bus,
            self._clock,
            self._server_time,
            Budget(self._budget_file, venue_key(ws_url), self._clock),
            tls_context(os.environ) if self._settings.uses_tls else None,
        )

    def _new_keeper(self, ws_url: str) -> StateKeeper:
        settings = self._settings
        beat = settings.config.resilience.heartbeat.interval
        keeper = StateKeeper(
            settings.state_file,
            self._clock,
            session=settings.name,
            endpoint=ws_url,
            beat=beat,
            supervised=self._host.supervised,
            lacks_secrets=settings.lacks_secrets,
        )
        self._states = StateWriter(keeper.write, self._sideline)
        self._bus.listen(keeper.hear)
        self._event_log = EventLog(settings.events_file, self._clock, self._sideline)
        self._bus.listen(self._log_event)
        self._bus.listen(self._write_state_at)
        return keeper

    def _new_heartbeat(self, feed: Feed) -> Heartbeat:
        """Writes the state each ``heartbeat.interval``, and has a fresh feed where this one has died."""
        return Heartbeat(
            interval=self._settings.config.resilience.heartbeat.interval,
            target=feed,
            on_target_dead=self._revive,
            on_beat=self._write_state,
            clock=self._clock,
        )

    def _new_alerting(self, common: Common) -> Alerting | None:
        """Whoever tells people; None where nobody is to be told."""
        alerts, credentials = common.settings.config.alerts, common.settings.config.credentials
        if not (credentials or alerts.urls or alerts.ping_url):
            return None
        try:
            from kline_ops.session.alerting import Alerting  # noqa: PLC0415 - for who has somebody to tell

            alerting = Alerting(
                common,
                self._view.standing,
                self._feed.is_excused,
                self._sideline,
                takes_over=self._host.on_live is not None,
            )
        except Exception:  # noqa: BLE001 - a boundary: telling may fail, recording may not
            _log.exception("people can not be told")
            return None
        self._bus.listen(alerting.hear)
        return alerting

    def _new_observing(self, common: Common) -> Observing | None:
        """What one can look at; see there for what is wanted of it."""
        try:
            from kline_ops.session.observing import Observing  # noqa: PLC0415 - within its boundary

            observing = Observing(common, self.snapshot, lambda: self._in_charge)
        except Exception:  # noqa: BLE001 - a boundary: looking on may fail, recording may not
            _log.exception("nobody can look on")
            return None
        self._bus.listen(observing.hear)
        self._onlooker = observing.on_kline
        return observing

    # -- chores -----------------------------------------------------------------------------------

    def _look_after(self, common: Common) -> None:
        keeper, recorder = self._keeper, self._recorder
        self._chore(watch_clocks(common, self._clock_watch, self._woke), "clocks")

        def keeps() -> bool:
            return recorder.figures().disk_error is not None

        renew = self._host.ask_renewal
        self._chore(watch_memory(common, lambda: keeper.uptime, keeps, renew), "memory")
        if self._settings.lacks_secrets:
            self._chore(seek_secrets(keeps, renew), "secrets")

    def _woke(self) -> None:
        """This machine slept. What was connected is as good as dead, and may not know for minutes."""
        self._recorder.wake()
        self._feed.replace("suspended")

    def _feed_died(self) -> None:
        """Look at it now; one that dies as soon as it is begun anew has to wait for the next beat."""
        if self._clock.monotonic() - self._revived_at >= self._heartbeat.interval:
            self._heartbeat.beat()

    def _revive(self) -> None:
        """The feed has died of a fault of ours: a fresh one takes over, and nothing else is touched."""
        self._revived_at = self._clock.monotonic()
        self._bus.emit(events.HeartbeatRestart(reason=self._feed.fault))
        self._feed.revive()

    def _beat_no_more(self) -> None:
        if self._beating is not None:
            self._beating.cancel()

    def _log_event(self, event: events.Event) -> None:
        """Listener: the event log tells of the recorder, not of one that is to take over from it."""
        if self._in_charge:
            self._event_log.hear(event)

    def _write_state_at(self, event: events.Event) -> None:
        """Listener: what a look from outside waits for, or must outlive a crash, is written at once."""
        if isinstance(event, _WRITTEN_AT_ONCE):
            self._write_state()

    def _write_state(self) -> None:
        if not self._in_charge:
            return  # it is another process's, which takes over or is still to make way
        try:
            self._states.write(self._keeper.state(self._view.standing()))
        except Exception:  # noqa: BLE001 - a boundary: a state may fail, recording may not
            if not self._is_mute:
                _log.exception("how it stands can not be told")
            self._is_mute = True
        else:
            self._is_mute = False

    def _deliver(self, kline: Kline) -> None:
        self._recorder.deliver(kline)
        self._last_kline = kline
        if self._onlooker is not None:
            self._onlooker(kline)

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
                live=() if self._host.on_live is None else tuple(self._keeper.live),
            )
        )
        for warning in self._settings.warnings:
            _log.warning("%s", warning)

    async def _step_aside(self) -> None:
        """Before the lock is let go: from then on the state file is the successor's."""
        if not self._makes_way:
            return
        self._bus.emit(events.HandedOver(pid=os.getpid()))
        if self._observing is not None:
            self._observing.let_go()  # the successor wants the port
        # The successor goes on with these counts, and beats as soon as it has the lock.
        self._write_state()
        self._in_charge = False
        loop = asyncio.get_running_loop()
        written = loop.run_in_executor(self._sideline, lambda: None)
        await asyncio.wait({written}, timeout=_LAST_WORDS)

    async def _last_words(self, unwritten: int) -> None:
        if self._in_charge:
            self._bus.emit(events.SessionStopped(reason=self._reason, unwritten=unwritten))
            self._write_state()
        if self._alerting is not None:
            await self._alerting.close()
        self._sideline.shutdown(wait=False)
        if not self._sideline.join(_LAST_WORDS):
            _log.warning("the last state could not be written in time")
