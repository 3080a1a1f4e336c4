"""What the dashboard costs: CPU, memory, and pauses of the recorder's event loop, beside plain lines.

Run it with `make bench-dashboard`; it takes two minutes and a half. Recorders of 1 s candles, on pseudo
terminals that are read as fast as they write, with the exchange in a process of its own. CPU and memory
are those of three recorders beside one another. Pauses are measured one after another, by a coroutine in
the recorder's own loop that sleeps 1 ms and looks how late it is; `ours`: at most for as long as this
process, with all its threads, was computing meanwhile (the rest is the machine's). Each for 20 s, once
all is warm.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

from tests.benchmarks.status import KLINE_OPS, resident_mb, running
from tests.benchmarks.table import print_table
from tests.support.trial import write_config

SECONDS = 20
WARM = 5
PORT = 29445
#: What is on the terminal: its columns and rows, and the options of `run`.
PANES: dict[str, tuple[int, int, list[str]]] = {
    "plain lines": (120, 40, ["--plain"]),
    "dashboard, 80x24": (80, 24, []),
    "dashboard, 120x40": (120, 40, []),
}
#: Runs a recorder; with a path in the environment, with the probe.
RECORDER = f"""
import asyncio, fcntl, json, os, sys, termios, time
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from kline_ops.cli import foreground, main
record, target = foreground.record, os.environ.get("BENCH_PROBE")
switch = os.environ.get("BENCH_SWITCH")
if switch:
    sys.setswitchinterval = lambda _: None

async def probe(late):
    await asyncio.sleep({WARM})
    end = time.perf_counter() + {SECONDS}
    while (began := time.perf_counter()) < end:
        cpu = time.process_time()
        await asyncio.sleep(0.001)
        late.append((time.perf_counter() - began - 0.001, time.process_time() - cpu))
    with open(target, "w") as file:
        json.dump(late, file)

async def probed(*args, **options):
    task = asyncio.ensure_future(probe([]))
    await record(*args, **options)
    task.cancel()

if target:
    foreground.record = probed
main()
"""


class Pane:
    """A recorder on a terminal of its own, which somebody reads."""

    def __init__(self, name: str, folder: Path, **environ: str) -> None:
        columns, rows, options = PANES[name]
        folder.mkdir()
        self._controller, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        config = write_config(
            folder, f"ws://127.0.0.1:{PORT}/ws", f"http://127.0.0.1:{PORT}",
            binance__reconnect={"modulo": "10s"},
        )  # fmt: skip
        self._child = subprocess.Popen(
            [sys.executable, "-c", RECORDER, "run", "bench", "--config", str(config), *options],
            stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, start_new_session=True,
            env=os.environ | {
                "XDG_STATE_HOME": str(folder), "TERM": "tmux-256color", "LC_ALL": "C.UTF-8",
                "NO_COLOR": "", **environ,
            },
        )  # fmt: skip
        os.close(theirs)
        self.written = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while data := os.read(self._controller, 65536):
                self.written += len(data)
        except OSError:
            return

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        return resident_mb(self._child.pid)

    def close(self) -> None:
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(5)
        finally:
            self._child.kill()
            self._child.wait()
            os.close(self._controller)


def costs(folder: Path) -> dict[str, list[str]]:
    """CPU in percent of a core, resident memory, bytes to the terminal a second: all at once."""
    panes = {name: Pane(name, folder / f"cost {at}") for at, name in enumerate(PANES)}
    try:
        time.sleep(WARM)
        before = {name: (pane.cpu_seconds(), pane.written) for name, pane in panes.items()}
        time.sleep(SECONDS)
        told: dict[str, list[str]] = {}
        for name, pane in panes.items():
            cpu, written = before[name]
            percent = (pane.cpu_seconds() - cpu) / SECONDS * 100
            rate = (pane.written - written) / SECONDS
            told[name] = [f"{percent:.2f}", f"{pane.resident_mb():.1f}", f"{rate:,.0f}"]
        return told
    finally:
        for pane in panes.values():
            pane.close()


def pauses(name: str, folder: Path, **environ: str) -> list[str]:
    """How late a coroutine is that sleeps 1 ms, in ms: median, 99.9 %, worst, worst of ours."""
    target = folder.with_suffix(".json")
    pane = Pane(name, folder, BENCH_PROBE=str(target), **environ)
    try:
        deadline = time.monotonic() + SECONDS + WARM + 20
        while not target.exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(0.2)
        looks: list[tuple[float, float]] = json.loads(target.read_text())
    finally:
        pane.close()
    late = sorted(seconds for seconds, _ in looks)
    ours = max(min(look) for look in looks)
    told = [late[len(late) // 2], late[int(len(late) * 0.999)], late[-1], ours]
    return [f"{seconds * 1000:.2f}" for seconds in told]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = os.environ | {"XDG_STATE_HOME": name}
        with running([*KLINE_OPS, "exchange", "--port", str(PORT)], environ):
            time.sleep(3)
            told = costs(folder)
            rows = [
                [pane, *told[pane], *pauses(pane, folder / f"pause {at}"), ""]
                for at, pane in enumerate(PANES)
            ]
            last = next(reversed(PANES))
            switch = pauses(last, folder / "switch", BENCH_SWITCH="1")
            rows.append([f"{last}, switching every 5 ms", "", "", "", *switch, ""])
    head = [
        "",
        "CPU, % of a core",
        "RSS, MB",
        "bytes/s",
        "late, median ms",
        "99.9 %",
        "worst",
        "ours",
        "",
    ]
    print_table(head, rows, markdown=False)


if __name__ == "__main__":
    main()
