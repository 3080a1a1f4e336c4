"""Fifty kills of a real recorder in a real tmux: each is told with its signal, no candle is lost."""

from __future__ import annotations

import json
import os
import signal
from itertools import cycle
from typing import Any

import pytest

from kline_ops.market.candle import from_row
from kline_ops.ops.supervise import RENEW
from tests.support.machine import Machine, kill, until

KILLS = 50
_SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGKILL)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_fifty_kills_in_a_row(machine: Machine) -> None:
    assert machine.run("start", "demo").returncode == 0
    keeper = json.loads((machine.folder / "state/kline-ops/sessions/demo.json").read_text())
    sent: list[tuple[int, str]] = []
    for number in cycle(_SIGNALS):
        pid = until(lambda: recorder(machine, [pid for pid, _ in sent]))
        kill(pid, number)
        sent.append((pid, number.name))
        until(lambda: len(endings(machine)) == len(sent))
        told = json.loads((machine.data("demo") / "exit.json").read_text())
        assert (told["signal"], told["code"], told["final"]) == (number.name, None, False)
        if len(sent) == KILLS:
            break
        # Many crashes are answered slowly; asked for, a fresh process comes at once.
        os.kill(keeper["keeper_pid"], RENEW)
    assert endings(machine) == sent
    crashes = [told for told in log(machine) if told["kind"] == "crash_loop"]
    assert len(crashes) == 1
    os.kill(keeper["keeper_pid"], RENEW)
    until(lambda: recorder(machine, [pid for pid, _ in sent]))
    # REST is asked `grace` (2 s) after a close.
    at_last_kill = machine.status("demo")["owed"]
    until(lambda: complete(machine.status("demo"), at_last_kill + 3), 60)
    assert machine.run("stop", "demo").returncode == 0
    lines = (machine.data("demo") / "candles_BTCUSDT_1s.csv").read_bytes().splitlines(keepends=True)
    times = [from_row(line).open_ms for line in lines[1:]]
    assert times == list(range(times[0], times[-1] + 1000, 1000))


def recorder(machine: Machine, known: list[int]) -> int | None:
    """The pid of the recorder, once a new one has the candle file."""
    pid = machine.state("demo").get("metadata", {}).get("pid")
    return pid if pid not in known else None


def complete(told: dict[str, Any], owed: int) -> bool:
    return bool(told["state"] == "RECORDING" and told["owed"] > owed and not told["missing"])


def log(machine: Machine) -> list[dict[str, object]]:
    lines = (machine.data("demo") / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def endings(machine: Machine) -> list[tuple[object, object]]:
    return [(e["pid"], e["signal"]) for e in log(machine) if e["kind"] == "process_ended"]
