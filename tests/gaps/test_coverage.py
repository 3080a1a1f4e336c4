"""The sum over a ledger is what candle by candle it would be."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.gaps.coverage import Coverage, Kind, Ledger, cell_ms
from kline_ops.market import interval as intervals
from kline_ops.market.interval import MINUTE_MS, Interval
from kline_ops.market.span import Span

START = 1_767_225_600_000
SLOTS = 400
RANK = list(Kind)

spans = st.tuples(st.integers(-20, SLOTS), st.integers(0, 90)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)
told = st.lists(
    st.tuples(st.sampled_from(["rows", "filled", "confirmed", "gone"]), spans), max_size=25
)


def cells_of(coverage: Coverage, interval: Interval) -> dict[int, tuple[Kind, int]]:
    """Cell by cell; how many candles one of several has is only known of all together."""
    found = {}
    for first, last, kind, candles in coverage.cells:
        at = first
        while at <= last:
            found[at] = (kind, candles)
            at = at + MINUTE_MS if interval.name == "1s" else interval.after(at)
    return found


@given(
    st.sampled_from(["1s", "1m", "1h", "1d", "1w", "1M"]), told,
    st.tuples(st.integers(0, SLOTS), st.integers(0, SLOTS)), st.integers(0, 30), st.integers(0, 59),
    st.sampled_from([60, 120, 61_440]),
)  # fmt: skip
def test_cells_and_figures_are_what_they_are_candle_by_candle(  # noqa: C901
    name: str,
    steps: list[tuple[str, tuple[int, int]]],
    window: tuple[int, int],
    pending: int,
    shift: int,
    piece: int,
) -> None:
    interval = intervals.parse(name)
    origin = interval.floor(START + shift * 1000)
    ledger = Ledger(interval, origin)
    origin = ledger.first_ms

    def ms(slot: int) -> int:
        return interval.shift(origin, slot)

    disk: set[int] = set()
    rest: set[int] = set()
    absent: set[int] = set()
    for kind, (first, last) in steps:
        there = {slot for slot in range(first, last + 1) if slot >= 0}
        if kind == "rows":
            times = [ms(slot) for slot in range(first, last + 1)]
            even = interval.length_ms is not None and len(times) > 1
            ledger.has_rows(range(times[0], times[-1] + 1, interval.length_ms) if even else times)
            disk |= there
        elif kind == "filled":
            ledger.filled(ms(first), ms(last), last - first + 1)
            rest |= there
            absent -= there
        elif kind == "confirmed":
            ledger.confirmed(ms(first), ms(last))
            absent |= there
        else:
            ledger.has_no_rows_from(ms(first))
            disk = {slot for slot in disk if slot < first}
    start, end = min(window), max(window)
    truth = {}
    for slot in range(start, end):
        if slot in disk:
            truth[slot] = Kind.REST if slot in rest else Kind.STREAM
        elif slot in absent:
            truth[slot] = Kind.EXCHANGE
        else:
            truth[slot] = Kind.PENDING if slot >= end - pending else Kind.MISSING
    for _ in range(2):  # what is remembered of a piece is what it is
        with patch("kline_ops.gaps.coverage._PIECE", piece):
            coverage = ledger.coverage(Span(ms(start), ms(end)), ms(end - pending))
        assert coverage.counts == dict.fromkeys(Kind, 0) | Counter(truth.values())
        assert coverage.owed == end - start
        kinds = [cells.kind for cells in coverage.cells]
        assert all(one is not other for one, other in pairwise(kinds))
        of_cell: dict[int, list[Kind]] = {}
        for slot, kind in truth.items():
            at = ms(slot) - (ms(slot) % MINUTE_MS if name == "1s" else 0)
            of_cell.setdefault(at, []).append(kind)
        worst = {at: max(found, key=RANK.index) for at, found in of_cell.items()}
        assert {at: kind for at, (kind, _) in cells_of(coverage, interval).items()} == worst
        told_of = Counter[Kind]()
        for cells in coverage.cells:
            told_of[cells.kind] += cells.candles
        # Of a minute those are told that make it what it is.
        assert told_of == Counter(
            k for at, found in of_cell.items() for k in found if k is worst[at]
        )


def test_of_many_candles_whole_pieces_are_remembered_and_looked_at_again_where_they_change() -> (
    None
):
    interval = intervals.parse("1s")
    ledger = Ledger(interval, START)
    count = 200_000
    ledger.has_rows(range(START, START + count * 1000, 1000))
    span, late = Span(START, START + count * 1000), START + count * 1000
    assert [c.candles for c in ledger.coverage(span, late).cells] == [count]
    ledger.filled(START + 70_000_000, START + 70_059_000, 60)
    coverage = ledger.coverage(span, late)
    assert coverage.counts[Kind.REST] == 60
    assert [c.kind for c in coverage.cells] == [Kind.STREAM, Kind.REST, Kind.STREAM]
    assert ledger.coverage(span, late) == coverage


def test_a_batch_from_rest_with_stream_candles_in_it_is_those_that_were_found_missing() -> None:
    interval = intervals.parse("1m")
    ledger = Ledger(interval, START)
    at = [START + slot * MINUTE_MS for slot in range(10)]
    ledger.has_rows(range(at[0], at[9] + 1, MINUTE_MS))
    ledger.found(at[2], at[2])
    ledger.found(at[6], at[7])
    ledger.filled(at[2], at[7], 3)
    cells = ledger.coverage(Span(at[0], at[9]), at[9]).cells
    assert [(c.kind.value, c.candles) for c in cells] == [
        ("stream", 2), ("rest", 1), ("stream", 3), ("rest", 2), ("stream", 1),
    ]  # fmt: skip
    # A log may lack what was found: as many as were filled are counted.
    ledger = Ledger(interval, START)
    ledger.has_rows(range(at[0], at[9] + 1, MINUTE_MS))
    ledger.filled(at[2], at[7], 3)
    assert ledger.coverage(Span(at[0], at[9]), at[9]).counts[Kind.REST] == 3
    # One that reaches over the beginning: as many as lie within.
    ledger.filled(START - 10 * MINUTE_MS, at[9], 10)
    assert 0 < ledger.coverage(Span(at[0], at[9]), at[9]).counts[Kind.REST] <= 9


@pytest.mark.parametrize("name", ["1s", "1h"])
def test_times_that_can_not_be_cost_nothing(name: str) -> None:
    ledger = Ledger(intervals.parse(name), START)
    ledger.has_rows([START + 10**14, START + 1, START - 10**12])
    ledger.filled(START, START + 10**15, 10**12)
    ledger.confirmed(START - 10**12, START - 10**11)
    assert ledger.coverage(Span(START, START), START).owed == 0


def test_a_cell_is_a_candle_or_a_minute() -> None:
    assert cell_ms(intervals.parse("1s")) == cell_ms(intervals.parse("1m")) == MINUTE_MS
    assert cell_ms(intervals.parse("1h")) == 60 * MINUTE_MS
