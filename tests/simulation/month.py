"""A month of operation in about a second: the recorder's rules against a model of the exchange.

The one assertion: the file equals the truth, less what the exchange itself never had. On the way there
the promises that hold at every moment are held against it.
"""

from __future__ import annotations

import random
import zlib
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence as Items
from dataclasses import dataclass, field, replace
from itertools import pairwise

from kline_ops import events
from kline_ops.events import Event
from kline_ops.feed.endpoints import BreakerOptions
from kline_ops.feed.plan import Timing
from kline_ops.market import interval as intervals
from kline_ops.market import timestamp
from kline_ops.market.candle import Candle
from kline_ops.market.server_time import ServerTime
from kline_ops.market.stream import Stream
from kline_ops.resilience import Backoff, TimeTrigger
from kline_ops.resilience.allowance import Allowance
from tests.simulation.feeding import FeedSetup, SimFeed
from tests.simulation.file import File
from tests.simulation.keeping import RecordSetup, SimRecorder
from tests.simulation.schedule import Kind, Trouble
from tests.simulation.venue import SYMBOL, Venue
from tests.simulation.world import World

DAY = 86_400.0
#: Seconds of peace at the end: a second look at what REST does not have comes after half an hour.
CALM = 4 * 3600.0
#: What a trouble leaves behind (backoff, a breaker that cools down) is over after so many seconds.
_RECOVERS = 600.0
_BEGIN_MS = 1_767_225_600_000
_MARGIN, _MIN_DURATION = 5.0, 60.0
_PATIENCE = 3.0
_TOLD = 40

#: While none of these lasts, REST answers, the disk writes, and what the exchange says of its time is of
#: that moment: a candle is on disk in time then, whatever else becomes of the stream.
_DELAYING = frozenset(
    {
        Kind.REST_DOWN,
        Kind.REST_SLOW,
        Kind.REST_LIMITED,
        Kind.REST_BANNED,
        Kind.REST_LAGGING,
        Kind.REST_STALE,
        Kind.MAINTENANCE,
        Kind.KILL,
        Kind.LATE,
        Kind.DISORDERED,
        Kind.QUIET,
        Kind.DISK,
        Kind.SLOW_DISK,
    }
)


@dataclass(frozen=True)
class Setup:
    """What is recorded, for how long, and how the recorder is configured."""

    interval: str
    seconds: float
    modulo: str | None = "4h"
    #: Seconds between two updates of a candle.
    pace: float = 30.0
    #: How wrong the clock of this machine is.
    skew_ms: int = 0
    allowance: type[Allowance] = Allowance
    feed: FeedSetup = field(default_factory=FeedSetup)
    record: RecordSetup = field(default_factory=RecordSetup)


def draw_setup(seed: int, interval: str, days: float = 30.0) -> Setup:
    """A config as a user may have it."""
    draw = random.Random(f"setup {seed} {interval}")
    # Mostly as seldom as leaves the stream unsuspected: each update takes its time.
    if interval == "1h":
        stall = draw.choice((900.0, 1800.0, 3600.0))
        pace = stall / draw.choice((1.0, 2.5, 3.0))
    else:
        stall, pace = draw.choice(
            ((60.0, 20.0), (90.0, 30.0), *[(x, 60.0) for x in (130.0, 150.0, 180.0, 240.0)] * 4)
        )
    modulo = draw.choice(("4h", "4h", "4h", "7h", None))
    begin = _BEGIN_MS + draw.randrange(3_600_000)
    return Setup(
        interval,
        days * DAY,
        modulo,
        pace=pace,
        skew_ms=draw.choice((0, 0, 0, -3_000, 3_000, 1_200_000, -108_000_000, 108_000_000)),
        feed=FeedSetup(
            addresses=draw.choice((1, 2, 3)),
            redundancy=draw.choice((1, 1, 2)),
            timing=Timing(stall=stall, linger=2.0 + _PATIENCE),
            backoff=Backoff(),
            breaker=BreakerOptions(enabled=draw.random() < 0.8),
        ),
        record=RecordSetup(
            since_ms=draw.choice((None, begin)),
            max_waiting=draw.choice((100_000, 100_000, 20)),
        ),
    )


