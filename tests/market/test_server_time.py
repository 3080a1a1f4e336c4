"""The exchange's time from what it says: never early, soon right, and blind to the local clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.market.server_time import WINDOW_SECONDS, ServerTime

WALL = 1_767_225_600_000


def test_the_local_clock_serves_until_the_exchange_speaks() -> None:
    time = ServerTime(WALL, monotonic=50.0)
    assert not time.heard
    assert time.now_ms(50.0) == WALL
    assert time.now_ms(51.5) == WALL + 1_500


def test_a_wrong_local_clock_is_forgotten_when_the_exchange_has_spoken_twice() -> None:
    for wrong in (0, WALL + 10**9, WALL - 10**9):
        time = ServerTime(wrong, monotonic=0.0)
        time.observe(WALL, 1.0)
        assert not time.heard
        time.observe(WALL + 2_000, 3.0)
        assert time.heard
        assert time.now_ms(3.0) == WALL + 2_000
        assert time.now_ms(61.0) == WALL + 60_000


def test_one_wrong_event_time_moves_nothing() -> None:
    time = ServerTime(WALL, 0.0)
    time.observe(WALL, 0.0)
    time.observe(WALL + 60_000, 1.0)
    time.observe(WALL + 2_000, 2.0)
    assert time.now_ms(2.0) == WALL + 2_000
    # Nor do two of them that do not agree, or come in one breath.
    time.observe(WALL + 90_000, 3.0)
    time.observe(WALL + 900_000, 4.0)
    time.observe(WALL + 900_000, 4.1)
    assert time.now_ms(5.0) == WALL + 5_000


@given(st.lists(st.tuples(st.floats(0.001, 200), st.floats(0, 1.9)), min_size=1, max_size=60))
def test_the_estimate_is_never_early_and_late_by_the_fastest_delivery_at_most(
    steps: list[tuple[float, float]],
) -> None:
    time, now, delays = ServerTime(WALL, 0.0), 0.0, []
    for wait, delay in steps:
        now += wait
        time.observe(int(WALL + (now - delay) * 1000), now)
        delays.append((now, delay))
        told, true = time.now_ms(now), WALL + now * 1000
        recent = [late for at, late in delays if now - at <= WINDOW_SECONDS / 2] or [delay]
        assert told <= true
        assert told >= true - delay * 1000 - 3
        assert told >= true - max(recent) * 1000 - 3


@given(st.floats(0, 1e7), st.integers(0, 4_102_444_800_000))
def test_what_was_said_just_now_is_the_time_to_the_millisecond(now: float, said: int) -> None:
    time = ServerTime(said, now)
    time.observe(said, now)
    assert said - 1 <= time.now_ms(now) <= said


def test_a_late_delivery_does_not_set_the_clock_back() -> None:
    time = ServerTime(WALL, 0.0)
    time.observe(WALL, 0.0)
    time.observe(WALL, 30.0)
    assert time.now_ms(30.0) == WALL + 30_000


def test_a_machine_that_slept_is_right_with_the_next_word_that_has_a_witness() -> None:
    slept = WALL + 3_600_000
    for wall_ms, words in ((slept + 1_000, 1), (None, 2), (WALL - 10**9, 2)):
        time = ServerTime(WALL, 0.0)
        time.observe(WALL, 0.0)
        for word in range(words):
            time.observe(slept + 1_000 + word * 1_000, 1.0 + word, wall_ms)
        assert time.now_ms(1.0) == slept + 1_000


def test_a_clock_that_runs_fast_adds_up_to_no_more_than_two_windows_of_drift() -> None:
    time, now, drift = ServerTime(WALL, 0.0), 0.0, 200e-6
    for _ in range(5_000):
        now += 10.0
        true = WALL + now * (1 - drift) * 1000
        time.observe(int(true), now)
        assert time.now_ms(now) <= true + 2 * WINDOW_SECONDS * drift * 1000 + 2


def test_bounds_older_than_two_windows_are_forgotten_after_a_long_silence_too() -> None:
    time = ServerTime(WALL, 0.0)
    time.observe(WALL, 0.0)
    silent = 4 * 3600.0
    # The monotonic clock has gained half a second meanwhile.
    said = WALL + int(silent * 1000) - 500
    time.observe(said, silent)
    assert time.now_ms(silent) == said


def test_an_old_bound_serves_where_there_is_no_newer_one() -> None:
    time = ServerTime(WALL, 0.0)
    time.observe(WALL, 0.0)
    assert time.now_ms(7_200.0) == WALL + 7_200_000


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_wrong_local_clock_is_not_gone_back_to_after_a_long_silence(hours: int) -> None:
    wrong, silent = WALL + hours * 3_600_000, 4 * 3600.0
    time = ServerTime(wrong, 0.0)
    time.observe(WALL, 0.0, wrong)
    time.observe(WALL + 1_000, 1.0, wrong + 1_000)
    said = WALL + int(silent * 1000) - 40
    time.observe(said, silent, wrong + int(silent * 1000))
    assert time.heard
    assert time.now_ms(silent) == said


def test_what_is_known_is_moved_on_by_a_suspend_and_is_never_early() -> None:
    """The kernel measures a suspend in whole seconds: it may say up to one too much."""
    for true, told in ((90.0, 90.0), (90.0, 90.9), (90.0, 89.1)):
        time = ServerTime(WALL, 0.0)
        time.observe(WALL, 0.0)
        time.slept(0.0)
        time.slept(told)
        assert WALL + (true - 2) * 1000 <= time.now_ms(0.0) <= WALL + true * 1000
        assert not time.heard_since_sleep
        # The next word sets it right, without a witness.
        time.observe(WALL + 91_000, 1.0)
        assert time.now_ms(1.0) == WALL + 91_000
        assert time.heard
        assert time.heard_since_sleep


def test_what_came_after_the_suspend_is_not_moved_once_more() -> None:
    """A frame may be read before the clocks are looked at; this machine's clock is its witness."""
    time = ServerTime(WALL, 0.0)
    time.observe(WALL, 0.0)
    time.slept(0.0)
    time.observe(WALL + 90_000, 0.0, WALL + 90_000)
    time.slept(90.0)
    assert time.now_ms(0.0) == WALL + 90_000
    assert time.heard_since_sleep
    time.slept(0.0)
    assert time.now_ms(60.0) == WALL + 150_000


