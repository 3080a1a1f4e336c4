"""The history that the page shows, of a month of seconds and a long event log: how long a look takes.

``python history.py [DAYS]``: makes the files in a temporary folder, then looks twice at a day and at a
month, in a thread as a session does, and tells how late an event loop beside it was.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from kline_ops.market import interval as intervals
from kline_ops.market.candle import HEADER
from kline_ops.market.interval import DAY_MS
from kline_ops.market.timestamp import to_text
from kline_ops.session.history import History, Recorded
from kline_ops.watch.memory import resident_megabytes
from kline_ops.worker import Worker

NOW_MS = 1_790_000_000_000
#: Events of a day: much trouble.
EVENTS = 10_000
TURN = 0.005


def make(folder: Path, days: int) -> Recorded:
    """The files of a session."""
    csv, log = folder / "candles_BTCUSDT_1s.csv", folder / "events.jsonl"
    start = NOW_MS - days * DAY_MS
    with csv.open("w") as file:
        file.write(f"{HEADER}\n")
        for ms in range(start, NOW_MS, 1000):
            if ms // 1000 % 5000:
                price = 60_000 + ms // 1000 % 997 / 10
                file.write(
                    f"{to_text(ms)},{price:.8f},{price + 1:.8f},{price:.8f},{price:.8f},1.25\n"
                )
    with log.open("w") as file:
        for number in range(days * EVENTS):
            ms = start + number * DAY_MS // EVENTS
            first = to_text(ms - ms % 1000 - 2000)
            kind = ("hole_found", "hole_filled", "disconnected", "live")[number % 4]
            told = {"first": first, "last": first, "candles": 1, "source": "rest"}
            line = {
                "connection": (number + 1) // 4,
                "endpoint": "wss://x",
                "code": 1006,
                "reason": "",
                "seconds": 1,
            }
            fields = told if number % 4 < 2 else line
            event = {"ts": to_text(ms), "kind": kind, **fields}
            file.write(json.dumps(event, separators=(",", ":")) + "\n")
    return Recorded("bench", "BTCUSDT", intervals.parse("1s"), str(csv), str(log))


async def measure(recorded: Recorded) -> None:
    """Look, and tell."""
    loop, worker, history = asyncio.get_running_loop(), Worker("look"), History(recorded)
    late: list[float] = []

    async def turn() -> None:
        while True:
            due = loop.time() + TURN
            await asyncio.sleep(TURN)
            late.append((loop.time() - due) * 1000)

    turning = asyncio.create_task(turn())
    await asyncio.sleep(1.0)
    tell("idle", 1.0, late)
    for name, span, now_ms in (
        ("day", "day", NOW_MS), ("day, again", "day", NOW_MS + 10_000),
        ("month", "month", NOW_MS), ("month, again", "month", NOW_MS + 10_000),
    ):  # fmt: skip
        late.clear()
        began = time.perf_counter()
        await loop.run_in_executor(worker, history.answer, span, now_ms)
        took = time.perf_counter() - began
        await asyncio.sleep(4 * TURN)
        tell(name, took, late)
    turning.cancel()
    worker.shutdown()


def tell(name: str, seconds: float, late: list[float]) -> None:
    """A line."""
    ordered = sorted(late) or [0.0]
    p99 = ordered[int(len(ordered) * 0.99)]
    print(
        f"{name:14} {seconds * 1000:8.1f} ms; the loop was late by {p99:.1f} ms (p99),"
        f" {ordered[-1]:.1f} ms at most; {resident_megabytes():.0f} MB"
    )


def main() -> None:
    """As the command line says."""
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(measure(make(Path(name), int((*sys.argv[1:], "31")[0]))))


if __name__ == "__main__":
    main()
