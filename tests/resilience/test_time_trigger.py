"""Planned restarts: the grammar, and each boundary exactly once whatever the polls do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kline_ops.resilience import TimeTrigger
from kline_ops.resilience.time_trigger import parse_modulo

HOUR = 3_600_000
DAY = 24 * HOUR
#: 2026-01-27T14:00:00Z, not a boundary of 4h.
NOW = 1_769_522_400_000


@pytest.mark.parametrize(
    ("modulo", "period_ms"),
    [
        ("4h", 4 * HOUR),
        ("4H", 4 * HOUR),
        (" 4h ", 4 * HOUR),
        ("4 h", 4 * HOUR),
        ("4h\n", 4 * HOUR),
        ("\t2h", 2 * HOUR),
        ("30m", HOUR // 2),
        ("1d", DAY),
        ("1D", DAY),
        ("59s", 59_000),
        ("1s", 1_000),
        ("7d", 7 * DAY),
        ("168h", 7 * DAY),
        ("604800s", 7 * DAY),
        ("7h", 7 * HOUR),
        ("007h", 7 * HOUR),
        (240, 4 * HOUR),
        (1, 60_000),
        (10_080, 7 * DAY),
    ],
)
def test_a_modulo_is_a_number_and_a_unit_or_minutes(modulo: str | int, period_ms: int) -> None:
    assert parse_modulo(modulo) == period_ms
    assert TimeTrigger(modulo).period_ms == period_ms


WRONG_MODULI = [
    "0h",
    "0s",
    "8d",
    "604801s",
    "1w",
    "1mo",
    "1.5h",
    "1h30m",
    "4hours",
    "90",
    "h",
    "4h4",
]
WRONG_MODULI += [
    "-4h",
    "+4h",
    "",
    " ",
    "٤h",
    "4ｈ",
    "4\u2003h",
    "1ſ",
    "1e1h",
    "9" * 400 + "h",
    "4_0m",
]
WRONG_OBJECTS: list[object] = [True, False, None, 4.0, 0, -240, 10_081, 10**400, b"4h", ["4h"]]


@pytest.mark.parametrize("modulo", [*WRONG_MODULI, *WRONG_OBJECTS], ids=lambda x: repr(x)[:20])
def test_any_other_modulo_is_a_value_error_that_names_it(modulo: object) -> None:
    with pytest.raises(ValueError, match=r"neither text|is not"):
        TimeTrigger(modulo)  # type: ignore[arg-type]


@given(st.text(max_size=12))
def test_any_text_is_a_period_within_bounds_or_a_value_error(text: str) -> None:
    try:
        assert 1_000 <= parse_modulo(text) <= 7 * DAY
    except ValueError:
        return


def test_boundaries_are_multiples_of_the_modulo_since_the_epoch() -> None:
    trigger = TimeTrigger("4h")
    assert trigger.previous_boundary(NOW) == NOW - 2 * HOUR
    assert trigger.next_boundary(NOW) == NOW + 2 * HOUR
    assert trigger.time_until_next(NOW) == 7_200.0
    assert trigger.previous_boundary(NOW + 2 * HOUR) == NOW + 2 * HOUR
    assert trigger.next_boundary(NOW + 2 * HOUR) == NOW + 6 * HOUR
    assert trigger.time_until_next(NOW + 2 * HOUR - 1) == 0.001


def test_the_first_poll_without_history_takes_what_lies_behind_as_fired() -> None:
    assert TimeTrigger("4h").poll(NOW) is None
    assert TimeTrigger("4h").poll(NOW - 2 * HOUR) is None


def test_the_first_poll_within_the_margin_fires_the_boundary_ahead() -> None:
    assert TimeTrigger("4h").poll(NOW + 2 * HOUR - 4_000, margin=5.0) == NOW + 2 * HOUR


def test_a_late_poll_fires_the_newest_boundary_once_for_all_that_it_missed() -> None:
    trigger = TimeTrigger("1h")
    assert trigger.poll(NOW + 1) is None
    assert trigger.poll(NOW + 5 * HOUR + 1) == NOW + 5 * HOUR
    assert trigger.poll(NOW + 5 * HOUR + 1) is None
    assert trigger.poll(NOW + 6 * HOUR) == NOW + 6 * HOUR


def test_what_was_fired_before_a_restart_of_the_process_is_not_fired_again() -> None:
    first = TimeTrigger("4h", last_boundary_ms=0)
    fired = first.poll(NOW + 2 * HOUR - 3_000, margin=5.0)
    assert fired == first.last_boundary_ms == NOW + 2 * HOUR
    second = TimeTrigger("4h", last_boundary_ms=fired)
    for moment in range(NOW + 2 * HOUR - 3_000, NOW + 2 * HOUR + 3_000, 500):
        assert second.poll(moment, margin=5.0) is None
    assert second.poll(NOW + 6 * HOUR, margin=5.0) == NOW + 6 * HOUR


def test_what_passed_while_the_process_was_away_is_fired_once() -> None:
    trigger = TimeTrigger("4h", last_boundary_ms=NOW - 10 * HOUR)
    assert trigger.poll(NOW) == NOW - 2 * HOUR
    assert trigger.poll(NOW) is None


def test_a_clock_stepped_back_fires_nothing_until_it_is_past_the_last_boundary_again() -> None:
    trigger = TimeTrigger("1h", last_boundary_ms=NOW)
    assert trigger.poll(NOW + HOUR) == NOW + HOUR
    for moment in (NOW + 30_000, NOW - 3 * HOUR, NOW + HOUR - 1, NOW + HOUR, NOW + 2 * HOUR - 1):
        assert trigger.poll(moment) is None
    assert trigger.poll(NOW + 2 * HOUR) == NOW + 2 * HOUR


PERIODS = st.sampled_from(["1s", "10s", "7m", "30m", "4h", "7h", "1d"])
MARGINS = st.sampled_from([0.0, 0.0004, 0.25, 0.4999])
STEPS = st.lists(st.floats(-3, 5) | st.floats(0, 0.2), min_size=1, max_size=60)


@given(PERIODS, MARGINS, st.integers(0, 10**9), STEPS)
@settings(max_examples=60)
def test_no_boundary_fires_twice_or_too_early_whatever_the_clock_does(
    modulo: str, part: float, offset: int, steps: list[float]
) -> None:
    trigger = TimeTrigger(modulo)
    period = trigger.period_ms
    margin = part * period / 1000.0
    now, fired, newest = NOW + offset, [], NOW + offset
    for step in steps:
        boundary = trigger.poll(now, margin)
        if boundary is not None:
            assert boundary % period == 0
            assert now + margin * 1000 >= boundary > now + margin * 1000 - period - 1
            fired.append(boundary)
        newest = max(newest, now)
        assert trigger.last_boundary_ms == max([*fired, (NOW + offset) // period * period])
        now += int(step * period)
    assert fired == sorted(set(fired))


@given(PERIODS, MARGINS, st.integers(0, 10**9), st.lists(st.floats(0.001, 0.99), max_size=60))
@settings(max_examples=50)
def test_every_boundary_fires_where_polls_come_often_enough(
    modulo: str, part: float, offset: int, steps: list[float]
) -> None:
    trigger = TimeTrigger(modulo)
    period = trigger.period_ms
    margin_ms = int(part * period)
    now, fired = NOW + offset, []
    first = trigger.previous_boundary(now)
    for step in [0.0, *steps]:
        now += int(step * period)
        fired.append(trigger.poll(now, margin_ms / 1000.0))
    due = range(first + period, now + int(margin_ms / 1000.0 * 1000) + 1, period)
    assert [boundary for boundary in fired if boundary is not None] == list(due)


@given(PERIODS, MARGINS, st.integers(0, 10**9), STEPS)
@settings(max_examples=60)
def test_polling_when_due_fires_and_just_before_does_not(
    modulo: str, part: float, offset: int, steps: list[float]
) -> None:
    trigger = TimeTrigger(modulo)
    margin = part * trigger.period_ms / 1000.0
    now = NOW + offset
    for step in steps:
        trigger.poll(now, margin)
        due = trigger.next_due(now, margin)
        assert due > now
        before = TimeTrigger(modulo, last_boundary_ms=trigger.last_boundary_ms)
        assert before.poll(due - 1, margin) is None
        assert before.poll(due, margin) is not None
        now += int(step * trigger.period_ms)


def test_what_was_missed_and_not_polled_for_yet_is_due_now() -> None:
    trigger = TimeTrigger("4h", last_boundary_ms=NOW - 10 * HOUR)
    assert trigger.next_due(NOW) <= NOW
    assert trigger.poll(NOW) is not None
    assert trigger.next_due(NOW) == NOW + 2 * HOUR