def test_what_was_sent_before_the_suspend_and_is_read_after_it_proves_nothing() -> None:
    time = ServerTime(WALL, 0.0)
    time.observe(WALL, 0.0)
    time.slept(0.0)
    time.slept(90.0)
    time.observe(WALL + 100, 0.1)
    assert not time.heard_since_sleep
    assert time.now_ms(0.1) == WALL + 89_100


def test_a_claim_of_before_the_suspend_is_no_witness_after_it() -> None:
    time = ServerTime(WALL, 0.0)
    time.observe(WALL, 0.0)
    time.observe(WALL + 600_000, 1.0)
    time.slept(0.0)
    time.slept(90.0)
    time.observe(WALL + 601_000, 2.0)
    assert time.now_ms(2.0) == WALL + 91_000


def test_a_suspend_before_the_first_look_moves_nothing_but_the_local_clock() -> None:
    time = ServerTime(WALL, 0.0)
    time.slept(90.0)
    assert time.now_ms(0.0) == WALL + 89_000
    assert not time.heard
    time.observe(WALL + 90_000, 0.0)
    time.slept(90.0)
    assert time.now_ms(0.0) == WALL + 90_000


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 0.99), st.sampled_from([0.0, 0.0, 1.5, 90.0, 3600.0]), st.booleans()
        ),
        max_size=40,
    )
)
def test_it_is_never_early_whatever_was_slept_and_whenever_frames_are_read(
    steps: list[tuple[float, float, bool]],
) -> None:
    """Each second: a suspend at some moment of it, a frame right after it or none, then a look."""
    time, now, true = ServerTime(WALL, 0.0), 0.0, float(WALL)
    time.observe(WALL, 0.0, WALL)
    time.slept(0.0)
    for part, slept, frame in steps:
        now, true = now + part, true + (part + slept) * 1000
        if frame:
            time.observe(int(true), now, int(true))
        now, true = now + 1.0 - part, true + (1.0 - part) * 1000
        time.slept(slept)
        assert true - 1_010 * (1 + sum(s > 0 for _, s, _ in steps)) <= time.now_ms(now) <= true + 1


def test_an_exchange_that_ran_ahead_for_a_moment_is_not_believed_for_long() -> None:
    time = ServerTime(0, 0.0)
    for second in range(300):
        ahead = 1_500 if 20 <= second < 25 else 0
        time.observe(second * 1000 + ahead, float(second))
    assert time.now_ms(300.0) == 300_000


def test_frames_that_are_all_late_are_known_to_be() -> None:
    time = ServerTime(0, 0.0)
    for second in range(10):
        time.observe(second * 1000, float(second))
    assert time.late_since is None
    for second in range(10, 60):
        time.observe(second * 1000 - 8_000, float(second))
    assert time.late_since == 10.0
    time.observe(60_000, 60.0)
    assert time.late_since is None


def test_a_late_frame_after_a_long_silence_is_known_to_be_late() -> None:
    time = ServerTime(0, 0.0)
    time.observe(0, 0.0)
    time.observe(3_600_000 - 7_000, 3_600.0)
    assert time.late_since == 3_600.0
    for second in (3_650, 3_651):  # a leap ahead needs a witness
        time.observe(second * 1000, float(second))
    assert time.late_since is None


def test_an_answer_that_was_long_under_way_may_be_late_and_is_asked_for_again() -> None:
    time = ServerTime(0, 0.0)
    time.observe(5_000, 10.0, took=8.0)  # told at once, or just before it arrived
    assert time.late_since == 10.0
    time.observe(80_000, 80.0, 80_000, took=0.1)
    assert time.late_since is None
    assert time.now_ms(80.0) == 80_000


def test_what_was_told_long_ago_is_old() -> None:
    time = ServerTime(0, 0.0)
    time.observe(10_000, 10.0)
    assert not time.is_old(250.0)
    assert time.is_old(250.1)
    time.observe(300_000, 300.0)
    assert not time.is_old(301.0)
