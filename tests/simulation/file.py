"""A model of the candle file and its disk: what was written stays, whatever dies."""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Callable
from itertools import pairwise

from kline_ops.market.candle import Candle
from kline_ops.market.interval import Interval
from kline_ops.market.span import Span
from tests.simulation.schedule import Kind, Trouble
from tests.simulation.world import Step, World


class DiskFailedError(Exception):
    """The disk took nothing."""


class File:
    """Rows by open time, in order, and when each came. ``wrong``: what can not be right of a row."""

    def __init__(
        self,
        world: World,
        draw: random.Random,
        active: list[Trouble],
        wrong: Callable[[Candle], str | None],
        complain: Callable[[str], None],
    ) -> None:
        self._world = world
        self._draw = draw
        self._active = active
        self._wrong = wrong
        self._complain = complain
        self.rows: list[int] = []
        self.written_at: dict[int, float] = {}
        self._under_way: list[Candle] = []
        #: The writer that is waited for; a process that has died waits for none.
        self._life = 0

    def read(self, interval: Interval) -> Step:
        """The first and the last open time, and the holes between them."""

        def step(done: Callable[[object], None]) -> None:
            failed = self._failing()
            self._world.after(self._takes(), done, failed or self._contents(interval))

        return step

    def _contents(self, interval: Interval) -> tuple[int | None, int | None, list[Span]]:
        if not self.rows:
            return None, None, []
        length = interval.typical_ms
        holes = [Span(a + length, b) for a, b in pairwise(self.rows) if b - a != length]
        return self.rows[0], self.rows[-1], holes

    def write(self, batch: list[Candle]) -> Step:
        """Write all of a batch, or nothing."""

        def step(done: Callable[[object], None]) -> None:
            self._under_way = batch
            self._world.after(self._takes(), self._written, self._life, batch, done)

        return step

    def _written(self, life: int, batch: list[Candle], done: Callable[[object], None]) -> None:
        if life != self._life:
            return
        self._under_way = []
        failed = self._failing()
        if failed is None:
            self._put(batch)
        done(failed)

    def kill(self) -> None:
        """The writer dies: what is late is merged or not, of the rest a part is there."""
        self._life += 1
        batch, self._under_way = self._under_way, []
        if batch and self._failing() is None:
            last = self.rows[-1] if self.rows else 0
            late = sum(1 for candle in batch if candle.open_ms <= last)
            choices = [*([0] if late else []), *range(late, len(batch) + 1)]
            self._put(batch[: self._draw.choice(choices)])

    def _put(self, batch: list[Candle]) -> None:
        for candle in batch:
            open_ms = candle.open_ms
            if (reason := self._wrong(candle)) is not None:
                self._complain(f"wrote a row that is wrong: {reason}: {candle}")
            if open_ms in self.written_at:
                self._complain(f"wrote {open_ms} twice")
                continue
            self.written_at[open_ms] = self._world.now
            if not self.rows or open_ms > self.rows[-1]:
                self.rows.append(open_ms)
            else:
                insort(self.rows, open_ms)

    def _failing(self) -> DiskFailedError | None:
        return DiskFailedError() if any(x.kind is Kind.DISK for x in self._active) else None

    def _takes(self) -> float:
        slow = sum(x.amount for x in self._active if x.kind is Kind.SLOW_DISK)
        return self._draw.uniform(0.002, 0.02) + slow * self._draw.random()
