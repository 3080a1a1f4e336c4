"""The simulation can see: a rule that is broken on purpose makes one of the first seeds fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from kline_ops import events
from kline_ops.feed.happenings import Action, Close, Happening, Replace
from kline_ops.feed.plan import Plan
from kline_ops.market.candle import Candle
from kline_ops.market.span import Span
from kline_ops.record import page as page_rules
from kline_ops.record.pursuit import Pursuit
from kline_ops.record.sequence import Answer, Sequence
from kline_ops.resilience import Backoff
from kline_ops.resilience.allowance import Allowance
from tests.simulation import keeping
from tests.simulation.month import Month, Setup
from tests.simulation.rules import run_rules
from tests.simulation.schedule import Kind, Trouble

Change = Callable[[Setup], Setup]
SEEDS, DAYS = 12, 5.0


class GivesUpAtOnce(Pursuit):
    def answered(self, asked: Span, left: Iterable[Span], now: float, now_ms: int) -> list[Span]:
        return list(left)


class NeverAsks(Pursuit):
    def to_ask(self, due: Iterable[Span], now: float) -> list[Span]:
        return []

    def next_at(self, due: Iterable[Span], now: float) -> float | None:
        return None


class ForgetsHoles(Sequence):
    def offer(self, candle: Candle) -> Answer:
        answer = super().offer(candle)
        if answer.hole is not None:
            self.holes.remove(answer.hole)
        return answer


class TakesTheFirstForAll(Sequence):
    """A draining connection repeats what the new one brought: each is new to it."""

    def offer(self, candle: Candle) -> Answer:
        if self.next_ms is not None and candle.open_ms == self.next_ms - self.interval.typical_ms:
            self.next_ms = candle.open_ms
        return super().offer(candle)


class BreaksBeforeItMakes(Plan):
    def advance(self, happening: Happening, now: float, now_ms: int) -> list[Action]:
        actions = super().advance(happening, now, now_ms)
        if isinstance(happening, Replace) and happening.why == events.PLANNED:
            for link in self.live():
                if not link.closing:
                    link.closing = True
                    actions.append(Close(link.number))
        return actions


class AllowsAll(Allowance):
    def connect(self, now_ms: int) -> float:
        return 0.0


def pursuit(kind: type[Pursuit]) -> Change:
    return lambda setup: replace(setup, record=replace(setup.record, pursuit=kind))


def sequence(kind: type[Sequence]) -> Change:
    return lambda setup: replace(setup, record=replace(setup.record, sequence=kind))


def plan(kind: type[Plan]) -> Change:
    return lambda setup: replace(setup, feed=replace(setup.feed, plan=kind))


def hasty(setup: Setup) -> Setup:
    backoff = Backoff(0.0, 0.0, 20)
    return replace(setup, allowance=AllowsAll, feed=replace(setup.feed, backoff=backoff))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (pursuit(GivesUpAtOnce), "are missing"),
        (pursuit(NeverAsks), "are missing"),
        pytest.param(sequence(ForgetsHoles), "are missing", marks=pytest.mark.long),
        (sequence(TakesTheFirstForAll), "twice"),
        (plan(BreaksBeforeItMakes), "last live connection"),
        pytest.param(hasty, "attempts", marks=pytest.mark.long),
    ],
    ids=["gives up", "never asks", "forgets", "doubles", "breaks", "hasty"],
)
def test_a_broken_rule_is_seen(change: Change, says: str) -> None:
    see(change, says)


def test_a_page_that_is_believed_to_its_last_candle_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The stream is silent, and REST shows candles as they were some seconds ago."""
    schedule = [
        Trouble(Kind.SILENCE, 7_200, 7_200),
        Trouble(Kind.REST_STALE, 7_200, 7_200, 10.0),
    ]
    setup = Setup("1m", 6 * 3600.0)
    assert not Month(setup, schedule).run().problems
    day_ms = 86_400_000
    monkeypatch.setattr(
        keeping, "answered", lambda *page: page_rules.answered(*page[:3], page[3] + day_ms)
    )
    assert any("is wrong" in problem for problem in Month(setup, schedule).run().problems)


def see(change: Change, says: str) -> None:
    for seed in range(SEEDS):
        problems = run_rules(seed, "1m", DAYS, change).outcome.problems
        if any(says in problem for problem in problems):
            return
    pytest.fail(f"no seed below {SEEDS} saw it")
