"""When REST is asked again, and when the exchange is believed to have none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kline_ops.market.interval import parse
from kline_ops.market.span import Span, within
from kline_ops.record.pursuit import Pursuit
from kline_ops.record.sequence import Sequence

MIN = 60_000
DAY = 1440 * MIN
#: The exchange's time at monotonic zero; candles of these tests are recent ones.
T0 = 1_769_522_400_000


def at(minute: int, end: int | None = None) -> Span:
    return Span(T0 + minute * MIN, T0 + (minute + 1 if end is None else end) * MIN)


DOUBLED = [1, 2, 4, 8, 16, 32, 64, 128, 256]


def ms(now: float) -> int:
    return T0 + int(now * 1000)


def test_what_is_missing_is_asked_for_at_once() -> None:
    due = [at(0), at(2, 5)]
    assert Pursuit().to_ask(due, 0.0) == due
    assert Pursuit().to_ask(iter(due), 0.0) == due


def test_nothing_due_is_nothing_to_ask_and_no_time_to_wake_at() -> None:
    assert Pursuit().to_ask([], 0.0) == []
    assert Pursuit().next_at([], 0.0) is None


def test_what_rest_did_not_have_is_asked_again_after_waits_that_double_to_five_minutes() -> None:
    pursuit, now, waits = Pursuit(), 0.0, []
    while len(waits) < 9:
        assert pursuit.to_ask([at(0)], now) == [at(0)]
        assert pursuit.answered(at(0), [at(0)], now, ms(now)) == []
        assert pursuit.to_ask([at(0)], now) == []
        again = pursuit.next_at([at(0)], now)
        assert again is not None
        assert pursuit.to_ask([at(0)], again - 0.001) == []
        waits.append(again - now)
        now = again
    # From four seconds on they are rounded down by a quarter at most, so that many fall together.
    assert waits[:2] == [1, 2]
    assert all(0.75 * wait <= was <= wait for was, wait in zip(waits, DOUBLED, strict=True))


def test_the_exchange_has_none_when_it_said_so_for_half_an_hour() -> None:
    pursuit = Pursuit()
    assert pursuit.answered(at(0), [at(0)], 100.0, ms(100)) == []
    assert pursuit.answered(at(0), [at(0)], 1_899.9, ms(1_899.9)) == []
    assert pursuit.answered(at(0), [at(0)], 1_900.0, ms(1_900)) == [at(0)]


def test_two_answers_a_minute_apart_are_enough_for_candles_older_than_a_day() -> None:
    """One short answer proves nothing: it would give up days of candles at once."""
    old = Span(T0 - DAY - 9 * MIN, T0 - DAY - MIN)
    pursuit = Pursuit()
    assert pursuit.answered(old, [old], 0.0, T0) == []
    assert pursuit.answered(old, [old], 59.0, T0 + 59_000) == []
    assert pursuit.answered(old, [old], 60.0, T0 + 60_000) == [old]


def test_what_is_asked_for_the_first_time_is_not_confirmed_along_with_older_ones() -> None:
    pursuit = Pursuit()
    pursuit.answered(at(0), [at(0)], 0.0, ms(0))
    # Half an hour later the next candles are missing too, and one question covers all.
    both = at(0, 30)
    confirmed = pursuit.answered(both, [both], 1_802.0, ms(1_802))
    assert all(span.end <= at(0).end for span in confirmed)
    # None of the others was ever asked for before; they stay wanted, and are asked for soon.
    assert pursuit.to_ask([at(1, 30)], 1_802.0 + 2.0) != []


def test_what_came_meanwhile_is_forgotten_and_the_rest_goes_on() -> None:
    pursuit = Pursuit()
    pursuit.answered(at(0, 10), [at(0, 10)], 0.0, ms(0))
    pursuit.answered(at(0, 10), [at(3, 5)], 1.0, ms(1))
    assert pursuit.to_ask([at(3, 5)], 1.5) == []
    # One question for what is wanted on both sides; the candles between keep to their own time.
    assert pursuit.to_ask([at(0, 10)], 1.5) == [at(0, 10)]
    pursuit.answered(at(0, 10), [at(3, 5)], 1.5, ms(1.5))
    assert pursuit.to_ask([at(3, 5)], 2.9) == []
    assert pursuit.to_ask([at(3, 5)], 3.0) == [at(3, 5)]


def test_a_halt_of_an_hour_is_one_question_a_second_and_a_few_records() -> None:
    grid = parse("1s")
    pursuit, sequence = Pursuit(), Sequence(grid, first_ms=T0, next_ms=T0)
    asked = 0
    for second in range(3_600):
        now, now_ms = float(second), T0 + second * 1000
        while parts := pursuit.to_ask(sequence.due(now_ms, 2_000), now):
            asked += 1
            left = within(sequence.due(now_ms, 2_000), parts[0])
            for span in pursuit.answered(parts[0], left, now, now_ms):
                sequence.confirm_absent(span)
        assert len(pursuit._absent) < 80
    assert asked <= 3_600
    (confirmed,) = sequence.confirmed
    assert grid.slots(*confirmed) > 1_200


def test_half_a_page_that_is_asked_leaves_the_other_half_as_it_was() -> None:
    pursuit = Pursuit()
    pursuit.answered(at(0, 100), [at(0, 100)], 0.0, ms(0))
    pursuit.answered(at(0, 50), [at(0, 50)], 1.0, ms(1))
    # The exchange said at 0 that it has none of the second half; that was half an hour ago.
    assert pursuit.answered(at(50, 100), [at(50, 100)], 1_801.0, ms(1_801)) == [at(50, 100)]


def test_a_failure_makes_everything_wait_and_longer_each_time() -> None:
    pursuit, now, waits = Pursuit(), 0.0, []
    for _ in range(8):
        pursuit.failed(now, None, retryable=True)
        until = pursuit.next_at([at(0)], now)
        assert until is not None
        assert pursuit.to_ask([at(0)], until - 0.001) == []
        assert pursuit.to_ask([at(0)], until) == [at(0)]
        waits.append(until - now)
        now = until
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


@pytest.mark.parametrize("told", [0.0, 0.5, 7.0, 86_400.0])
def test_the_wait_that_the_exchange_asks_for_is_honoured(told: float) -> None:
    pursuit = Pursuit()
    pursuit.failed(0.0, told, retryable=True)
    wait = max(1.0, told)
    assert pursuit.next_at([at(0)], 0.0) == wait
    assert pursuit.to_ask([at(0)], wait - 0.001) == []
    assert pursuit.to_ask([at(0)], wait) == [at(0)]


def test_what_will_fail_again_is_tried_again_every_five_minutes_only() -> None:
    pursuit = Pursuit()
    pursuit.failed(0.0, None, retryable=False)
    assert pursuit.next_at([at(0)], 0.0) == 300.0
    pursuit.failed(300.0, 900.0, retryable=False)
    assert pursuit.next_at([at(0)], 300.0) == 1_200.0


def test_an_answer_ends_the_failures() -> None:
    pursuit = Pursuit()
    for _ in range(5):
        pursuit.failed(0.0, None, retryable=True)
    pursuit.answered(at(0), [], 50.0, ms(50))
    pursuit.failed(50.0, None, retryable=True)
    assert pursuit.next_at([at(0)], 50.0) == 51.0


def test_candles_that_the_stream_brought_after_all_are_not_remembered_for_ever() -> None:
    pursuit = Pursuit()
    for minute in range(2_000):
        now = minute * 60.0
        for part in pursuit.to_ask([at(minute)], now):
            pursuit.answered(part, [part], now, ms(now))
        # The stream brings it a second later: it is not due any more, and never asked for again.
        pursuit.to_ask([], now + 1.0)
        pursuit.next_at([], now + 1.0)
    assert len(pursuit._absent) < 100


@given(
    st.lists(
        st.tuples(
            st.floats(0.01, 400),
            st.sampled_from(["all", "none", "some", "fail", "ban", "refused"]),
            st.integers(0, 5),
        ),
        min_size=1,
        max_size=80,
    )
)
@settings(max_examples=60)
def test_only_what_is_due_is_asked_for_and_all_of_it_in_the_end(
    steps: list[tuple[float, str, int]],
) -> None:
    pursuit, now, missing = Pursuit(), 0.0, set(range(30))
    blocked = 0.0
    for wait, fate, cut in steps:
        now += wait
        due = [at(m) for m in sorted(missing)]
        parts = pursuit.to_ask(due, now)
        asked = {m for p in parts for m in range((p.first - T0) // MIN, (p.end - T0) // MIN)}
        assert asked <= missing
        assert now >= blocked or not parts
        if not parts:
            again = pursuit.next_at(due, now)
            assert again is None or now < again <= now + 86_400
            continue
        part = parts[0]
        if fate in ("fail", "ban", "refused"):
            told = 500.0 if fate == "ban" else None
            pursuit.failed(now, told, retryable=fate != "refused")
            blocked = now + {"fail": 1.0, "ban": 500.0, "refused": 300.0}[fate]
            continue
        number = (part.first - T0) // MIN
        came = fate == "all" or (fate == "some" and cut > 2)
        if came:
            missing.discard(number)
        missing -= {
            (gone.first - T0) // MIN
            for gone in pursuit.answered(part, [] if came else [part], now, ms(now))
        }
    for _ in range(2_000):
        due = [at(m) for m in sorted(missing)]
        parts = pursuit.to_ask(due, now)
        for part in parts:
            pursuit.answered(part, [], now, ms(now))
            missing.discard((part.first - T0) // MIN)
        again = pursuit.next_at([at(m) for m in sorted(missing)], now)
        if again is None:
            break
        assert again > now
        now = again
    assert not missing