@dataclass
class Outcome:
    """What became of it. ``problems`` is empty where all was well."""

    rows: int = 0
    owed: int = 0
    absent: int = 0
    attempts: int = 0
    kills: int = 0
    restarts: int = 0
    problems: list[str] = field(default_factory=list)
    #: The last things that the feed told before the first problem.
    told: list[str] = field(default_factory=list)


class Month:
    """One run. Everything in it follows from its arguments."""

    def __init__(self, setup: Setup, schedule: Items[Trouble], seed: int = 0) -> None:
        self._setup = setup
        addresses = setup.feed.addresses
        self._schedule = [t if t.where < addresses else replace(t, where=-1) for t in schedule]
        interval = intervals.parse(setup.interval)
        self._stream = Stream(SYMBOL, interval)
        self._draw = random.Random(zlib.crc32(f"{seed} {setup.interval}".encode()))
        self._world = World()
        begin_ms = setup.record.since_ms or _BEGIN_MS + self._draw.randrange(3_600_000)
        self._venue = Venue(
            self._world,
            interval,
            begin_ms,
            self._draw,
            addresses=addresses,
            pace=setup.pace,
            complain=self._complain,
        )
        self._venue.lay(self._schedule)
        self._file = File(self._world, self._draw, self._venue.active, self._wrong, self._complain)
        #: As in ``budget.json`` and in the state file: they outlive the process.
        self._allowance = setup.allowance()
        self._last_boundary_ms: int | None = None
        self._feed: SimFeed | None = None
        self._recorder: SimRecorder | None = None
        self._restart_at = 0.0
        self._told: deque[tuple[float, Event]] = deque(maxlen=_TOLD)
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """To the end, and then the question."""
        for trouble in self._schedule:
            self._world.at(trouble.at, self._begin, trouble)
        self._world.at(0.0, self._begin_life)
        self._world.run(self._setup.seconds + CALM)
        self._compare()
        return self.outcome

    # -- one life of the process ------------------------------------------------------------------

    def _begin(self, trouble: Trouble) -> None:
        self._venue.begin(trouble)
        if trouble.kind is Kind.KILL:
            self._kill(trouble.seconds)

    def _kill(self, down: float) -> None:
        """kill -9: what was in memory is gone, and so are the connections."""
        if self._feed is not None and self._recorder is not None:
            self.outcome.kills += 1
            self._feed.dead = self._recorder.dead = True
            self._feed = self._recorder = None
            self._venue.forget()
            self._file.kill()
        self._restart_at = max(self._restart_at, self._world.now + down)
        self._world.at(self._restart_at, self._begin_life)

    def _begin_life(self) -> None:
        if self._feed is not None or self._world.now < self._restart_at:
            return
        setup, server_time = self._setup, ServerTime(self._wall_ms(), self._world.now)
        self._recorder = recorder = SimRecorder(
            self._world,
            self._venue,
            self._stream,
            self._file,
            setup.record,
            server_time=server_time,
            allowance=self._allowance,
            wall_ms=self._wall_ms,
        )
        self._feed = feed = SimFeed(
            self._world,
            self._venue,
            self._stream,
            setup.feed,
            server_time=server_time,
            allowance=self._allowance,
            wall_ms=self._wall_ms,
            draw=self._draw.random,
            on_kline=recorder.deliver,
            tell=self._tell,
            complain=self._complain,
        )
        recorder.on_settled = feed.settled
        recorder.on_missed = feed.missed
        feed.on_suspect = lambda name: recorder.look_at_market(
            lambda traded: feed.witnessed(name, traded)
        )

        def begin() -> None:
            feed.start()
            if setup.modulo is not None:
                trigger = TimeTrigger(setup.modulo, last_boundary_ms=self._last_boundary_ms)
                self._rotate(feed, trigger, server_time)

        recorder.run(begin)

    def _rotate(self, feed: SimFeed, trigger: TimeTrigger, server_time: ServerTime) -> None:
        """``service.py``, but for the look each second: no clock is stepped here."""
        if feed.dead:
            return
        if not server_time.heard:
            self._world.after(0.1, self._rotate, feed, trigger, server_time)
            return
        now_ms = server_time.now_ms(self._world.now)
        boundary = trigger.poll(now_ms, _MARGIN)
        if boundary is not None:
            since = feed.live_since()
            lived = self._world.now - (since or 0.0) + (boundary - now_ms) / 1000.0
            if since is not None and lived >= _MIN_DURATION:
                self._last_boundary_ms = boundary
                self.outcome.restarts += 1
                feed.replace(events.PLANNED)
        due_in = (trigger.next_due(now_ms, _MARGIN) - now_ms) / 1000.0
        self._world.after(min(max(due_in, 0.001), 600.0), self._rotate, feed, trigger, server_time)

    def _wall_ms(self) -> int:
        return self._venue.now_ms() + self._setup.skew_ms

    # -- what must hold ---------------------------------------------------------------------------

    def _tell(self, event: Event) -> None:
        self._told.append((self._world.now, event))

    def _complain(self, problem: str) -> None:
        if not self.outcome.problems:
            self.outcome.told = [f"{moment(at)}  {event}" for at, event in self._told]
        if len(self.outcome.problems) < 10:
            self.outcome.problems.append(f"{moment(self._world.now)}  {problem}")

    def _wrong(self, candle: Candle) -> str | None:
        if not self._venue.exists(candle.open_ms):
            return "the exchange never had it"
        if candle.open_ms + self._stream.interval.typical_ms > self._venue.now_ms():
            return "it was forming"
        return None if candle == self._venue.final(candle.open_ms) else "it is not final"

    def _compare(self) -> None:
        outcome, rows, interval = self.outcome, self._file.rows, self._stream.interval
        outcome.attempts = self._venue.attempts_total
        if any(a >= b for a, b in pairwise(rows)):
            self._complain("rows are out of order")
        since_ms = self._setup.record.since_ms
        first = rows[0] if rows else interval.ceil(self._venue.begin_ms)
        if since_ms is not None:
            first = interval.ceil(since_ms)
        # What closed in the last seconds may be under way.
        end = interval.floor(self._venue.now_ms() - 5_000)
        slots = range(first, end, interval.typical_ms)
        truth = [open_ms for open_ms in slots if self._venue.exists(open_ms)]
        outcome.rows, outcome.owed = len(rows), len(truth)
        outcome.absent = len(slots) - len(truth)
        missing = sorted(set(truth) - set(rows))
        if missing:
            at = timestamp.to_text(missing[0])
            self._complain(f"{len(missing)} of {len(truth)} candles are missing, first {at}")
        self._judge_delays(truth)

    def _judge_delays(self, truth: list[int]) -> None:
        """By close + grace + rest_patience, wherever REST, disk and process were well."""
        begin_ms, length = self._venue.begin_ms, self._stream.interval.typical_ms
        sick = _merged((t.at, t.end + _RECOVERS) for t in self._schedule if t.kind in _DELAYING)
        starts = [since for since, _ in sick]
        for open_ms in truth:
            closed = (open_ms + length - begin_ms) / 1000.0
            deadline = closed + self._setup.record.grace + _PATIENCE
            before = bisect_right(starts, deadline) - 1
            if closed < _RECOVERS or (before >= 0 and sick[before][1] >= closed):
                continue
            late = self._file.written_at.get(open_ms, float("inf")) - deadline
            if late > 0.0:
                at = timestamp.to_text(open_ms)
                self._complain(f"{at} was on disk {late:.3f} s too late, with nothing broken")


def moment(seconds: float) -> str:
    """For reading."""
    day, rest = divmod(seconds, DAY)
    return f"day {day:2.0f} {rest // 3600:02.0f}:{rest // 60 % 60:02.0f}:{rest % 60:06.3f}"


def _merged(spans: object) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for since, until in sorted(spans):  # type: ignore[call-overload]
        if merged and since <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(until, merged[-1][1]))
        else:
            merged.append((since, until))
    return merged
