"""Does anything grow? Memory, descriptors, tasks and threads over what a recorder sees in months.

Run it with `make bench-soak`; it takes about ten minutes. Two parts in virtual time (over real sockets
and files), with the exchange in this process, which is kept from remembering:

* a session whose connection is replaced 10,000 times: four and a half years of restarts every 4 h,
* an hour of 1 s candles of 200 streams: one feed, a recorder and a file for each.

A third part, in real time and with the exchange in a process of its own, tells what 200 streams cost.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from kline_ops import events
from kline_ops.clock import Clock, SystemClock
from kline_ops.config.settings import load_settings
from kline_ops.events import Bus, Event
from kline_ops.exchange.server import ExchangeServer
from kline_ops.feed.connection import Options
from kline_ops.feed.feed import Feed, FeedOptions
from kline_ops.feed.plan import Timing
from kline_ops.market.interval import parse
from kline_ops.market.messages import Kline
from kline_ops.market.server_time import ServerTime
from kline_ops.market.stream import Stream
from kline_ops.market.timestamp import to_ms
from kline_ops.record.backfill import Backfill
from kline_ops.record.journal import Journal
from kline_ops.record.recorder import Recorder, RecordOptions
from kline_ops.resilience import Backoff
from kline_ops.service import Session
from kline_ops.session.parts import new_journal
from tests.benchmarks.gauge import Gauge
from tests.benchmarks.plain_market import PlainMarket
from tests.support.trial import write_config
from tests.support.virtual_time import VirtualClock, run_virtual

REPLACEMENTS = 10_000
STREAMS = 200
HOUR = 3600.0
#: Seconds of real time for each measurement of the third part.
REAL = 20.0


def forget(server: ExchangeServer) -> None:
    """The exchange remembers every connection; here it is not to."""
    server.attempts.clear()
    for at, record in enumerate(server.sessions[:-4]):
        server.sessions[at] = server.sessions[0] if record.closed_ms else record


async def replacements(clock: VirtualClock, folder: Path, count: int) -> None:
    """One session, its connection renewed every 3 s: more often the budget of attempts forbids."""
    print(f"{count:,} replacements of a connection, one stream, virtual time")
    replaced = 0

    def hear(event: Event) -> None:
        nonlocal replaced
        replaced += isinstance(event, events.Replaced)

    async with ExchangeServer(PlainMarket(1), clock) as server:
        path = write_config(
            folder, server.ws_url, server.rest_url, binance__reconnect={"modulo": "3s"},
            binance__stream={"symbol": "s000usdt", "timeframe": "1s"},
        )  # fmt: skip
        settings = load_settings("soak", path, {})
        session = Session(
            settings, new_journal(settings), clock=clock, draw=random.random,
            listeners=(hear,), budget_file=folder / "budget.json",
        )  # fmt: skip
        recording = asyncio.create_task(session.run())
        gauge, began = Gauge(count, "replacements"), time.perf_counter()
        while replaced < count and not recording.done():
            await asyncio.sleep(10)
            forget(server)
            gauge.at(replaced)
        ended_ms = clock.wall_ms()
        session.stop("end")
        await recording
        tell_lost([settings.csv], ended_ms)
        print(f"{time.perf_counter() - began:.0f} s of real time", flush=True)
        gauge.grew()


def tell_lost(files: list[Path], ended_ms: int) -> None:
    """Of the candles whose closing frame had left the exchange when the recorder was stopped."""
    end_ms, owed, kept = (ended_ms - 100) // 1000 * 1000, 0, 0
    for file in files:
        times = [line.partition(",")[0] for line in file.read_text().splitlines()[1:]]
        first_ms = to_ms(times[0])
        owed += (end_ms - first_ms) // 1000
        kept += sum(to_ms(text) < end_ms for text in set(times))
    print(f"{owed:,} candles owed, {owed - kept:,} lost")


def all_streams() -> list[Stream]:
    return [Stream(name, parse("1s")) for name in PlainMarket(STREAMS).symbols]


def new_feed(
    ws_url: str, clock: Clock, server_time: ServerTime, on_kline: Callable[[Kline], None]
) -> Feed:
    return Feed(
        all_streams(),
        FeedOptions((ws_url,), Options(), Backoff(0.5, 30.0, 20), Timing()),
        bus=Bus(), clock=clock, server_time=server_time, on_kline=on_kline, draw=random.random,
    )  # fmt: skip


class Collector:
    """A feed of many streams, and a recorder for each."""

    def __init__(self, addresses: tuple[str, str], folder: Path, clock: Clock) -> None:
        ws_url, rest_url = addresses
        self.frames = 0
        server_time = ServerTime(clock.wall_ms(), clock.monotonic())
        self.recorders: dict[str, Recorder] = {}
        self.files: list[Path] = []
        for stream in all_streams():
            self.files.append(folder / stream.file_name)
            journal = Journal(self.files[-1], stream.interval, owner="soak")
            journal.lock()
            self.recorders[stream.symbol] = Recorder(
                stream, journal, Backfill(rest_url, None), RecordOptions(),
                bus=Bus(), clock=clock, server_time=server_time,
            )  # fmt: skip
        self.feed = new_feed(ws_url, clock, server_time, self.deliver)

    def deliver(self, kline: Kline) -> None:
        self.frames += 1
        self.recorders[kline.symbol].deliver(kline)

    async def start(self) -> None:
        for recorder in self.recorders.values():
            await recorder.start()
        self.feed.start()

    async def close(self) -> None:
        await self.feed.close()
        await asyncio.gather(*(recorder.close() for recorder in self.recorders.values()))


async def many_streams(clock: VirtualClock, folder: Path, seconds: float) -> None:
    print(f"{seconds:,.0f} s of 1 s candles on {STREAMS} streams, virtual time")
    async with ExchangeServer(PlainMarket(STREAMS), clock) as server:
        collector = Collector((server.ws_url, server.rest_url), folder, clock)
        await collector.start()
        gauge, began = Gauge(seconds, "seconds"), time.perf_counter()
        start = clock.monotonic()
        while (now := clock.monotonic()) < start + seconds:
            gauge.at(now - start)
            await asyncio.sleep(min(10.0, start + seconds - now))
        gauge.at(seconds)
        ended_ms = clock.wall_ms()
        await collector.close()
        tell_lost(collector.files, ended_ms)
        print(f"{collector.frames:,} frames in {time.perf_counter() - began:.0f} s of real time")
        gauge.grew()


def exchange(end: Connection) -> None:
    """A process of its own, until it is ended."""

    async def serve() -> None:
        async with ExchangeServer(PlainMarket(STREAMS), SystemClock()) as server:
            end.send((server.ws_url, server.rest_url))
            await asyncio.Event().wait()

    asyncio.run(serve())


async def cost(addresses: tuple[str, str], folder: Path, seconds: float) -> None:
    """CPU time of this process, all threads and system calls included."""
    print(f"{STREAMS} streams of 1 s candles in real time, the exchange in a process of its own")
    clock, heard = SystemClock(), Counter[str]()
    server_time = ServerTime(clock.wall_ms(), clock.monotonic())
    feed = new_feed(addresses[0], clock, server_time, lambda _kline: heard.update(["frames"]))
    feed.start()
    await tell_cost("feed alone", lambda: heard["frames"], seconds)
    await feed.close()
    collector = Collector(addresses, folder, clock)
    await collector.start()
    await tell_cost("recorded, synced", lambda: collector.frames, seconds)
    await collector.close()


async def tell_cost(what: str, frames: Callable[[], int], seconds: float) -> None:
    await asyncio.sleep(5)
    cpu, before = time.process_time(), frames()
    await asyncio.sleep(seconds)
    cpu, taken = time.process_time() - cpu, frames() - before
    print(f"{what:>16}: {taken:,} frames, {cpu / taken * 1e6:.0f} µs of CPU each, ", end="")
    print(f"{cpu / seconds:.1%} of a core", flush=True)


def in_real_time(folder: Path, seconds: float) -> None:
    ours, theirs = multiprocessing.Pipe()
    # Not forked: the threads of the other parts have ended, but who knows what they held.
    child = multiprocessing.get_context("spawn").Process(target=exchange, args=(theirs,))
    child.start()
    try:
        asyncio.run(cost(ours.recv(), folder, seconds))
    finally:
        child.terminate()
        child.join()


def run_part(number: int, scale: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if number == 1:
            run_virtual(lambda clock: replacements(clock, folder, int(REPLACEMENTS * scale)))
        elif number == 2:
            run_virtual(lambda clock: many_streams(clock, folder, HOUR * scale))
        else:
            in_real_time(folder, max(REAL * scale, 5.0))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0, help="0.01: a hundredth of it all")
    parser.add_argument("--part", type=int, choices=(1, 2, 3), help="only this one")
    arguments = parser.parse_args()
    if arguments.part is not None:
        return run_part(arguments.part, arguments.scale)
    # The first two mostly wait for the disk: beside one another they take half of the time.
    command = [sys.executable, "-m", "tests.benchmarks.soak", "--scale", str(arguments.scale)]
    with subprocess.Popen([*command, "--part", "2"], stdout=subprocess.PIPE, text=True) as second:
        run_part(1, arguments.scale)
        print(second.communicate()[0])
    if second.returncode:
        sys.exit(second.returncode)
    return run_part(3, arguments.scale)


if __name__ == "__main__":
    main()
