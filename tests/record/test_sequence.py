"""What is owed, against a slow oracle that keeps every open time in a set."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kline_ops.market.candle import Candle
from kline_ops.market.interval import Interval, parse
from kline_ops.market.span import Span
from kline_ops.market.timestamp import to_ms
from kline_ops.record.sequence import Sequence, Verdict

HOUR = 3_600_000
START = to_ms("2023-11-01T00:00:00Z")
INTERVALS = st.sampled_from(["1s", "1h", "1d@+08:00", "1w", "1M"]).map(parse)


def candle(open_ms: int, price: str = "1") -> Candle:
    return Candle(open_ms, price, price, price, price, "0")


@dataclass
class Oracle:
    """Everything as sets of slot numbers, counted from a far past."""

    grid: list[int]
    first: int | None = None
    next: int | None = None
    taken: dict[int, str] = field(default_factory=dict)
    confirmed: set[int] = field(default_factory=set)

    def offer(self, slot: int, price: str) -> tuple[Verdict, list[int]]:
        if self.first is None or self.next is None:
            self.first = self.next = slot
        if slot >= self.next:
            hole = list(range(self.next, slot))
            self.next = slot + 1
            self.taken[slot] = price
            return Verdict.NEW, hole
        if slot < self.first:
            return Verdict.BEFORE_START, []
        if slot not in self.taken:
            self.taken[slot] = price
            self.confirmed.discard(slot)
            return Verdict.FILL, []
        return (Verdict.DOUBLE if self.taken[slot] == price else Verdict.CONFLICT), []

    def confirm(self, first: int, end: int) -> None:
        if self.next is None:
            return
        self.next = max(self.next, end)
        missing = set(range(first, end)) - self.taken.keys()
        self.confirmed |= {slot for slot in missing if slot >= (self.first or 0)}

    def missing(self) -> set[int]:
        if self.first is None or self.next is None:
            return set()
        return set(range(self.first, self.next)) - self.taken.keys() - self.confirmed

    def due(self, now_ms: int, grace_ms: int) -> set[int]:
        """Everything that is missing and was closed ``grace`` ago, by walking the grid."""
        if self.first is None or self.next is None:
            return set()
        ahead = set(range(self.next, len(self.grid) - 1))
        wanted = self.missing() | ahead
        return {slot for slot in wanted if self.grid[slot + 1] + grace_ms <= now_ms}


def slots_of(spans: list[Span], interval: Interval, grid: list[int]) -> list[int]:
    """The slot numbers in these spans, in their order."""
    number = {open_ms: slot for slot, open_ms in enumerate(grid)}
    found = []
    for span in spans:
        assert span.first < span.end
        assert interval.is_open(span.first)
        assert interval.is_open(span.end)
        found += range(number[span.first], number[span.end])
    return found


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.integers(5, 40), st.sampled_from("112")),
        st.tuples(st.just("offer"), st.integers(5, 40), st.just("1")),
        st.tuples(st.just("confirm"), st.integers(5, 40), st.integers(1, 6)),
        st.tuples(st.just("begin"), st.integers(5, 40), st.just(0)),
    ),
    max_size=60,
)


@given(
    INTERVALS, STEPS, st.integers(0, 45), st.integers(-1, 2), st.sampled_from([0, 1, 2000, 900_000])
)
@settings(max_examples=100)
def test_it_agrees_with_sets_whatever_comes_in_whatever_order(
    interval: Interval, steps: list[tuple], at: int, off: int, grace_ms: int
) -> None:
    start = interval.floor(START)
    grid = [interval.shift(start, slot) for slot in range(60)]
    sequence, oracle = Sequence(interval), Oracle(grid)
    for what, slot, more in steps:
        if what == "offer":
            answer = sequence.offer(candle(grid[slot], more))
            verdict, hole = oracle.offer(slot, more)
            assert answer.verdict is verdict
            assert slots_of([answer.hole] if answer.hole else [], interval, grid) == hole
            if verdict is Verdict.CONFLICT:
                assert answer.kept == candle(grid[slot], oracle.taken[slot])
        elif what == "confirm":
            sequence.confirm_absent(Span(grid[slot], grid[slot + more]))
            oracle.confirm(slot, slot + more)
        else:
            sequence.begin(grid[slot])
            if oracle.next is None:
                oracle.first = oracle.next = slot
        assert slots_of(sequence.holes, interval, grid) == sorted(oracle.missing())
        assert sorted(slots_of(sequence.confirmed, interval, grid)) == sorted(oracle.confirmed)
        assert sequence.taken() == len(oracle.taken)
    now_ms = grid[at] + off + grace_ms
    due = slots_of(sequence.due(now_ms, grace_ms), interval, grid)
    assert due == sorted(oracle.due(now_ms, grace_ms))
    now_ms = grid[at] + off
    if oracle.first is None or oracle.next is None:
        assert sequence.owed(now_ms) == 0
    else:
        closed = sum(grid[slot + 1] <= now_ms for slot in range(oracle.first, len(grid) - 1))
        assert sequence.owed(now_ms) == max(closed, oracle.next - oracle.first)


def test_nothing_is_owed_before_the_first_candle_is_known() -> None:
    sequence = Sequence(parse("1h"))
    assert sequence.due(START, 0) == []
    assert sequence.owed(START) == sequence.taken() == 0


@pytest.mark.parametrize("grace_ms", [0, 1, 2_000, 4 * HOUR])
def test_a_candle_is_due_exactly_grace_after_its_close(grace_ms: int) -> None:
    sequence = Sequence(parse("1h"))
    sequence.begin(START)
    close = START + HOUR
    assert sequence.due(close + grace_ms - 1, grace_ms) == []
    assert sequence.due(close + grace_ms, grace_ms) == [Span(START, close)]


def test_a_hole_next_to_a_candle_that_came_early_is_not_due_before_its_grace() -> None:
    sequence = Sequence(parse("1h"))
    sequence.begin(START)
    sequence.offer(candle(START + HOUR))
    assert sequence.due(START + HOUR + 1_999, 2_000) == []
    assert sequence.due(START + HOUR + 2_000, 2_000) == [Span(START, START + HOUR)]


def test_a_month_is_due_when_the_next_one_begins() -> None:
    sequence = Sequence(parse("1M"))
    sequence.begin(to_ms("2024-02-01"))
    assert sequence.due(to_ms("2024-02-29T23:59:59.999Z"), 0) == []
    assert sequence.due(to_ms("2024-03-01"), 0) == [Span(to_ms("2024-02-01"), to_ms("2024-03-01"))]
    assert sequence.owed(to_ms("2024-12-31")) == 10


def test_what_stands_in_the_file_is_known_from_the_start() -> None:
    hole = Span(START + 2 * HOUR, START + 4 * HOUR)
    sequence = Sequence(parse("1h"), first_ms=START, next_ms=START + 6 * HOUR, holes=[hole])
    assert sequence.taken() == 4
    assert sequence.offer(candle(START + HOUR)).verdict is Verdict.DOUBLE
    assert sequence.offer(candle(START + 3 * HOUR)).verdict is Verdict.FILL
    assert sequence.holes == [Span(START + 2 * HOUR, START + 3 * HOUR)]
    sequence.begin(START - HOUR)
    assert sequence.offer(candle(START - HOUR)).verdict is Verdict.BEFORE_START


def test_what_was_confirmed_absent_and_arrives_after_all_is_taken() -> None:
    sequence = Sequence(parse("1h"))
    sequence.begin(START)
    sequence.confirm_absent(Span(START, START + 3 * HOUR))
    assert sequence.due(START + 9 * HOUR, 0) == [Span(START + 3 * HOUR, START + 9 * HOUR)]
    assert sequence.offer(candle(START + HOUR)).verdict is Verdict.FILL
    assert sequence.confirmed == [
        Span(START, START + HOUR),
        Span(START + 2 * HOUR, START + 3 * HOUR),
    ]
    assert sequence.taken() == 1


def test_a_double_that_differs_in_the_count_of_trades_only_is_no_conflict() -> None:
    sequence = Sequence(parse("1h"))
    sequence.offer(candle(START))
    assert (
        sequence.offer(Candle(START, "1", "1", "1", "1", "0", trades=9)).verdict is Verdict.DOUBLE
    )


def test_the_first_of_two_that_differ_stays_and_is_named() -> None:
    sequence = Sequence(parse("1h"))
    sequence.offer(candle(START, "1"))
    for price in ("2", "3"):
        answer = sequence.offer(candle(START, price))
        assert answer.verdict is Verdict.CONFLICT
        assert answer.kept == candle(START, "1")


def test_what_is_remembered_to_compare_with_stays_bounded() -> None:
    sequence = Sequence(parse("1s"))
    for second in range(2_000):
        sequence.offer(candle(START + second * 1_000))
    assert sequence.offer(candle(START + 1_999_000, "2")).verdict is Verdict.CONFLICT
    assert sequence.offer(candle(START, "2")).verdict is Verdict.DOUBLE
