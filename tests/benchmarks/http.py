"""What HTTP costs the recorder: candles, pauses of its loop, CPU and memory.

Run it with `make bench-http` (four minutes). A real recorder of 1 s candles, without backfill, so that
what is lost stays lost; the exchange in a process of its own; another process asks 200 times a second
over 20 kept connections, and 5 clients listen to events, two of which do not read. Beside it the same
recorder with nobody asking, and with HTTP off. Each pause of the loop is measured from inside, every
5 ms; and as the session tells it of itself, on /metrics. Where others use the machine, too, a pause is
not all ours: ``own`` counts of each no more than the processor time that the recorder used meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kline_ops.market.timestamp import to_ms
from tests.support.machine import Machine, until
from tests.support.trial import write_config
from tests.support.web import answer, ask, free_port, request

SECONDS, RATE, CONNECTIONS, LISTENERS, DEAF = 60, 200, 20, 5, 2
#: All that there are; what a page asks for once in ten seconds is asked for less.
PATHS = ("/healthz", "/ready", "/complete", "/metrics", "/api/status", "/api/candles?limit=500",
         "/api/sessions", "/", "/page/main.js", "/api/history?span=day")  # fmt: skip
_EVERY = 0.005
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    """What one recorder did."""

    what: str
    rows: int = 0
    lost: int = 0
    cpu: float = 0.0
    rss: float = 0.0
    peak: float = 0.0
    #: Median, 99th of a hundred, and worst, in seconds; and the 99th of what is its own doing.
    pauses: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    told: str = ""

    def show(self) -> None:
        p50, p99, worst, own = (1000 * seconds for seconds in self.pauses)
        print(
            f"{self.what:26}{self.rows:9}{self.lost:6}{self.cpu:8.1f}{self.rss:9.1f}{self.peak:9.1f}"
            f"{p50:9.2f}{p99:9.2f}{worst:9.2f}{own:9.2f}  {self.told}",
            flush=True,
        )


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with tempfile.TemporaryDirectory(prefix="ko-") as name, contextlib.ExitStack() as stack:
        machine = Machine(Path(name), f"bench-{os.getpid()}")
        stack.callback(machine.close)
        port = free_port()
        exchange = machine.begin("exchange", "--port", str(port))
        stack.callback(exchange.send_signal, signal.SIGTERM)
        until(lambda: answers(port, "/api/v3/ping"))
        print(f"{'':26}{'candles':>9}{'lost':>6}{'CPU %':>8}{'RSS MB':>9}{'peak':>9}"
              f"{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'own p99':>9}")  # fmt: skip
        for what in ("HTTP off", "HTTP on, nobody asks", f"{RATE} requests/s, {LISTENERS} listen"):
            one(machine, port, what, seconds).show()


def one(machine: Machine, exchange: int, what: str, seconds: int) -> Run:
    """One recorder, from its begin to its end."""
    name = re.sub(r"\W+", "-", what.lower())
    folder = machine.folder / name
    folder.mkdir()
    port = None if what == "HTTP off" else free_port()
    config = write_config(
        folder, f"ws://127.0.0.1:{exchange}/ws", f"http://127.0.0.1:{exchange}",
        record__backfill=False, http__port=port,
    )  # fmt: skip
    pauses = folder / "pauses.json"
    recorder = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.http", "recorder", str(pauses), "run", name,
         "--config", str(config), "--plain"],
        env=machine.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    csv = folder / "data" / "candles_BTCUSDT_1s.csv"
    run = Run(what)
    try:
        until(lambda: csv.exists() and len(csv.read_text().splitlines()) > 4, 30)
        began, used = time.monotonic(), cpu(recorder.pid)
        if "requests" in what:
            asked = subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.http", "clients", str(port), str(seconds)],
                stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
            run.told = asked.stdout.strip()
        else:
            time.sleep(seconds)
        run.cpu = 100 * (cpu(recorder.pid) - used) / (time.monotonic() - began)
        run.rss, run.peak = memory(recorder.pid, "VmRSS"), memory(recorder.pid, "VmHWM")
    finally:
        recorder.send_signal(signal.SIGTERM)
        recorder.communicate(timeout=20)
    run.pauses = tuple(json.loads(pauses.read_text()))
    times = [to_ms(row.split(",")[0]) for row in csv.read_text().splitlines()[1:]]
    run.rows = len(times)
    run.lost = (times[-1] - times[0]) // 1000 + 1 - len(times)
    return run


def cpu(pid: int) -> float:
    """Seconds that it has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(pid: int, what: str) -> float:
    """Megabytes."""
    found = re.search(rf"{what}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def answers(port: int, path: str) -> bool:
    try:
        return asyncio.run(ask(port, path)).code == 200
    except OSError:
        return False


# -- the recorder's process -------------------------------------------------------------------------


def recorder(pauses: Path, *arguments: str) -> None:
    """The real one, with a look at its loop every 5 ms."""
    from kline_ops.cli import main as command
    from kline_ops.service import Session

    record = Session.run

    async def measured(self: Session) -> None:
        found: list[tuple[float, float]] = []
        looking = asyncio.create_task(look(found))
        try:
            await record(self)
        finally:
            looking.cancel()
            late, own = zip(*found, strict=True)
            cuts = statistics.quantiles(late, n=100)
            of_ours = statistics.quantiles(own, n=100)[98]
            pauses.write_text(json.dumps([cuts[49], cuts[98], max(late), of_ours]))

    Session.run = measured  # type: ignore[method-assign]
    sys.argv[1:] = arguments
    command()


async def look(found: list[tuple[float, float]]) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(3)  # what is imported at the start
    while True:
        due, used = loop.time() + _EVERY, time.process_time()
        await asyncio.sleep(_EVERY)
        late = loop.time() - due
        found.append((late, min(late, time.process_time() - used)))


# -- the clients' process ---------------------------------------------------------------------------


async def clients(port: int, seconds: int) -> None:
    """Ask and listen; print how it went."""
    took: list[float] = []
    codes: dict[int, int] = {}
    heard: list[int] = []
    listening = [asyncio.create_task(listen(port, heard)) for _ in range(LISTENERS - DEAF)]
    deaf = []
    for _ in range(DEAF):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.pause_reading()
        writer.write(request("/api/events"))
        deaf.append(writer)
    paths = itertools.cycle(PATHS)
    asking = []
    for _ in range(CONNECTIONS):  # evenly, as far as they keep so
        asking.append(asyncio.create_task(keep_asking(port, paths, seconds, took, codes)))
        await asyncio.sleep(1 / RATE)
    await asyncio.gather(*asking)
    for task in listening:
        task.cancel()
    for writer in deaf:
        writer.close()
    metrics = (await ask(port, "/metrics")).body.decode()
    cuts = statistics.quantiles(took, n=100)
    bad = {code: times for code, times in codes.items() if code != 200}
    print(
        f"{len(took) / seconds:.0f} answers/s{f', {bad}' if bad else ''}; p50 {cuts[49] * 1000:.1f} ms,"
        f" p99 {cuts[98] * 1000:.1f} ms; {sum(heard)} events heard; loop lag on /metrics p99 <="
        f" {told_lag(metrics)}"
    )


async def keep_asking(
    port: int, paths: Any, seconds: int, took: list[float], codes: dict[int, int]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    loop = asyncio.get_running_loop()
    pause = CONNECTIONS / RATE
    for _ in range(int(seconds / pause)):
        began = loop.time()
        writer.write(request(next(paths)))
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(answer(head).headers["content-length"])
        await reader.readexactly(size)
        took.append(loop.time() - began)
        code = int(head.split()[1])
        codes[code] = codes.get(code, 0) + 1
        await asyncio.sleep(max(0.0, pause - (loop.time() - began)))
    writer.close()


async def listen(port: int, heard: list[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(request("/api/events"))
    while line := await reader.readline():
        if line.startswith(b"event: "):
            heard.append(1)


def told_lag(metrics: str) -> str:
    """The bucket of the histogram that has the 99th of a hundred."""
    found = re.findall(
        r'event_loop_lag_seconds_bucket\{[^}]*le="([^"]+)"[^}]*\} ([0-9.e+]+)', metrics
    )
    most = float(found[-1][1]) if found else 0.0
    return next((f"{float(le) * 1000:g} ms" for le, n in found if float(n) >= 0.99 * most), "?")


if __name__ == "__main__":
    if sys.argv[1:2] == ["recorder"]:
        recorder(Path(sys.argv[2]), *sys.argv[3:])
    elif sys.argv[1:2] == ["clients"]:
        asyncio.run(clients(int(sys.argv[2]), int(sys.argv[3])))
    else:
        main()
