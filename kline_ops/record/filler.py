"""Asks REST for what is due and not there: the shell around the rules of ``pursuit.py``.

It may fail in any way without harm to what the stream brings.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from kline_ops.causes import in_one_line
from kline_ops.clock import Clock
from kline_ops.errors import ConfigError, VenueError
from kline_ops.events import BackfillFailed, Banned, Bus, MarketClosed
from kline_ops.market import rest, timestamp
from kline_ops.market.candle import Candle
from kline_ops.market.server_time import ServerTime
from kline_ops.market.span import Span, within
from kline_ops.market.stream import Stream
from kline_ops.record.backfill import TOTAL_TIMEOUT, Backfill, BudgetSpentError, RefusalError
from kline_ops.record.deadline import Deadline
from kline_ops.record.page import answered, with_follower
from kline_ops.record.pursuit import Pursuit

#: A wait for the budget is told from this length on (s).
_LONG_WAIT = 30.0
#: Where all frames are late for so many seconds, the exchange's time is asked for: before what was
#: known of it is forgotten.
_TIME_EVERY = 60.0
#: A leap of the exchange's time (s) is noticed after this long at the latest.
_LONGEST_SLEEP = 110.0

_log = logging.getLogger(__name__)


class Wanting(Protocol):
    """Whoever lacks candles, and takes them in."""

    def has_begun(self) -> bool:
        """Is it known from when on candles are owed?"""

    def due(self) -> list[Span]:
        """What is missing now, oldest first."""

    def tell_hole(self, span: Span) -> None:
        """Hears of what is about to be asked for."""

    def fill(self, candle: Candle) -> None:
        """Takes in a candle from REST."""

    def give_up(self, span: Span) -> None:
        """Hears of what the exchange has none of."""


class Filler:
    """Run :meth:`run` as a task. ``error`` says why REST can not be asked, while it can not."""

    def __init__(
        self,
        stream: Stream,
        backfill: Backfill | None,
        wanting: Wanting,
        grace_ms: int,
        *,
        bus: Bus,
        clock: Clock,
        server_time: ServerTime,
    ) -> None:
        self.error: str | None = None
        self._stream = stream
        self._backfill = backfill
        self._wanting = wanting
        self._grace_ms = grace_ms
        self._bus = bus
        self._clock = clock
        self._server_time = server_time
        self._pursuit = Pursuit()
        self._symbol_checked = False
        self._time_asked_at = float("-inf")
        self._news = asyncio.Event()
        self._deadline = Deadline()

    def absent(self) -> list[Span]:
        """What REST was asked for and did not have."""
        return self._pursuit.absent()

    def wake(self) -> None:
        """Something may be due that was not before."""
        self._news.set()

    def is_sound(self) -> bool:
        """Does it turn? Whatever is due is asked for then, or waits for a moment that is known."""
        return not self._deadline.is_missed(self._clock.monotonic())

    async def run(self) -> None:
        """Ask for what is due until nothing is, then wait for the next close, or for news.

        Raises:
            ConfigError: the exchange knows no such symbol, and nothing has ever come of it.
        """
        while True:
            self._news.clear()
            if self._backfill is not None and self._pursuit.may_ask(self._clock.monotonic()):
                try:
                    await self._ask_all(self._backfill)
                except ConfigError:
                    raise  # the user's, and no wait would heal it
                except Exception as error:  # noqa: BLE001 - a boundary: REST may fail, we may not
                    self.failed(error)
            wait = self._until_next()
            self._deadline.set(self._clock.monotonic(), wait)
            timer = asyncio.get_running_loop().call_later(wait, self._news.set)
            await self._news.wait()
            timer.cancel()

    async def last_look(self, seconds: float) -> None:
        """Ask once for what is due and not there, before nobody does until the next start.

        Takes so many seconds at the most; :meth:`run` has ended before. Where it fails, the next
        start asks. What is not there is no hole yet: its frame may have been under way.
        """
        if self._backfill is None or not self._pursuit.may_ask(self._clock.monotonic()):
            return
        if not self._server_time.heard or not self._wanting.has_begun():
            return
        try:
            async with asyncio.timeout(seconds):
                for part in self._pursuit.to_ask(self._wanting.due(), self._clock.monotonic()):
                    await self._fetch(self._backfill, part)
        except Exception as error:  # noqa: BLE001 - a boundary: the end comes, whatever fails
            _log.debug("the last look at REST failed: %s", error)

    def close(self) -> None:
        """Ask nothing more."""
        if self._backfill is not None:
            self._backfill.close()

    async def _ask_all(self, backfill: Backfill) -> None:
        if not self._server_time.heard:
            await self._ask_time(backfill)
            if not self._server_time.heard:
                return  # far from this machine's clock: a second answer must agree
        if not self._wanting.has_begun():
            await self._check_symbol(backfill)
        if self._may_be_misled():
            await self._refresh_time(backfill)
        while parts := self._pursuit.to_ask(self._wanting.due(), self._clock.monotonic()):
            await self._ask(backfill, parts[0])
        self.error = None
        late_since = self._server_time.late_since
        if late_since is not None:
            since = max(late_since, self._time_asked_at)
            if self._clock.monotonic() >= since + _TIME_EVERY:
                await self._refresh_time(backfill)

    def _may_be_misled(self) -> bool:
        """A dead stream tells no time; what it told last decides when candles are asked for."""
        now = self._clock.monotonic()
        is_old = self._server_time.is_old(now) and now >= self._time_asked_at + _TIME_EVERY
        return is_old and bool(self._pursuit.to_ask(self._wanting.due(), now))

    async def _ask_time(self, backfill: Backfill) -> None:
        self._time_asked_at = asked = self._clock.monotonic()
        self._deadline.set(asked, TOTAL_TIMEOUT)
        told = await backfill.server_time()
        now = self._clock.monotonic()
        self._server_time.observe(told, now, self._clock.wall_ms(), took=now - asked)

    async def _refresh_time(self, backfill: Backfill) -> None:
        """Where frames are late, or there are none, REST still says what time it is."""
        try:
            await self._ask_time(backfill)
        except RefusalError:
            raise
        except VenueError as error:
            # Nothing is missing: that REST is down is told when it is needed.
            _log.debug("the exchange's time could not be asked for: %s", error)

    async def _check_symbol(self, backfill: Backfill) -> None:
        """A symbol that the exchange does not know is silent on the stream; REST says so.

        Raises:
            ConfigError: there is no such symbol, and there never was a candle of it.
        """
        if self._symbol_checked:
            return
        self._deadline.set(self._clock.monotonic(), TOTAL_TIMEOUT)
        symbol = self._stream.symbol
        try:
            status = await backfill.symbol_status(self._stream)
        except VenueError as error:
            if error.retryable or self._wanting.has_begun():
                raise
            raise ConfigError(
                f"the exchange does not know {symbol}: {error}",
                field="binance.stream.symbol",
                hint="such as btcusdt",
            ) from None
        self._symbol_checked = True
        if status != rest.TRADING:
            self._bus.emit(MarketClosed(symbol=symbol, status=status))

    async def _ask(self, backfill: Backfill, part: Span) -> None:
        self._wanting.tell_hole(part)
        self._deadline.set(self._clock.monotonic(), TOTAL_TIMEOUT)
        asked = await self._fetch(backfill, part)
        left = within(self._wanting.due(), asked)
        now = self._clock.monotonic()
        for span in self._pursuit.answered(asked, left, now, self._now_ms()):
            self._wanting.give_up(span)

    async def _fetch(self, backfill: Backfill, part: Span) -> Span:
        """Take in what REST has of it; answers what of it that was asked about."""
        interval = self._stream.interval
        question = with_follower(interval, part, self._now_ms())
        candles = await backfill.candles(self._stream, question)
        asked, good = answered(interval, part, candles, self._now_ms())
        for candle in good:
            self._wanting.fill(candle)
        return asked

    def failed(self, error: Exception) -> None:
        """REST could not be asked, here or by who asked it for something else: told, and kept to."""
        now = self._clock.monotonic()
        if isinstance(error, BudgetSpentError):
            self._pursuit.postponed(now, error.seconds)
            if error.seconds < _LONG_WAIT:
                return
        elif isinstance(error, RefusalError):
            self._pursuit.failed(now, error.seconds, retryable=True)
        elif isinstance(error, VenueError):
            self._pursuit.failed(now, error.retry_after, retryable=error.retryable)
        else:
            self._pursuit.failed(now, None, retryable=True)
        known, self.error = self.error, in_one_line(error)
        if isinstance(error, RefusalError) and error.banned:
            until = timestamp.to_text(self._now_ms() + round(error.seconds) * 1000)
            self._bus.emit(Banned(what="request", until=until, reason=self.error))
        elif known is None:
            self._bus.emit(BackfillFailed(reason=self.error))

    def _until_next(self) -> float:
        """Seconds until something can become due, or may be asked for again."""
        now, now_ms = self._clock.monotonic(), self._now_ms()
        due = self._wanting.due()
        if self._backfill is not None and self._pursuit.to_ask(due, now):
            return 0.01  # it has come due while an answer was awaited
        again = self._pursuit.next_at(due, now)
        if again is None and not self._server_time.heard:
            return max(self._pursuit.blocked_until - now, 1.0)
        interval = self._stream.interval
        open_now = interval.floor(now_ms - self._grace_ms)
        # The next candle waits for none of the missing ones, which may be asked for minutes apart.
        close = (interval.after(open_now) + self._grace_ms - now_ms) / 1000.0
        wait = close if again is None else min(close, again - now)
        return min(max(wait, 0.01), _LONGEST_SLEEP)

    def _now_ms(self) -> int:
        return self._server_time.now_ms(self._clock.monotonic())
