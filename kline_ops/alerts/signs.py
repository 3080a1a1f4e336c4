"""How bad it is: what events and looks say of each topic. Pure.

A planned restart is no sign of anything, neither is a quiet or a halted market. While no connection
delivers, candles are late for that alone: one trouble is one topic's.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from kline_ops import events
from kline_ops.alerts.message import Level
from kline_ops.alerts.words import Topic
from kline_ops.events import Event
from kline_ops.market import timestamp
from kline_ops.plain import duration

#: Seconds that trouble may last before it is worth a message of its own.
_PATIENCE = 15.0
#: Seconds for which this process has to stand still to be worth one.
_HELD_UP = 30.0
#: A clock that is nearer than this (s) to the exchange's is right again.
_RIGHT = 0.5
_STALLED = "STALLED"


class _Hold(enum.Enum):
    """It can not be told now: the topic is left as it is."""

    HOLD = "hold"


HOLD: Final = _Hold.HOLD
#: None: all is well.
Judgement = Level | None | _Hold


@dataclass(frozen=True, slots=True)
class Look:
    """How the session stands at a moment. Seconds, unless they end in ``_ms`` (the exchange's)."""

    now: float
    now_ms: int
    #: ``RECORDING``, ``STALLED`` …
    word: str
    #: Without a connection that delivers; None while one does.
    dark_for: float | None
    silent_for: float | None
    has_data: bool
    #: REST said just now that nothing trades.
    is_quiet: bool
    feed_error: str | None
    rest_error: str | None
    disk_error: str | None
    #: Candles: due and asked for; those of them that REST did not have; and in all.
    pursued: int
    absent: int
    missing: int
    #: In memory, for the disk.
    waiting: int
    backfill: bool
    clock_skew: float | None


class Note(NamedTuple):
    """Something that happens in a moment."""

    topic: Topic
    level: Level
    reason: str


def note_of(event: Event, *, backfill: bool) -> Note | None:
    """What an event says by itself; ``backfill``: what is missing can be asked for."""
    match event:
        case events.HoleFound() as e if not backfill:
            lost = f"{_span(e.first, e.last, e.candles)} lost, and no REST address to ask"
            return Note(Topic.CANDLES, Level.WARNING, lost)
        case events.HoleConfirmed() as e:
            none = f"The exchange has none of {_span(e.first, e.last, e.candles)}"
            return Note(Topic.CANDLES, Level.INFO, none)
        case events.MarketClosed() as e:
            return Note(Topic.MARKET, Level.INFO, f"{e.symbol} is in {e.status}")
        case events.MemoryHigh() as e:
            much = f"{e.megabytes:.0f} MB are in use, over {e.limit:.0f} MB"
            return Note(Topic.MEMORY, Level.WARNING, much)
        case events.Suspended() as e:
            slept = f"The machine slept for {duration(e.seconds)}"
            return Note(Topic.MACHINE, Level.WARNING, slept)
        case events.HeldUp() as e if e.seconds >= _HELD_UP:
            still = f"The recorder stood still for {duration(e.seconds)}"
            return Note(Topic.MACHINE, Level.WARNING, still)
        case events.ClockStepped() as e:
            where = "forward" if e.seconds > 0 else "back"
            return Note(Topic.CLOCK, Level.INFO, f"set {where} by {duration(abs(e.seconds))}")
        case events.HeartbeatRestart() as e:
            return Note(Topic.HEARTBEAT, Level.WARNING, e.reason)
    return None


def _span(first: str, last: str, candles: int) -> str:
    return first if candles == 1 else f"{candles:,} candles, {first} to {last}"


class Signs:
    """Of one session; ``stall``: seconds without data that are the death of a stream."""

    def __init__(self, stall: float) -> None:
        #: By topic: why, and for how long (s) it has not been well.
        self.reasons: dict[Topic, str] = {}
        self.ages: dict[Topic, float] = {}
        self._stall = stall
        self._patience = min(_PATIENCE, stall / 2)
        self._exhausted = False
        self._stalled_at: float | None = None
        self._disk_since: float | None = None
        self._pursued_since: float | None = None
        self._banned_until_ms = 0
        self._skewed = False
        self._is_halted = False

    def hear(self, event: Event, now: float) -> None:
        """Remember what lasts."""
        match event:
            case events.Live():
                self._exhausted = self._is_halted = False
                self._stalled_at = None
            case events.Stalled(seconds=seconds):
                self._stalled_at = now if self._stalled_at is None else self._stalled_at
                self.ages[Topic.STREAM] = seconds
                self.reasons[Topic.STREAM] = f"connected, but silent for {duration(seconds)}"
            case events.AttemptsExhausted():
                self._exhausted = True
            case events.MarketClosed():
                self._is_halted = True
            case events.Banned(until=until, what=what):
                self._banned_until_ms = max(self._banned_until_ms, timestamp.to_ms(until))
                self.reasons[Topic.BAN] = f"until {until} ({what})"
            case events.ClockSkewed(seconds=seconds):
                self._skewed = True
                where = "ahead of" if seconds > 0 else "behind"
                self.reasons[Topic.CLOCK] = f"{abs(seconds):.1f} s {where} the exchange's"

    def judged(self, look: Look) -> Iterator[tuple[Topic, Judgement]]:
        """How each topic stands that lasts."""
        yield Topic.STREAM, self._stream(look)
        yield Topic.DISK, self._disk(look)
        yield Topic.CANDLES, self._candles(look)
        is_banned = self._banned_until_ms > look.now_ms
        yield Topic.BAN, Level.WARNING if is_banned else None
        if look.clock_skew is not None and abs(look.clock_skew) < _RIGHT:
            self._skewed = False
        yield Topic.CLOCK, Level.WARNING if self._skewed else None

    def _stream(self, look: Look) -> Judgement:
        if not look.has_data and look.feed_error is None:
            # No attempt has failed, and nothing has come yet.
            quiet = look.is_quiet or self._is_halted or look.disk_error is not None
            if quiet or look.word != _STALLED:
                return HOLD
            return self._dead("connected, and no data comes", self._stall)
        if look.dark_for is None:
            return self._silent(look)
        self.ages[Topic.STREAM] = look.dark_for
        if look.feed_error is not None:
            yet = "" if look.has_data else "no data yet: "
            self.reasons[Topic.STREAM] = f"{yet}{look.feed_error}"
        if self._exhausted or look.dark_for >= self._stall:
            return Level.CRITICAL
        return Level.WARNING if look.dark_for >= self._patience else Level.INFO

    def _silent(self, look: Look) -> Judgement:
        """Connected, and nothing comes; a successor that delivers may be there in a moment."""
        silent_for = look.silent_for or 0.0
        if silent_for >= self._stall + self._patience:
            return self._dead(f"connected, but silent for {duration(silent_for)}", silent_for)
        if self._stalled_at is None:
            return None
        lasts = look.now - self._stalled_at
        return Level.CRITICAL if self._exhausted or lasts >= self._patience else Level.INFO

    def _dead(self, reason: str, age: float) -> Level:
        self.reasons[Topic.STREAM], self.ages[Topic.STREAM] = reason, age
        return Level.CRITICAL

    def _disk(self, look: Look) -> Judgement:
        if look.disk_error is None:
            self._disk_since = None
            return None
        if self._disk_since is None:
            self._disk_since = look.now
        self.reasons[Topic.DISK] = look.disk_error
        return Level.CRITICAL if look.now - self._disk_since >= self._patience else Level.INFO

    def _candles(self, look: Look) -> Judgement:
        """Candles that are due, and that REST can not bring."""
        if not look.pursued or not look.backfill:
            self._pursued_since = None
            return None
        is_banned = self._banned_until_ms > look.now_ms
        elsewhere = look.dark_for is not None or look.disk_error is not None or is_banned
        if self._pursued_since is None or elsewhere:
            self._pursued_since = look.now  # of what another topic tells, this one does not
        lasts = look.now - self._pursued_since
        if look.rest_error is None or lasts < self._stall:
            return HOLD
        self.reasons[Topic.CANDLES] = f"REST: {look.rest_error}"
        self.ages[Topic.CANDLES] = lasts
        return Level.CRITICAL if look.word == _STALLED else Level.WARNING
