"""Weeks through the rules: the file equals the truth. ``make simulate`` runs many more."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.month import DAY, Month, draw_setup
from tests.simulation.rules import INTERVALS, check_rules, run_rules
from tests.simulation.schedule import Trouble, schedules

#: Enough for all kinds of trouble, and quick.
DAYS = 5.0


def hold(seed: int, days: float = DAYS) -> None:
    print(f"repeat it: python -m tests.simulation --seed {seed} --rules --days {days:g}")
    rows, report = check_rules(seed, days)
    assert not report, report
    assert rows > 1_000


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_file_equals_the_truth(seed: int) -> None:
    hold(seed)


def test_the_file_equals_the_truth_with_a_seed_that_nobody_has_tried() -> None:
    hold(random.SystemRandom().randrange(1 << 32))


@pytest.mark.parametrize("interval", INTERVALS)
def test_the_file_equals_the_truth_whatever_hypothesis_thinks_of(interval: str) -> None:
    days = 4.0 if interval == "1h" else 0.5

    @settings(max_examples=15, print_blob=True)
    @given(st.integers(0, 1 << 16), schedules(days * DAY, 12))
    def holds(seed: int, schedule: list[Trouble]) -> None:
        outcome = Month(draw_setup(seed, interval, days), schedule, seed).run()
        assert not outcome.problems

    holds()


def test_a_seed_is_repeated_exactly() -> None:
    first, second = (run_rules(9, "1m", 2.0) for _ in range(2))
    assert first == second
    assert first.schedule != run_rules(10, "1m", 2.0).schedule


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_thirty_months() -> None:
    for seed in range(1000, 1030):
        hold(seed, 30.0)
