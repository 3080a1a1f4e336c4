"""How a session stands at a moment: for its state file, and for whoever looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import inf

from kline_ops.feed.feed import Feed
from kline_ops.feed.rotation import Rotation
from kline_ops.market.messages import Kline
from kline_ops.observe.logs import EventLog
from kline_ops.observe.snapshot import Address, People, Queue, Snapshot, Wire
from kline_ops.record.recorder import Figures, Recorder
from kline_ops.secret import shown_url
from kline_ops.session.parts import Common
from kline_ops.watch.clocks import ClockWatch
from kline_ops.watch.keeper import Standing, StateKeeper
from kline_ops.watch.verdict import Facts

#: What may be told of an address; the same few are asked for again and again.
_shown = lru_cache(maxsize=64)(shown_url)


@dataclass(frozen=True, slots=True)
class View:
    """Asks the parts of a session."""

    common: Common
    recorder: Recorder
    feed: Feed
    keeper: StateKeeper
    rotation: Rotation | None
    clock_watch: ClockWatch
    events: EventLog

    def standing(self) -> Standing:
        """What the state file is made of."""
        return self._standing(self.recorder.figures())

    def _standing(self, figures: Figures) -> Standing:
        feed = self.feed
        config, interval = self.common.settings.config, self.common.settings.stream.interval
        last = figures.last_ms
        return Standing(
            facts=Facts(
                uptime=self.keeper.uptime,
                dark_for=self.keeper.dark_for,
                has_data=feed.messages > feed.rejects.total,
                silent_for=feed.silent_for(),
                overdue_for=figures.overdue_for,
                pursued=figures.pursued,
                absent=figures.absent,
                backfill=self.recorder.has_backfill,
                rest_error=figures.rest_error,
                disk_error=figures.disk_error,
                feed_error=self.keeper.feed_error,
                patience=config.record.grace + config.record.rest_patience,
                stall=config.websocket.stall_timeout,
            ),
            last_open_ms=last,
            last_close_ms=None if last is None else interval.after(last),
            next_due_ms=figures.next_due_ms,
            next_restart_ms=None if self.rotation is None else self.rotation.next_boundary_ms(),
            owed=figures.owed,
            on_disk=figures.on_disk,
            missing=figures.missing,
            confirmed=figures.confirmed,
            waiting=figures.waiting,
            clock_skew=self.clock_watch.skew,
        )

    def settled_in(self) -> float:
        """Seconds until all that has closed by now is on disk, or asked of REST."""
        common, record = self.common, self.common.settings.config.record
        now_ms = common.server_time.now_ms(common.clock.monotonic())
        closed_for = (now_ms - common.settings.stream.interval.floor(now_ms)) / 1000.0
        return max(0.0, record.grace + record.rest_patience - closed_for)

    def line(self) -> str:
        """The word, and the reason."""
        state = self.keeper.state(self.standing())
        reason = f": {state['error']}" if state["error"] else ""
        return f"{str(state['status']).upper()}{reason}"

    def snapshot(
        self, last: Kline | None, *, is_stopping: bool = False, people: People | None = None
    ) -> Snapshot:
        """What the dashboard, health and metrics show; ``last``: the newest update of a candle.

        Cheap: it asks what is in memory, and touches no disk.
        """
        figures, common, feed = self.recorder.figures(), self.common, self.feed
        standing, events, file_ms = self._standing(figures), self.events, figures.file_last_ms
        settings, facts = common.settings, standing.facts
        now, live_since = common.clock.monotonic(), feed.live_since()
        state = self.keeper.state(standing)
        silent = facts.silent_for is not None and _is_silent(facts, facts.silent_for)
        return Snapshot(
            now_ms=common.server_time.now_ms(now),
            state=state,
            symbol=settings.stream.symbol,
            interval=settings.stream.interval,
            csv=settings.csv,
            uptime=self.keeper.uptime,
            next_due_ms=standing.next_due_ms,
            next_restart_ms=standing.next_restart_ms,
            live_for=None if live_since is None else now - live_since,
            silent_for=facts.silent_for,
            last=last,
            session=settings.name,
            word=str(state["status"]).upper(),
            reason=state["error"] or "",
            is_stopping=is_stopping,
            delivering=facts.dark_for is None and not silent and facts.disk_error is None,
            missing=standing.missing,
            pursued=facts.pursued if facts.backfill else 0,  # else nobody is asked
            absent=facts.absent,
            confirmed=standing.confirmed,
            waiting=standing.waiting,
            dark_for=facts.dark_for,
            overdue_for=facts.overdue_for,
            disk_error=facts.disk_error,
            rest_error=facts.rest_error,
            messages=feed.messages,
            klines=feed.klines,
            rejects=dict(feed.rejects.by_reason),
            wall_ms=common.clock.wall_ms(),
            started_ms=state["metadata"]["started_ms"],
            written_ms=self.keeper.written_ms,
            wire=self._wire(is_up=facts.dark_for is None and not silent),
            file_closed_ms=None if file_ms is None else settings.stream.interval.after(file_ms),
            file_bytes=figures.file_bytes,
            memory_limit=settings.config.ops.memory_limit_mb,
            allowed=common.budget.usage(),
            queues={
                "candles": Queue(figures.waiting, figures.room, figures.dropped),
                "events": Queue(events.waiting, events.most, events.dropped),
            },
            people=people,
        )

    def _wire(self, *, is_up: bool) -> Wire:
        told = self.feed.figures()
        return Wire(
            is_up=is_up,
            connections=told.connections,
            attempts=told.attempts,
            addresses=tuple(Address(_shown(each.url), *each[1:]) for each in told.addresses),
            retry_in=told.retry_in,
            heard_ago=told.heard_ago,
            pong_ago=told.pong_ago,
            latency=told.latency,
        )


def _is_silent(facts: Facts, silent_for: float) -> bool:
    """For too long: a quiet market may be, while REST has what it owes; and no longer than that."""
    return silent_for > min(
        facts.stall, facts.patience if facts.overdue_for > facts.patience else inf
    )
