"""The heartbeat of a session across its processes: a change without a gap, and a kill."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kline_ops import Heartbeat
from kline_ops.market.timestamp import to_ms
from tests.support.machine import Machine, kill, until

pytestmark = pytest.mark.long

CONFIG = """
exchange: {embedded: true}
binance: {stream: {symbol: btcusdt, timeframe: 1s}}
resilience: {heartbeat: {interval: 1.0}}
"""


@pytest.fixture
def demo(machine: Machine) -> Machine:
    path = machine.folder / "demo.yml"
    path.write_text(CONFIG)
    assert machine.run("start", "demo", "--config", str(path)).returncode == 0
    until(lambda: machine.state("demo").get("candles_received", 0) >= 3)
    return machine


class Listener:
    """Collects the states that stand in the file, one after another."""

    def __init__(self, file: Path) -> None:
        self.states: list[dict[str, Any]] = []
        self._file = file
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(0.01):
            state = Heartbeat.read_state(self._file)
            assert state is not None
            if not self.states or state["timestamp"] != self.states[-1]["timestamp"]:
                self.states.append(state)

    def close(self) -> list[dict[str, Any]]:
        self._ended.set()
        self._thread.join()
        return self.states


def test_no_beat_is_missed_while_a_fresh_process_takes_over(demo: Machine) -> None:
    listener = Listener(demo.data("demo") / "state" / "heartbeat.state.json")
    assert demo.run("restart", "demo").returncode == 0
    time.sleep(2.5)
    states = listener.close()
    times = [to_ms(state["timestamp"]) for state in states]
    gaps = [b - a for a, b in itertools.pairwise(times)]
    print(f"the longest time between two beats: {max(gaps)} ms")
    assert max(gaps) <= 2_000
    assert len({state["metadata"]["pid"] for state in states}) == 2
    assert "stopped" not in {state["status"] for state in states}
    assert [state["heartbeat_sessions"] for state in states][:: len(states) - 1] == [1, 2]
    counted = [state["candles_received"] for state in states]
    assert counted == sorted(counted)
    assert demo.status("demo")["missing"] == 0


def test_what_is_counted_goes_on_after_a_kill(demo: Machine) -> None:
    demo.run("restart", "demo")
    before = demo.state("demo")
    kill(before["metadata"]["pid"], signal.SIGKILL)
    until(lambda: demo.state("demo")["metadata"]["pid"] != before["metadata"]["pid"])
    after = demo.state("demo")
    assert after["heartbeat_sessions"] == before["heartbeat_sessions"] + 1 == 3
    assert after["candles_received"] >= before["candles_received"]
    demo.run("stop", "demo")
    assert not Heartbeat.is_alive(demo.data("demo") / "state" / "heartbeat.state.json")
    # Begun again by hand: it goes on, too.
    demo.run("start", "demo")
    assert demo.state("demo")["heartbeat_sessions"] == 4
