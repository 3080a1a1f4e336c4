"""One seed through the rules: thirty days of hours, and thirty days of minutes."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.month import DAY, Month, Outcome, Setup, draw_setup
from tests.simulation.schedule import Trouble, draw_schedule

#: A trouble every so many seconds.
EVERY = 3 * 3600.0
DAYS = 30.0
INTERVALS = ("1h", "1m")


@dataclass(frozen=True)
class Run:
    """One of the two runs of a seed."""

    seed: int
    interval: str
    schedule: list[Trouble]
    outcome: Outcome

    def report(self) -> str:
        """What a failing run says: the schedule, what was told last, the first difference."""
        lines = [f"seed {self.seed}, {self.interval}: {len(self.schedule)} troubles"]
        lines += [f"  {trouble}" for trouble in self.schedule]
        lines += ["what the feed told before:", *(f"  {line}" for line in self.outcome.told)]
        lines += [f"PROBLEM  {problem}" for problem in self.outcome.problems]
        return "\n".join(lines)


def run_rules(
    seed: int,
    interval: str,
    days: float = DAYS,
    change: Callable[[Setup], Setup] = lambda setup: setup,
) -> Run:
    """Everything in it follows from the seed; ``change`` breaks a rule, to see that it is seen."""
    schedule = draw_schedule(f"{seed} {interval}", days * DAY, EVERY)
    collecting = gc.isenabled()
    gc.disable()  # nothing in it goes round in circles for long; it takes a tenth of the time
    try:
        outcome = Month(change(draw_setup(seed, interval, days)), schedule, seed).run()
    finally:
        if collecting:
            gc.enable()
    return Run(seed, interval, schedule, outcome)


def check_rules(seed: int, days: float = DAYS) -> tuple[int, str]:
    """How many candles a seed has brought, and the report of what failed, or nothing."""
    # A run makes no cycles to speak of; looking for some takes a tenth of the time.
    gc.disable()
    try:
        runs = [run_rules(seed, interval, days) for interval in INTERVALS]
    finally:
        gc.enable()
    failed = [run.report() for run in runs if run.outcome.problems]
    return sum(run.outcome.rows for run in runs), "\n".join(failed)
