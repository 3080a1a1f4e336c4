"""``make simulate``: many seeds, a line of progress, and the command that repeats one that fails.

A seed of the rules is a month of hours and one of minutes (``rules.py``), one of the sockets is a day of
minutes (``sockets.py``).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed

from tests.simulation.compiled import run_compiled
from tests.simulation.rules import DAYS, check_rules
from tests.simulation.sockets import check_sockets
from tests.simulation.workers import end_with_parent

_TOLD_EVERY = 10.0
#: A seed of the sockets waits more than it computes.
_SOCKETS_AT_ONCE = 3


def main(arguments: Sequence[str]) -> int:
    """0 where every seed held, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="so many of the rules")
    parser.add_argument("--socket-seeds", type=int, help="so many; one for each 50 of the rules")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this seed alone")
    parser.add_argument("--rules", action="store_true", help="the rules alone")
    parser.add_argument("--sockets", action="store_true", help="the sockets alone")
    parser.add_argument("--days", type=float, default=DAYS, help="the length of a run of the rules")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--interpreted", action="store_true", help="do not compile the rules")
    given = parser.parse_args(arguments)
    if not given.interpreted:
        run_compiled(list(arguments))
    months = days = range(given.seed or 0, (given.seed or 0) + 1)
    if given.seed is None:
        count = given.socket_seeds
        months = range(given.first, given.first + given.seeds)
        days = range(
            given.first, given.first + (max(1, given.seeds // 50) if count is None else count)
        )
    return _run(
        months if given.rules or not given.sockets else range(0),
        days if given.sockets or not given.rules else range(0),
        given.days,
        given.jobs,
    )


def _run(months: range, days: range, length: float, jobs: int) -> int:
    begun, told_at, rows, failed = time.monotonic(), 0.0, 0, 0
    fresh = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    with (
        ProcessPoolExecutor(jobs, fresh, end_with_parent) as computing,
        ProcessPoolExecutor(jobs * _SOCKETS_AT_ONCE, fresh, end_with_parent) as waiting,
    ):
        futures: dict[Future[tuple[int, str]], str] = {}
        for seed in days:
            futures[waiting.submit(check_sockets, seed)] = f"--seed {seed} --sockets"
        for seed in months:
            given = f"--seed {seed} --rules" + ("" if length == DAYS else f" --days {length:g}")
            futures[computing.submit(check_rules, seed, length)] = given
        for done, future in enumerate(as_completed(futures), 1):
            try:
                wrote, report = future.result()
            except Exception:  # noqa: BLE001 - whatever it is, the seed must be told
                wrote, report = 0, traceback.format_exc()
            rows += wrote
            if report:
                failed += 1
                print(
                    f"{report}\nrepeat it: python -m tests.simulation {futures[future]}\n",
                    flush=True,
                )
            took = time.monotonic() - begun
            if took - told_at >= _TOLD_EVERY or done == len(futures):
                told_at = took
                progress = f"{done} of {len(futures)} runs, {rows} candles, {failed} failed"
                print(f"{progress}, {took:.0f} s", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
