"""How a session stands at a moment: for its state file, and for the dashboard."""

from __future__ import annotations

from dataclasses import dataclass

from kline_ops.feed.feed import Feed
from kline_ops.feed.rotation import Rotation
from kline_ops.market.messages import Kline
from kline_ops.observe.dashboard.snapshot import Snapshot
from kline_ops.record.recorder import Recorder
from kline_ops.session.parts import Common
from kline_ops.watch.clocks import ClockWatch
from kline_ops.watch.keeper import Standing, StateKeeper
from kline_ops.watch.verdict import Facts


@dataclass(frozen=True, slots=True)
class View:
    """Asks the parts of a session."""

    common: Common
    recorder: Recorder
    feed: Feed
    keeper: StateKeeper
    rotation: Rotation | None
    clock_watch: ClockWatch

    def standing(self) -> Standing:
        """What the state file is made of."""
        figures, feed = self.recorder.figures(), self.feed
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

    def snapshot(self, last: Kline | None) -> Snapshot:
        """What the dashboard shows; ``last``: the newest update of a candle."""
        standing, settings = self.standing(), self.common.settings
        now, live_since = self.common.clock.monotonic(), self.feed.live_since()
        return Snapshot(
            now_ms=self.common.server_time.now_ms(now),
            state=self.keeper.state(standing),
            symbol=settings.stream.symbol,
            interval=settings.stream.interval,
            csv=settings.csv,
            uptime=self.keeper.uptime,
            next_due_ms=standing.next_due_ms,
            next_restart_ms=standing.next_restart_ms,
            live_for=None if live_since is None else now - live_since,
            silent_for=standing.facts.silent_for,
            last=last,
        )
