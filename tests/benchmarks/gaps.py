"""Gap search over 8,760, 525,600 and 5,256,000 rows, as a whole process, beside what else there is.

Run it with `make bench-gaps`. The best of some runs, interleaved, so that a busy machine hits all alike.
`wc -l` shows what reading costs; `readers.py` has the others, written as their users would.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kline_ops.market.timestamp import to_text
from tests.benchmarks.table import print_table

_BEGIN_MS = 1_420_070_400_000
#: Rows, milliseconds between them, and how often each is run.
_FILES = ((8_760, 3_600_000, 7), (525_600, 60_000, 5), (5_256_000, 60_000, 5))
_READERS = Path(__file__).with_name("readers.py")
_PYTHON = sys.executable


class Taken(NamedTuple):
    """Of one run."""

    seconds: float
    resident_mb: float


def rows(count: int, step_ms: int) -> Iterator[str]:
    """A random walk with two decimals, and volumes with eight, as the exchange's: 67 bytes a row."""
    draw, price = random.Random(1), 30_000.0
    for number in range(count):
        close = max(100.0, price + draw.gauss(0, 20))
        high, low = max(price, close) + draw.random() * 9, min(price, close) - draw.random() * 9
        numbers = f"{price:.2f},{high:.2f},{low:.2f},{close:.2f},{draw.expovariate(0.03):.8f}"
        yield f"{to_text(_BEGIN_MS + number * step_ms)},{numbers}\n"
        price = close


def commands(path: Path) -> dict[str, list[str]]:
    own = [_PYTHON, "-m", "kline_ops", "analyze-gaps", str(path)]
    found = {
        "cat": ["cat", str(path)],
        "wc -l": ["wc", "-l", str(path)],
        "kline-ops analyze-gaps": own,
        "… --no-values": [*own, "--no-values"],
        "… --values": [*own, "--values"],
    }
    for library in ("polars", "pandas"):
        if importlib.util.find_spec(library):
            found[library] = [_PYTHON, str(_READERS), library, str(path)]
        else:
            print(f"{library} is not installed: left out", file=sys.stderr)
    found["csv.DictReader, as in the recorder example of kstlib"] = [
        _PYTHON, str(_READERS), "dictreader", str(path),
    ]  # fmt: skip
    return found


def run(command: list[str]) -> Taken:
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {child.returncode}")
    return Taken(time.perf_counter() - began, usage.ru_maxrss / 1024)


def measure(path: Path, count: int, runs: int) -> dict[str, Taken]:
    taken: dict[str, list[Taken]] = {}
    for at in range(runs):
        for name, command in commands(path).items():
            if at == 0 or count < 1_000_000 or not name.startswith("csv."):  # that takes its time
                taken.setdefault(name, []).append(run(command))
    return {name: min(found) for name, found in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gaps", description=__doc__)
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args()
    help_seconds = min(run([_PYTHON, "-m", "kline_ops", "--help"]).seconds for _ in range(7))
    print(f"kline-ops --help: {help_seconds * 1000:.0f} ms\n")
    with tempfile.TemporaryDirectory() as folder:
        for count, step_ms, runs in _FILES:
            path = Path(folder) / "candles_BTCUSDT_1m.csv"
            if step_ms == 3_600_000:
                path = path.with_name("candles_BTCUSDT_1h.csv")
            with path.open("w") as file:
                file.write("timestamp,open,high,low,close,volume\n")
                file.writelines(rows(count, step_ms))
            tell(measure(path, count, runs), count, path.stat().st_size, markdown=given.markdown)
            path.unlink()


def tell(taken: dict[str, Taken], count: int, size: int, *, markdown: bool) -> None:
    ours = taken["kline-ops analyze-gaps"].seconds
    head = (f"{count:,} rows, {size / 1e6:,.1f} MB", "ms", "resident MB", "times ours")
    lines = [
        (
            name,
            f"{one.seconds * 1000:,.0f}",
            f"{one.resident_mb:,.0f}",
            f"{one.seconds / ours:.2f}",
        )
        for name, one in taken.items()
    ]
    print_table(head, lines, markdown=markdown)


if __name__ == "__main__":
    main()
