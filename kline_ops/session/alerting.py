"""What a session tells people: wires the herald to the alert channels, the digest and the ping.

Beside the recording: it hears events, looks once a second, and hands messages over to threads. A process
that makes way leaves to its successor what people know of, and says no goodbye.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from kline_ops import events
from kline_ops.alerts import routes
from kline_ops.alerts.herald import Herald, Sent
from kline_ops.alerts.outbox import Letter
from kline_ops.alerts.signs import Look
from kline_ops.alerts.words import Subject, Topic
from kline_ops.errors import ConfigError
from kline_ops.events import Event
from kline_ops.observe.snapshot import People, Queue
from kline_ops.session.alerts_file import AlertsFile, Kept, crash_before
from kline_ops.session.daily_digest import Daily, summary
from kline_ops.session.parts import Common
from kline_ops.watch.keeper import Standing
from kline_ops.watch.verdict import Word, judge
from kline_ops.worker import Worker

#: Seconds between two looks.
_EVERY = 1.0
#: Seconds for what another process has left to be read.
_READ_WITHIN = 5.0
#: Seconds that the last words may take to get out.
_LAST_WORDS = 1.0

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Alerting:
    """Of one session: :meth:`run` once the files are this process's, :meth:`close` at the end.

    Args:
        common: what all parts share.
        standing: how the session stands now.
        is_quiet: has REST called the market quiet just now?
        sideline: reads and writes what outlives the process.
        takes_over: from a process that runs still.

    A channel that can not be used is a warning: it keeps no recorder from recording.
    """

    def __init__(
        self,
        common: Common,
        standing: Callable[[], Standing],
        is_quiet: Callable[[], bool],
        sideline: Worker,
        *,
        takes_over: bool,
    ) -> None:
        self._common = common
        self._standing = standing
        self._is_quiet = is_quiet
        self._sideline = sideline
        self._takes_over = takes_over
        settings = common.settings
        config, stream = settings.config, settings.stream
        self._subject = Subject(settings.name, stream.symbol, stream.interval.name)
        self._herald = Herald(
            self._subject,
            floor=config.alerts.floor,
            stall=config.websocket.stall_timeout,
            planned_restarts=config.alerts.planned_restarts,
        )
        self._key = routes.stream_key(config)
        self._manager = routes.new_manager(
            config, session=settings.name, on_failed=self._failed, on_problem=_left_out
        )
        self._has_channels = self._manager.has_channels
        self._ping = routes.new_ping(config, on_failed=self._failed, on_problem=_left_out)
        # Before this process writes a state of its own: the sideline does one thing after another.
        self._loop = asyncio.get_running_loop()
        self._crash: asyncio.Future[str | None] | None = None
        if not takes_over:
            self._crash = self._loop.run_in_executor(sideline, crash_before, settings)
        self._daily = Daily(config.alerts.digest if self._has_channels else None)
        self._in_charge = self._is_closed = self._has_failed = False
        self._counting: asyncio.Task[None] | None = None
        #: So many messages are left to the next process.
        self._handed = 0
        self._file = AlertsFile(settings, common.clock, sideline)

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        has_begun = False
        while True:
            try:
                if not has_begun:
                    has_begun = True
                    await self._begin()
                self._look()
                self._write()
            except Exception:  # noqa: BLE001 - a boundary: telling may fail, recording may not
                if not self._has_failed:
                    _log.exception("people can not be told")
                self._has_failed = True
            else:
                self._has_failed = False
            await asyncio.sleep(_EVERY)

    def hear(self, event: Event) -> None:
        """Listener."""
        if isinstance(event, events.Alerted | events.AlertFailed):
            return
        self._herald.hear(event, self._common.clock.monotonic())
        if isinstance(event, events.SessionStarted):
            standing = self._standing()
            self._herald.opened(catches_up=standing.facts.backfill and standing.owed > 0)
        elif isinstance(event, events.HandedOver):
            if self._in_charge:
                letters = self._manager.withdraw()
                self._handed = sum(letter.times for each in letters.values() for letter in each)
                self._write(letters, final=True)
            self._in_charge = False
        elif isinstance(event, events.SessionStopped):
            self._write(final=True)
            standing = self._standing()
            # After the end nothing is on its way any more.
            missing = standing.owed - standing.on_disk
            self._tell([self._herald.stopped(event.reason, event.unwritten, missing)])

    def figures(self) -> People:
        """How it goes with telling, for whoever looks at it; cheap."""
        waiting, room, lost = self._manager.figures()
        hosts = self._manager.hosts + (() if self._ping is None else (self._ping.host,))
        topics = self._herald.open_topics()
        incidents = {topic.value: topic in topics for topic in Topic}
        return People(Queue(waiting, room, lost), tuple(dict.fromkeys(hosts)), incidents)

    async def close(self) -> None:
        """Let the last words out, within a bounded time."""
        if self._counting is not None:
            self._counting.cancel()
        if self._ping is not None:
            self._ping.close()
        worker = Worker("last words")
        closing = self._loop.run_in_executor(worker, self._manager.close, _LAST_WORDS)
        worker.shutdown(wait=False)
        done, _ = await asyncio.wait({closing}, timeout=2 * _LAST_WORDS)
        lost = sum(ended.result() for ended in done if ended.exception() is None)
        self._is_closed = True
        if self._handed and not self._file.is_kept:
            lost += self._handed
        if lost:
            _log.warning("%d message(s) could not be delivered", lost)

    # -- the beginning, and what outlives the process ---------------------------------------------

    async def _begin(self) -> None:
        kept = self._loop.run_in_executor(self._sideline, self._file.read)
        # A disk that hangs is one more thing to be told. What was asked for before comes before.
        await asyncio.wait({kept}, timeout=_READ_WITHIN)
        now = self._common.clock.monotonic()
        try:
            self._remember(_read(kept), now)
        except Exception:  # noqa: BLE001 - whatever another process left: people are told from here on
            _log.exception("%s is passed over", self._file.path)
        self._in_charge = True
        self._herald.begin(now, _read(self._crash), goes_on=self._takes_over)
        if self._ping is not None:
            self._ping.start()

    def _remember(self, kept: Kept | None, now: float) -> None:
        if kept is None:
            return
        elapsed = (self._common.clock.wall_ms() - kept.wall_ms) / 1000.0
        self._manager.resume(kept.letters)
        self._herald.remember(kept.herald, now, elapsed)
        self._daily.day = kept.digest_day

    def _write(
        self, letters: dict[str, list[Letter]] | None = None, *, final: bool = False
    ) -> None:
        """Keep what must outlive the process."""
        if self._in_charge:
            memory = self._herald.memory(self._common.clock.monotonic())
            self._file.write(memory, self._daily.day, letters, final=final)

    # -- each second ------------------------------------------------------------------------------

    def _look(self) -> None:
        standing = self._standing()
        facts, word = standing.facts, judge(standing.facts)[0]
        clock = self._common.clock
        now = clock.monotonic()
        now_ms = self._common.server_time.now_ms(now)
        look = Look(
            now=now,
            now_ms=now_ms,
            word=word.value,
            dark_for=facts.dark_for,
            silent_for=facts.silent_for,
            has_data=facts.has_data,
            is_quiet=self._is_quiet(),
            feed_error=facts.feed_error,
            rest_error=facts.rest_error,
            disk_error=facts.disk_error,
            pursued=facts.pursued,
            absent=facts.absent,
            missing=facts.pursued + (standing.waiting if facts.disk_error else 0),
            waiting=standing.waiting,
            backfill=facts.backfill,
            clock_skew=standing.clock_skew,
        )
        self._tell(self._herald.look(look))
        if self._ping is not None:
            self._ping.complete(word is Word.RECORDING and not look.missing)
        is_settled = word is Word.RECORDING and self._common.server_time.heard
        is_counting = self._counting is not None and not self._counting.done()
        if self._daily.is_due(now, now_ms, settled=is_settled) and not is_counting:
            self._counting = asyncio.create_task(self._tell_digest(now_ms), name="digest")

    async def _tell_digest(self, now_ms: int) -> None:
        """Count in a thread: a day of seconds is read in a moment, but a disk may hang."""
        count = partial(summary, self._common.settings, self._subject, now_ms)
        try:
            worker = Worker("digest")
            counting = self._loop.run_in_executor(worker, count)
            worker.shutdown(wait=False)
            message = await counting
        except Exception:  # noqa: BLE001 - a boundary: the digest may fail, the recorder may not
            _log.exception("the digest could not be made")
        else:
            self._tell([Sent(message, "digest")])
        self._daily.told(now_ms)

    def _tell(self, sent: list[Sent]) -> None:
        if not self._in_charge or not self._has_channels:
            return
        for message, topic, step, is_heartbeat in sent:
            self._manager.send(message, key=routes.HEARTBEAT if is_heartbeat else self._key)
            told = events.Alerted(
                level=message.level.name, topic=topic, step=step, title=message.title
            )
            self._common.bus.emit(told)

    def _failed(self, host: str, reason: str, lost: int) -> None:
        """In the thread of a channel, or of the dead man's switch."""
        failed = events.AlertFailed(host=host, reason=reason, lost=lost)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._tell_failed, failed)

    def _tell_failed(self, event: Event) -> None:
        if not self._is_closed:
            self._common.bus.emit(event)


def _left_out(problem: ConfigError) -> None:
    _log.warning("goes on without an alert channel: %s", problem.one_line())


def _read(reading: asyncio.Future[T] | None) -> T | None:
    """What was read; None where it was not, yet, or could not be."""
    if reading is None or not reading.done():
        return None
    if (error := reading.exception()) is not None:
        _log.error("what another process left can not be read", exc_info=error)
        return None
    return reading.result()
