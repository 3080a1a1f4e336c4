"""Hours over real sockets, crashes included: the file equals the truth."""

from __future__ import annotations

import random

import pytest

from tests.simulation.sockets import QUICK, run_sockets


def hold_for_an_hour(seed: int) -> None:
    print(f"repeat it: run_sockets({seed}, 3600.0, QUICK) in tests/simulation/sockets.py")
    run = run_sockets(seed, 3600.0, QUICK)
    assert not run.problems, run.report()
    assert run.rows > 30


@pytest.mark.parametrize("seed", [2, 3])
def test_the_file_equals_the_truth(seed: int) -> None:
    hold_for_an_hour(seed)


def test_the_file_equals_the_truth_with_a_seed_that_nobody_has_tried() -> None:
    hold_for_an_hour(random.SystemRandom().randrange(1 << 32))


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_day() -> None:
    run = run_sockets(1)
    assert not run.problems, run.report()
