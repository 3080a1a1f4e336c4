"""How long `kline-ops status NAME` takes, as a whole process, and how much a recorder keeps resident.

Run it with `make bench-status`. Times are medians of 20 runs, interleaved, so that a busy machine
hits all alike. Memory is measured after a REST backfill, over TLS, with the exchange in a process
of its own.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kline_ops.clock import SystemClock
from kline_ops.market.timestamp import to_text
from tests.support.trial import write_config

RUNS = 20
PYTHON = sys.executable
KLINE_OPS = [PYTHON, "-m", "kline_ops"]


def seconds(command: list[str], environ: Mapping[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=dict(environ), stdout=subprocess.DEVNULL, check=False)
    return time.perf_counter() - began


def times(environ: Mapping[str, str]) -> None:
    commands = {
        "python -c pass": [PYTHON, "-c", "pass"],
        "python -c 'import typer'": [PYTHON, "-c", "import typer"],
        "kline-ops status NAME": [*KLINE_OPS, "status", "bench"],
        "kline-ops status NAME --json": [*KLINE_OPS, "status", "bench", "--json"],
        "kline-ops list": [*KLINE_OPS, "list"],
        "kline-ops --help": [*KLINE_OPS, "--help"],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(RUNS):
        for name, command in commands.items():
            taken[name].append(seconds(command, environ))
    least = statistics.median(taken["python -c pass"])
    print(f"{f'whole process, median of {RUNS}':32}{'ms':>8}{'ratio':>8}")
    for name, all_of_it in taken.items():
        median = statistics.median(all_of_it)
        print(f"{name:32}{median * 1000:8.1f}{median / least:8.1f}")


@contextmanager
def running(command: list[str], environ: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        command, env=dict(environ), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=10)


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environ |= {"XDG_STATE_HOME": name, "SSL_CERT_FILE": f"{name}/ca.pem"}
        port = "29443"
        exchange = [*KLINE_OPS, "exchange", "--port", port, "--tls", "--tls-dir", name]
        with running(exchange, environ):
            time.sleep(3)
            (authority,) = folder.glob("*.pem")
            environ["SSL_CERT_FILE"] = str(authority)
            host = f"127.0.0.1:{port}"
            since = to_text(SystemClock().wall_ms() // 1000 * 1000 - 3_600_000)
            config = write_config(
                folder, f"wss://{host}/ws", f"https://{host}", record__since=since,
                binance__reconnect={"modulo": "10s"},
            )  # fmt: skip
            recorder = [*KLINE_OPS, "run", "bench", "--config", str(config)]
            with running(recorder, environ) as child:
                time.sleep(20)
                times(environ)
                told = subprocess.run(
                    [*KLINE_OPS, "status", "bench", "--json"],
                    env=environ, capture_output=True, check=True,
                )  # fmt: skip
                record = json.loads(told.stdout)
                print(
                    f"\nrecorder over TLS, {record['on_disk']:,} candles on disk (3,600 by REST),"
                )
                print(f"{record['restarts_planned']} planned restarts: ", end="")
                print(f"{resident_mb(child.pid):.1f} MB resident")


if __name__ == "__main__":
    main()
