"""What ``recorder.py`` and ``filler.py`` do around the rules, without files, threads or asyncio."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from operator import attrgetter

from kline_ops.errors import VenueError
from kline_ops.market import rest
from kline_ops.market.candle import Candle
from kline_ops.market.messages import FrameRejected, Kline
from kline_ops.market.server_time import ServerTime
from kline_ops.market.span import Span, within
from kline_ops.market.stream import Stream
from kline_ops.record.backfill import BudgetSpentError, RefusalError
from kline_ops.record.filler import _LONGEST_SLEEP, _TIME_EVERY
from kline_ops.record.outbox import _RETRY
from kline_ops.record.page import answered, with_follower
from kline_ops.record.pursuit import Pursuit
from kline_ops.record.recorder import REST, STREAM
from kline_ops.record.sequence import Sequence, Verdict
from kline_ops.record.witness import Witness
from kline_ops.resilience.allowance import Allowance
from tests.simulation.file import DiskFailedError, File
from tests.simulation.venue import Venue
from tests.simulation.world import Script, Step, World, start

_open_ms = attrgetter("open_ms")


@dataclass(frozen=True)
class RecordSetup:
    """The config of a recorder, as a seed draws it."""

    grace: float = 2.0
    since_ms: int | None = None
    max_waiting: int = 100_000
    sequence: type[Sequence] = Sequence
    pursuit: type[Pursuit] = Pursuit


class SimRecorder:
    """One recorder, to the death of its process."""

    def __init__(
        self,
        world: World,
        venue: Venue,
        stream: Stream,
        file: File,
        setup: RecordSetup,
        *,
        server_time: ServerTime,
        allowance: Allowance,
        wall_ms: Callable[[], int],
    ) -> None:
        self.dead = False
        self._world = world
        self._venue = venue
        self.interval = stream.interval
        self._file = file
        self._setup = setup
        self._server_time = server_time
        self._allowance = allowance
        self._wall_ms = wall_ms
        self._grace_ms = int(setup.grace * 1000)
        self._witness = Witness()
        self._sequence = setup.sequence(stream.interval)
        self._pursuit = setup.pursuit()
        self._pending: list[tuple[Candle, str]] = []
        self._overflowed = False
        self._writing = self._work = False
        self._symbol_checked = False
        self._time_asked_at = float("-inf")
        self._news = False
        self._news_waiter: Callable[[object], None] | None = None
        self._rest_queue: list[tuple[int, Callable[..., None], Callable[[object], None]]] = []
        self._rest_busy = False
        self.on_settled: Callable[[int], None] = lambda _before: None
        self.on_missed: Callable[[int], None] = lambda _open_ms: None

    def run(self, on_started: Callable[[], None]) -> None:
        """Open the file, then begin."""
        start(self._start(on_started), self._is_dead)

    def _start(self, on_started: Callable[[], None]) -> Script:
        while True:
            try:
                contents = yield self._file.read(self.interval)
            except DiskFailedError:
                yield self._world.sleep(_RETRY)
            else:
                break
        first_ms, last_ms, holes = contents
        after = None if last_ms is None else self.interval.after(last_ms)
        self._sequence = self._setup.sequence(
            self.interval, first_ms=first_ms, next_ms=after, holes=holes
        )
        if self._setup.since_ms is not None:
            self._sequence.begin(self.interval.ceil(self._setup.since_ms))
        start(self._fill_loop(), self._is_dead)
        on_started()

    def _is_dead(self) -> bool:
        return self.dead

    # -- recorder.py ------------------------------------------------------------------------------

    def deliver(self, kline: Kline) -> None:
        candle, now = kline.candle, self._world.now
        after = self.interval.after(candle.open_ms)
        if candle.open_ms <= kline.event_ms <= after + 60_000:
            self._server_time.observe(kline.event_ms, now, self._wall_ms())
        ahead = candle.open_ms > self._server_time.now_ms(now) + self.interval.typical_ms
        if ahead or not self._server_time.heard:
            raise FrameRejected("opens in the future" if ahead else "its time is far from ours")
        self._witness.hear(candle)
        if self._sequence.next_ms is None:
            self._sequence.begin(candle.open_ms)
            self._wake()
        if kline.closed:
            self._take(candle, STREAM)

    def look_at_market(self, answer: Callable[[bool | None], None]) -> None:
        start(self._look_at_market(answer), self._is_dead)

    def _look_at_market(self, answer: Callable[[bool | None], None]) -> Script:
        traded = None
        forming = self.interval.floor(self._now_ms())
        known = self._witness.known
        since = self.interval.shift(forming, -999) if known is None else known[0]
        try:
            span = Span(min(since, forming), self.interval.after(forming))
            candles = yield self._candles(span)
            traded = self._witness.judge(c for c in candles if c.open_ms < span.end)
        except VenueError:
            pass
        answer(traded)

    def settled_before(self) -> int:
        unsettled = [candle.open_ms for candle, _ in self._pending]
        unsettled += [hole.first for hole in self._sequence.holes[:1]]
        if self._sequence.next_ms is not None:
            unsettled.append(self._sequence.next_ms)
        return self.interval.after(min(unsettled)) if unsettled else 0

    def _take(self, candle: Candle, source: str) -> None:
        if self._is_full():
            return
        answer = self._sequence.offer(candle)
        if answer.verdict in {Verdict.NEW, Verdict.FILL}:
            if source == REST and candle.trades:
                self.on_missed(candle.open_ms)
            self._pending.append((candle, source))
            self._write()
            if answer.hole is not None:
                self._wake()

    def _is_full(self) -> bool:
        self._overflowed = len(self._pending) >= self._setup.max_waiting
        return self._overflowed

    def _write(self) -> None:
        self._work = True
        if not self._writing:
            self._writing = True
            start(self._write_loop(), self._is_dead)

    def _write_loop(self) -> Script:
        while self._work:
            self._work = False
            batch = [candle for candle, _ in self._pending]
            if not batch:
                continue
            try:
                yield self._file.write(sorted(batch, key=_open_ms))
            except DiskFailedError:
                yield self._world.sleep(_RETRY)
                self._work = True
                continue
            del self._pending[: len(batch)]
            if self._overflowed:
                self._wake()
            self.on_settled(self.settled_before())
        self._writing = False

    # -- filler.py --------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._news = True
        waiter, self._news_waiter = self._news_waiter, None
        if waiter is not None:
            self._world.after(0.0, waiter, None)

    def _until_news(self, seconds: float) -> Step:
        def step(done: Callable[[object], None]) -> None:
            if self._news:
                self._world.after(0.0, done, None)
                return
            self._news_waiter = done
            self._world.after(seconds, self._ring, done)

        return step

    def _ring(self, waiter: Callable[[object], None]) -> None:
        if self._news_waiter is waiter:
            self._wake()

    def _fill_loop(self) -> Script:
        while True:
            self._news = False
            if self._pursuit.may_ask(self._world.now):
                try:
                    yield from self._ask_all()
                except VenueError as error:
                    self._failed(error)
            yield self._until_news(self._until_next())

    def _ask_all(self) -> Script:
        if not self._server_time.heard:
            yield from self._ask_time()
            if not self._server_time.heard:
                return
        if self._sequence.next_ms is None and not self._symbol_checked:
            last = self.interval.shift(self.interval.floor(self._now_ms()), -1)
            yield self._candles(Span(last, self.interval.after(last)))
            self._symbol_checked = True
        now = self._world.now
        is_old = self._server_time.is_old(now) and now >= self._time_asked_at + _TIME_EVERY
        if is_old and self._pursuit.to_ask(self._due(), now):
            yield from self._refresh_time()
        while parts := self._pursuit.to_ask(self._due(), self._world.now):
            yield from self._ask(parts[0])
        late_since = self._server_time.late_since
        if late_since is None:
            return
        if self._world.now >= max(late_since, self._time_asked_at) + _TIME_EVERY:
            yield from self._refresh_time()

    def _refresh_time(self) -> Script:
        try:
            yield from self._ask_time()
        except RefusalError:
            raise
        except VenueError:
            pass

    def _ask_time(self) -> Script:
        self._time_asked_at = asked = self._world.now
        told = yield self._request(rest.WEIGHTS[rest.TIME], self._venue.time)
        now = self._world.now
        self._server_time.observe(told, now, self._wall_ms(), took=now - asked)

    def _ask(self, part: Span) -> Generator[Step, list[Candle], None]:
        candles = yield self._candles(with_follower(self.interval, part, self._now_ms()))
        asked, good = answered(self.interval, part, candles, self._now_ms())
        for candle in good:
            self._take(candle, REST)
        left = within(self._due(), asked)
        for span in self._pursuit.answered(asked, left, self._world.now, self._now_ms()):
            self._sequence.confirm_absent(span)

    def _failed(self, error: VenueError) -> None:
        now = self._world.now
        if isinstance(error, BudgetSpentError):
            self._pursuit.postponed(now, error.seconds)
        elif isinstance(error, RefusalError):
            self._pursuit.failed(now, error.seconds, retryable=True)
        else:
            self._pursuit.failed(now, error.retry_after, retryable=error.retryable)

    def _until_next(self) -> float:
        now, now_ms = self._world.now, self._now_ms()
        due = self._due()
        if self._pursuit.to_ask(due, now):
            return 0.01
        again = self._pursuit.next_at(due, now)
        if again is None and not self._server_time.heard:
            return max(self._pursuit.blocked_until - now, 1.0)
        open_now = self.interval.floor(now_ms - self._grace_ms)
        close = (self.interval.after(open_now) + self._grace_ms - now_ms) / 1000.0
        wait = close if again is None else min(close, again - now)
        return min(max(wait, 0.01), _LONGEST_SLEEP)

    def _due(self) -> list[Span]:
        return [] if self._is_full() else self._sequence.due(self._now_ms(), self._grace_ms)

    def _now_ms(self) -> int:
        return self._server_time.now_ms(self._world.now)

    # -- backfill.py ------------------------------------------------------------------------------

    def _candles(self, span: Span) -> Step:
        return self._request(rest.WEIGHTS[rest.KLINES], lambda done: self._venue.klines(span, done))

    def _request(self, weight: int, ask: Callable[[Callable[[object], None]], None]) -> Step:
        """One after another, each within the machine's budget."""

        def step(done: Callable[[object], None]) -> None:
            self._rest_queue.append((weight, ask, done))
            if not self._rest_busy:
                self._rest_busy = True
                start(self._serve_rest(), self._is_dead)

        return step

    def _serve_rest(self) -> Script:
        while self._rest_queue:
            weight, ask, done = self._rest_queue.pop(0)
            answer: object
            if wait := self._allowance.request(weight, self._wall_ms()):
                answer = BudgetSpentError(wait)
                yield self._world.sleep(0.001)
            else:
                try:
                    answer = yield ask
                except VenueError as error:
                    answer = error
                    if isinstance(error, RefusalError):
                        self._allowance.refused("request", error.seconds, self._wall_ms())
            done(answer)
        self._rest_busy = False
