"""The conductor: starts the exchange and the recorder, lets one fault after another happen, and counts.

The exchange lives in this process, the recorder in one of its own, with real sockets and real files
between them. What the recorder notices is read from its own event log, what it keeps from its file.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from kline_ops.clock import SystemClock
from kline_ops.drill import pace
from kline_ops.drill.child import Child
from kline_ops.drill.disk import DiskControl
from kline_ops.drill.evidence import CandleFile, EventLog
from kline_ops.drill.faults import Trouble
from kline_ops.drill.holes import BEGINNING, explained, gaps
from kline_ops.drill.plan import Plan
from kline_ops.drill.recorder import load
from kline_ops.drill.report import Counts, Outcome, Report, count
from kline_ops.drill.stage import INTERVAL, SYMBOL, Stage
from kline_ops.errors import EXIT_GOOD, KlineOpsError
from kline_ops.exchange.altered import AlteredMarket
from kline_ops.exchange.market import Market
from kline_ops.exchange.server import ExchangeServer
from kline_ops.gaps.history import read_history
from kline_ops.market import timestamp

#: Seconds between two looks at the recorder.
_LOOK = 0.025
#: A candle is on its way to the disk for so long (ms) after its close.
_ON_ITS_WAY_MS = 250
#: Seconds for the recorder to begin, and to be well again after a fault.
_BEGIN_TIMEOUT = 20.0
_RECOVERY_TIMEOUT = 20.0

#: Hears of a fault that begins (then without an outcome) and of what it came to.
Tell = Callable[[int, Trouble, Outcome | None], None]


@dataclass(slots=True)
class Window:
    """The candles that open in ``[start, end)`` (ms), and those that had come from REST by its end."""

    start: int
    end: int
    from_rest: frozenset[int]
    counts: Counts = field(default_factory=Counts)


class Drill:
    """One drill. ``folder`` is its home: the recorder's files stay there.

    Without ``backfill`` the recorder fetches nothing from REST: what it loses stays lost.
    """

    def __init__(
        self, plan: Plan, seed: int, folder: Path, tell: Tell, *, backfill: bool = True
    ) -> None:
        self._plan = plan
        self._seed = seed
        self._folder = folder
        self._tell = tell
        self._clock = SystemClock()
        #: What came before the first fault, and each fault.
        self._windows: list[Window] = []
        #: Candles that were on disk once; in which window those went that are gone.
        self._kept: set[int] = set()
        self._gone: dict[int, int] = {}
        left_out = tuple(trouble.name for trouble in plan.left_out)
        self.report = Report(seed, 0.0, pace.time_outs(), [], left_out, backfill=backfill)

    async def run(self) -> None:
        """Go through the plan; :attr:`report` says what it came to, after a cancellation too.

        Raises:
            KlineOpsError: the recorder does not begin.
            OSError: the folder or the sockets can not be used.
        """
        began = self._clock.monotonic()
        async with AsyncExitStack() as stack:
            market = AlteredMarket(Market(self._seed))
            servers = [
                await stack.enter_async_context(ExchangeServer(market, self._clock))
                for _ in range(2)
            ]
            stage = self._new_stage(servers)
            try:
                await stage.child.start()
                await self._until_live(stage)
                self._close_window(stage)
                for number, trouble in enumerate(self._plan.chosen, 1):
                    await self._undergo(stage, number, trouble)
            except asyncio.CancelledError:
                self.report.interrupted = True
            finally:
                code = await stage.child.terminate()
                self.report.seconds = self._clock.monotonic() - began
            self._conclude(stage, code)

    def _new_stage(self, servers: list[ExchangeServer]) -> Stage:
        config, control = self._folder / "drill.yml", self._folder / "disk"
        self._since_ms = INTERVAL.floor(self._clock.wall_ms())
        first, second = servers
        since = timestamp.to_text(self._since_ms)
        urls = first.ws_url, second.ws_url, first.rest_url
        tree = pace.config(*urls, since, backfill=self.report.backfill)
        config.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
        settings = load(config)
        self._log = EventLog(settings.events_file, INTERVAL)
        self._file = CandleFile(settings.csv)
        child = Child(self._folder, config, control)
        return Stage(self._clock, servers, child, DiskControl(control), settings.csv)

    async def _until_live(self, stage: Stage) -> None:
        deadline = self._clock.monotonic() + _BEGIN_TIMEOUT
        while True:
            await self._look(stage)
            if self._is_well(stage):
                return
            if stage.child.deaths or self._clock.monotonic() > deadline:
                said = stage.child.output.read_text(encoding="utf-8", errors="replace").split("\n")
                words = next((line for line in reversed(said) if line.strip()), "it says nothing")
                raise KlineOpsError(f"the drill's recorder does not begin: {words}")

    async def _undergo(self, stage: Stage, number: int, trouble: Trouble) -> None:
        """One fault, from its beginning until all is well again, and the calm after it."""
        # While one connection replaces another, a fault may meet the one that is to go.
        await stage.in_use()
        clock, seen = self._clock, len(self._log.events)
        self._tell(number, trouble, None)
        began, began_ms = clock.monotonic(), clock.wall_ms()
        outcome = Outcome(trouble, began_ms)
        try:
            lasts = self._plan.lasts(trouble)
            since_ms = await trouble.begin(stage, lasts) or began_ms
            lasted = (since_ms - began_ms) / 1000.0 + lasts
            ended = max(clock.monotonic(), began + lasted)
            outcome.lasted = ended - began
            while clock.monotonic() < ended + _RECOVERY_TIMEOUT:
                await self._look(stage)
                self._note(outcome, since_ms, seen)
                if clock.monotonic() < ended or not self._is_told(outcome, since_ms):
                    continue
                if self._is_well(stage):
                    outcome.recovered = round(clock.monotonic() - ended, 3)
                    break
            while clock.monotonic() < began + trouble.needs * self._plan.pace:
                await self._look(stage)
        finally:
            stage.heal()
        # Here, not before: of a fault that the end of the drill cut short nothing can be said.
        self._close_window(stage)
        self.report.outcomes.append(outcome)
        self._tell(number, trouble, outcome)

    def _note(self, outcome: Outcome, since_ms: int, seen: int) -> None:
        """Look for the first sign of it in the recorder's events."""
        if outcome.noticed is None and outcome.trouble.signs:
            event = self._log.sign(outcome.trouble.signs, outcome.began_ms, seen)
            if event is not None:
                outcome.noticed = max(0.0, round((event["ts"] - since_ms) / 1000.0, 3))
                outcome.noticed_by = event["kind"]

    def _is_told(self, outcome: Outcome, since_ms: int) -> bool:
        """Whether it was noticed, or should have been: what looks well before is not."""
        if not outcome.trouble.signs or outcome.noticed is not None:
            return True
        return self._clock.wall_ms() > since_ms + (outcome.trouble.within + 1.0) * 1000.0

    async def _look(self, stage: Stage) -> None:
        await stage.child.revive()
        self._log.poll()
        self._file.poll()
        await asyncio.sleep(_LOOK)

    def _is_well(self, stage: Stage) -> bool:
        """Every owed candle is on disk, without backfill the newest; and a connection delivers."""
        until_ms = self._clock.wall_ms() - _ON_ITS_WAY_MS
        last_ms = INTERVAL.shift(INTERVAL.floor(until_ms), -1)
        opens = self._opens(last_ms)
        if not self.report.backfill:
            if not self._file.rows:
                return False
            opens = opens[-1:]
        missing = [ms for ms in opens if ms not in self._file.rows]
        owed = (stage.servers[0].truth(SYMBOL, INTERVAL, ms, ms) for ms in missing)
        return bool(self._log.live) and not any(owed)

    def _opens(self, last_ms: int) -> range:
        return range(self._since_ms, last_ms + 1, round(pace.CANDLE * 1000))

    def _close_window(self, stage: Stage) -> None:
        """What closes from now on counts for the next fault. Where candles came from is settled here."""
        start = self._windows[-1].end if self._windows else self._since_ms
        end = INTERVAL.floor(self._clock.wall_ms() - _ON_ITS_WAY_MS)
        window = Window(start, end, frozenset(self._log.from_rest))
        window.counts = self._count(stage, window)
        for open_ms in self._kept.difference(self._file.rows):
            self._gone.setdefault(open_ms, len(self._windows))
        self._kept |= self._file.rows.keys()
        self._windows.append(window)

    def _count(self, stage: Stage, window: Window) -> Counts:
        start, last = window.start, INTERVAL.shift(window.end, -1)
        exchange = stage.servers[0]
        truth = exchange.truth(SYMBOL, INTERVAL, start, last)
        amended = exchange.rest_truth(SYMBOL, INTERVAL, start, last)
        # What stands before the first candle that is owed is wrong as well.
        first = 0 if start == self._since_ms else start
        rows = {ms: lines for ms, lines in self._file.rows.items() if first <= ms <= last}
        return count(truth, amended, rows, window.from_rest, self._log.from_rest)

    def _conclude(self, stage: Stage, code: int | None) -> None:
        """Count again by the file as it is in the end; what was wrong before is no better for that."""
        self._file.poll()
        counts = [window.counts.final(self._count(stage, window)) for window in self._windows]
        if counts:
            self.report.before = counts[0]
            for outcome, its_counts in zip(self.report.outcomes, counts[1:], strict=True):
                outcome.counts = its_counts
        if not self.report.backfill and counts:
            self._explain()
        remarks = self.report.remarks
        remarks += stage.child.deaths
        if self._file.strange:
            remarks.append(f"{self._file.strange} lines of the file are no rows, or out of order")
        if code not in {EXIT_GOOD, None}:
            remarks.append(f"the recorder ended with exit code {code} when it was told to stop")

    def _explain(self) -> None:
        """What the event log says of each hole that the file has in the end."""
        history = read_history(self._log.path)
        last_ms = INTERVAL.shift(self._windows[-1].end, -1)
        for gap in gaps(self._opens(last_ms), self._file.rows, INTERVAL):
            # A candle that was on disk is lost to the fault that took it from there.
            number = self._gone.get(gap.first_missing_ms)
            if number is None:
                starts = [window.start for window in self._windows]
                number = max(0, bisect_right(starts, gap.first_missing_ms) - 1)
            if number:
                outcome = self.report.outcomes[number - 1]
                truth, holes = outcome.trouble.causes, outcome.holes
            else:
                truth, holes = BEGINNING, self.report.holes_before
            holes.append(explained(history, gap, INTERVAL, truth))
