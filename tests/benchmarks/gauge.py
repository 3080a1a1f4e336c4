"""What a process holds: samples on the way, and what grew."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Sample(NamedTuple):
    rss_mb: float
    descriptors: int
    tasks: int
    threads: int


def sample() -> Sample:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Sample(
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        len(list(Path("/proc/self/fd").iterdir())),
        len(asyncio.all_tasks()),
        threading.active_count(),
    )


@dataclass
class Gauge:
    """Prints samples: at the start, at 5 % of the way, then at each tenth; and what grew since 10 %.

    At 10 % all is warm: a recorder remembers the last 256 candles, to compare doubles with.
    """

    whole: float
    unit: str
    samples: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._next = [0.0, 0.05, *(tenth / 10 for tenth in range(1, 11))]
        print(f"{self.unit:>16}{'RSS MB':>9}{'descriptors':>13}{'tasks':>7}{'threads':>9}")

    def at(self, done: float) -> None:
        """Take a sample if it is time for one."""
        if not self._next or done < self._next[0] * self.whole:
            return
        self._next = [part for part in self._next if done < part * self.whole]
        self.samples.append(sample())
        self._print(f"{done:,.0f}", self.samples[-1])

    def grew(self) -> None:
        first, last = self.samples[2], self.samples[-1]
        self._print("growth", Sample(*(b - a for a, b in zip(first, last, strict=True))))
        print()

    def _print(self, label: str, told: Sample) -> None:
        print(
            f"{label:>16}{told.rss_mb:9.1f}{told.descriptors:13}{told.tasks:7}{told.threads:9}",
            flush=True,
        )
