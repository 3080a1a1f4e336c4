"""Counts what happens: a listener.

All that can be counted is there from the start, as 0: the first increase of a counter that appears with
it is seen by nobody.
"""

from __future__ import annotations

from collections.abc import Callable

from kline_ops import events
from kline_ops.clock import Clock
from kline_ops.events import PLANNED, Event
from kline_ops.market import timestamp
from kline_ops.market.stream import Stream
from kline_ops.observe.metrics import words
from kline_ops.observe.metrics.board import Board

#: Where candles come from; and where they go.
SOURCES, CSV = ("stream", "rest"), "csv"
LEVELS = ("info", "success", "warning", "critical")

#: Events that are one more of a counter without labels.
_PLAIN: dict[type[Event], str] = {
    events.RestartSkipped: "rotations_skipped",
    events.Stalled: "stalls",
    events.ShutdownNotice: "shutdown_notices",
    events.EndpointChanged: "endpoint_changes",
    events.ConnectDelayed: "connects_delayed",
    events.BackfillFailed: "rest_failures",
    events.DiskFull: "disk_errors",
    events.JournalRepaired: "journal_repairs",
    events.Suspended: "suspends",
    events.HeldUp: "suspends",
    events.ClockStepped: "clock_steps",
}
#: … and of one that is the stream's.
_OF_STREAM: dict[type[Event], str] = {
    events.StreamSilent: "streams_silent",
    events.CloseMissed: "closes_missed",
    events.CandleConflict: "candle_conflicts",
}
_OTHERS = ("rotations", "pong_timeouts", "http_clients_dropped")
_CANDLES = ("candles_lost_on_wire", "candles_confirmed_absent")
_HISTOGRAMS = (
    "connection_lifetime_seconds",
    "connect_duration_seconds",
    "replacement_overlap_seconds",
    "event_loop_lag_seconds",
)


class Meters:
    """Of one stream. ``now_ms`` is the exchange's time."""

    def __init__(
        self, board: Board, stream: Stream, clock: Clock, now_ms: Callable[[], int]
    ) -> None:
        self._board = board
        self._interval = stream.interval
        self._stream = (stream.symbol, stream.interval.name)
        self._clock = clock
        self._now_ms = now_ms
        #: Since when (monotonic seconds) each connection delivers.
        self._live: dict[int, float] = {}
        self._has_been_live = False
        #: When a candle was put on disk last (wall milliseconds).
        self.recorded_ms: int | None = None
        self._start()

    def hear(self, event: Event) -> None:
        """Listener."""
        count, kind = self._board.count, type(event)
        if (name := _PLAIN.get(kind)) is not None:
            count(name)
            return
        if (name := _OF_STREAM.get(kind)) is not None:
            count(name, *self._stream)
            return
        match event:
            case events.Recorded():
                self._recorded(event)
            case events.HoleFound(candles=candles):
                count("candles_lost_on_wire", *self._stream, by=candles)
            case events.HoleConfirmed(candles=candles):
                count("candles_confirmed_absent", *self._stream, by=candles)
            case events.BreakerOpened(endpoint=endpoint):
                count("breaker_opened", endpoint)
            case events.Alerted(level=level):
                count("alerts", level.lower())
            case events.AlertFailed(host=host):
                count("alert_failures", host)
            case _:
                self._hear_connection(event)

    def _hear_connection(self, event: Event) -> None:
        count = self._board.count
        match event:
            case events.Live(connection=number, seconds=seconds):
                # As in the state file: one that comes up while none delivers is a reconnect.
                if self._has_been_live and not self._live:
                    count("reconnects", words.LOST)
                self._has_been_live = True
                self._live[number] = self._clock.monotonic()
                self._board.observe("connect_duration_seconds", seconds)
            case events.Replaced(old=number, why=why, overlap=overlap):
                count("reconnects", words.why(why))
                if why == PLANNED:
                    count("rotations")
                self._board.observe("replacement_overlap_seconds", overlap)
                self._ended(number)
            case events.Disconnected(connection=number, code=code, reason=reason):
                error = words.error(code, reason)
                count("connection_errors", error)
                if error == words.PONG_TIMEOUT:
                    count("pong_timeouts")
                self._ended(number)

    def _ended(self, number: int) -> None:
        if (since := self._live.pop(number, None)) is not None:
            lived = self._clock.monotonic() - since
            self._board.observe("connection_lifetime_seconds", lived)

    def _recorded(self, event: events.Recorded) -> None:
        self.recorded_ms = self._clock.wall_ms()
        count, source = event.candles, event.source
        self._board.count("candles_recorded", *self._stream, source, by=count)
        self._board.count("published", CSV, by=count)
        now_ms = self._now_ms()
        most, least = (
            max(0.0, (now_ms - self._interval.after(timestamp.to_ms(open_time))) / 1000.0)
            for open_time in (event.first, event.last)
        )
        labels = (*self._stream, source)
        self._board.spread("candle_close_delay_seconds", most, least, count, *labels)

    def _start(self) -> None:
        start = self._board.start
        for name in (*_PLAIN.values(), *_OTHERS, *_HISTOGRAMS):
            start(name)
        for name in (*_OF_STREAM.values(), *_CANDLES):
            start(name, *self._stream)
        for source in SOURCES:
            start("candles_recorded", *self._stream, source)
            start("candle_close_delay_seconds", *self._stream, source)
        for name, known in (
            ("reconnects", words.WHYS),
            ("connection_errors", words.ERRORS),
            ("alerts", LEVELS),
            ("published", (CSV,)),
        ):
            for word in known:
                start(name, word)
