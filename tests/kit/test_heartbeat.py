"""A heartbeat: its file, its target, and what can go wrong with either."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kline_ops import Heartbeat, HeartbeatTarget
from kline_ops.kit import heartbeat as module
from kline_ops.market.timestamp import to_ms, to_text
from tests.support.machine import ROOT, until

FIELDS = [
    "timestamp", "heartbeat_sessions", "websocket_reconnects", "candles_received",
    "last_candle_time", "status", "error", "metadata",
]  # fmt: skip


class Target:
    """Dead when it is told to be; a replacement begins it anew."""

    def __init__(self) -> None:
        self.is_dead = False
        self.begun = 0
        self.under_way = self.most = 0

    def _begin(self) -> None:
        self.begun += 1
        self.is_dead = False

    def restart(self, seconds: float = 0.0) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        time.sleep(seconds)
        self.under_way -= 1
        self._begin()

    async def arestart(self, seconds: float = 0.0) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(seconds)
        self.under_way -= 1
        self._begin()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "heartbeat.json"


def read(file: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(file.read_text())
    return told


async def auntil(holds: Callable[[], Any], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.005)


def run_with(form: str, heartbeat: Heartbeat, holds: Callable[[], Any]) -> None:
    """Let it beat in this form until something holds."""
    if form == "thread":
        with heartbeat:
            until(holds, 10.0)
        return

    async def main() -> None:
        async with heartbeat:
            await auntil(holds)

    asyncio.run(main())


FORMS = pytest.mark.parametrize("form", ["thread", "asyncio"])


@FORMS
def test_the_first_beat_comes_at_once_and_the_last_word_is_stopped(file: Path, form: str) -> None:
    began = time.monotonic()
    heartbeat = Heartbeat(file, interval=60.0, metadata={"venue": "x"})
    alive = []

    def is_alive() -> bool:
        alive.append(Heartbeat.is_alive(file, 30.0))
        return alive[-1]

    run_with(form, heartbeat, is_alive)
    assert time.monotonic() - began < 5.0
    state = read(file)
    assert list(state) == FIELDS
    assert (state["status"], state["error"], state["heartbeat_sessions"]) == ("stopped", None, 1)
    assert state["metadata"]["pid"] == os.getpid()
    assert state["metadata"]["venue"] == "x"
    assert not Heartbeat.is_alive(file, 30.0)
    # Nothing is left beside it.
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@FORMS
def test_it_beats_and_asks_what_to_tell_at_each_beat(file: Path, form: str) -> None:
    beats: list[int] = []
    heartbeat = Heartbeat(
        file,
        interval=0.02,
        on_beat=lambda: beats.append(1),
        metadata=lambda: {"candles_received": len(beats), "status": "recording", "more": 1},
    )
    run_with(form, heartbeat, lambda: len(beats) >= 5)
    state = read(file)
    assert state["candles_received"] >= 4
    assert "candles_received" not in state["metadata"]
    assert state["metadata"]["more"] == 1


@FORMS
def test_programs_that_follow_one_another_are_counted(file: Path, form: str) -> None:
    for number in (1, 2, 3):
        heartbeat = Heartbeat(file, interval=60.0)
        run_with(form, heartbeat, lambda: heartbeat.sessions)  # noqa: B023
        assert read(file)["heartbeat_sessions"] == number
    file.write_text('{"heartbeat_sessions": "many"')
    heartbeat = Heartbeat(file, interval=60.0)
    run_with(form, heartbeat, lambda: heartbeat.sessions)
    assert read(file)["heartbeat_sessions"] == 1


@FORMS
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_dead_target_is_told_of_and_replaced_beside_the_beats(
    file: Path, form: str, kind: str
) -> None:
    target, told, beats = Target(), [], []
    slow = 0.0 if (form, kind) == ("asyncio", "plain") else 0.3

    def restart() -> Any:
        return target.restart(slow) if kind == "plain" else target.arestart(slow)

    def on_beat() -> None:
        beats.append((time.monotonic(), target.under_way))
        if len(beats) == 3:
            target.is_dead = True

    heartbeat = Heartbeat(
        file,
        interval=0.02,
        target=target,
        on_target_dead=restart,
        on_alert=lambda *told_: told.append(told_),
        on_beat=on_beat,
    )
    run_with(form, heartbeat, lambda: target.begun and beats[-1][0] > beats[2][0] + 0.5)
    assert target.begun == 1
    assert target.most == 1
    ((channel, text, context),) = told
    assert channel == "heartbeat"
    assert text == "Target is dead; replacing it"
    assert context["target"] == "Target"
    assert read(file)["heartbeat_sessions"] == 2
    if slow:
        assert sum(under_way for _, under_way in beats) >= 5


@FORMS
def test_what_stays_dead_is_tried_again_one_at_a_time_and_told_once(file: Path, form: str) -> None:
    target, tries, told = Target(), [], []
    target.is_dead = True

    def fail() -> None:
        tries.append(1)
        if len(tries) < 4:
            raise OSError("no")
        target.is_dead = False

    heartbeat = Heartbeat(
        file, interval=0.02, target=target, on_target_dead=fail,
        on_alert=lambda *told_: told.append(told_),
    )  # fmt: skip
    run_with(form, heartbeat, lambda: len(tries) == 4 and heartbeat.sessions == 2)
    assert len(told) == 1


@FORMS
def test_an_alert_that_hangs_holds_up_no_replacement(file: Path, form: str) -> None:
    target = Target()
    target.is_dead = True
    hung = threading.Event()

    def hang(*_: Any) -> Any:
        return hung.wait(10) if form == "thread" else asyncio.sleep(60)

    heartbeat = Heartbeat(
        file, interval=60.0, target=target, on_target_dead=target.restart, on_alert=hang
    )
    run_with(form, heartbeat, lambda: target.begun)
    hung.set()


@FORMS
def test_callbacks_that_raise_harm_nothing_and_are_told_once(
    file: Path, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    beats = []

    def break_() -> None:
        beats.append(1)
        raise RuntimeError("mine")

    class Broken:
        @property
        def is_dead(self) -> bool:
            raise RuntimeError("target")

    heartbeat = Heartbeat(
        file, interval=0.01, on_beat=break_, target=Broken(), metadata=lambda: {"n": 1 // 0}
    )
    with caplog.at_level(logging.ERROR):
        run_with(form, heartbeat, lambda: len(beats) >= 5)
    assert read(file)["status"] == "stopped"
    assert [caplog.text.count(word) for word in ("its on_beat", "its target", "its metadata")] == [
        1, 1, 1
    ]  # fmt: skip


@FORMS
def test_a_disk_that_takes_nothing_is_told_and_the_beats_go_on(tmp_path: Path, form: str) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    missed: list[Exception] = []
    beats: list[int] = []
    heartbeat = Heartbeat(
        tmp_path / "state" / "x.json",
        interval=0.02,
        on_beat=lambda: beats.append(1),
        on_missed_beat=missed.append,
    )
    run_with(form, heartbeat, lambda: len(missed) >= 3 and len(beats) >= 3)
    assert all(isinstance(error, OSError) for error in missed)


@FORMS
def test_a_disk_that_hangs_holds_up_nothing(
    file: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    well, wrote = threading.Event(), module.write_json

    def hang(path: Path, value: dict[str, Any]) -> None:
        well.wait(30)
        wrote(path, value)

    monkeypatch.setattr(module, "write_json", hang)
    missed: list[Exception] = []
    beats: list[float] = []
    heartbeat = Heartbeat(
        file,
        interval=0.02,
        on_beat=lambda: beats.append(time.monotonic()),
        on_missed_beat=missed.append,
    )
    run_with(form, heartbeat, lambda: len(beats) >= 10 and len(missed) >= 3)
    assert max(b - a for a, b in itertools.pairwise(beats)) < 1.0
    assert isinstance(missed[0], TimeoutError)
    well.set()
    until(lambda: file.exists() and read(file)["status"] == "stopped")


def test_the_loop_that_hangs_is_seen_from_outside(file: Path) -> None:
    """Beats of a task come from the loop: a thread would tell of a life that is none."""

    async def main() -> str:
        async with Heartbeat(file, interval=0.02):
            await auntil(file.exists)
            time.sleep(0.3)
            before = read(file)["timestamp"]
            time.sleep(0.3)
            assert read(file)["timestamp"] == before
            await auntil(lambda: read(file)["timestamp"] != before)
            return before

    asyncio.run(main())


def test_one_that_is_stopped_at_once_has_beaten(file: Path) -> None:
    async def main() -> None:
        heartbeat = Heartbeat(file, interval=60.0)
        await heartbeat.astart()
        await heartbeat.astop()
        assert (read(file)["status"], read(file)["heartbeat_sessions"]) == ("stopped", 1)
        await heartbeat.astop()

    asyncio.run(main())
    heartbeat = Heartbeat(file, interval=60.0)
    heartbeat.start()
    heartbeat.stop()
    assert (read(file)["status"], read(file)["heartbeat_sessions"]) == ("stopped", 2)


def test_beat_brings_the_next_one_forward(file: Path) -> None:
    beats: list[int] = []
    heartbeat = Heartbeat(file, interval=60.0, on_beat=lambda: beats.append(1))
    with heartbeat:
        until(lambda: beats)
        heartbeat.beat()
        until(lambda: len(beats) == 2)

    async def main() -> None:
        async with heartbeat:
            await auntil(lambda: len(beats) == 3)
            await asyncio.to_thread(heartbeat.beat)
            await auntil(lambda: len(beats) == 4)

    asyncio.run(main())
    heartbeat.beat()  # it beats no more: nothing happens
    assert len(beats) == 4


def test_it_beats_once_only(file: Path) -> None:
    heartbeat = Heartbeat(file)
    with heartbeat, pytest.raises(RuntimeError, match="beats already"):
        heartbeat.start()

    async def main() -> None:
        async with heartbeat:
            with pytest.raises(RuntimeError, match="beats already"):
                await heartbeat.run()

    asyncio.run(main())
    heartbeat.stop()


def test_an_async_on_beat_that_takes_long_is_called_one_at_a_time(file: Path) -> None:
    begun = []

    async def slow() -> None:
        begun.append(1)
        await asyncio.sleep(60)

    async def main() -> None:
        async with Heartbeat(file, interval=0.01, on_beat=slow):
            await auntil(file.exists)
            first = read(file)["timestamp"]
            await auntil(lambda: read(file)["timestamp"] != first)

    asyncio.run(main())
    assert len(begun) == 1


def test_a_task_of_ones_own_that_is_cancelled_says_its_last_word(file: Path) -> None:
    async def main() -> None:
        task = asyncio.create_task(Heartbeat(file, interval=60.0).run())
        await auntil(lambda: Heartbeat.is_alive(file))
        task.cancel()
        await asyncio.wait({task})

    asyncio.run(main())
    until(lambda: read(file)["status"] == "stopped")


def test_a_kill_leaves_a_whole_state_that_grows_old(file: Path) -> None:
    program = (
        "import sys, time\n"
        "from kline_ops import Heartbeat\n"
        "Heartbeat(sys.argv[1], interval=0.005).start()\n"
        "time.sleep(60)\n"
    )
    for number in (1, 2, 3):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(file)], env=os.environ | {"PYTHONPATH": str(ROOT)}
        ) as child:
            until(
                lambda: (
                    (Heartbeat.read_state(file) or {}).get("metadata", {}).get("pid") == child.pid
                )
            )
            child.kill()
        state = read(file)
        assert state["heartbeat_sessions"] == number
        assert state["status"] == "running"
        written = to_ms(state["timestamp"]) / 1000
        until(lambda: time.time() - written > 0.2)  # noqa: B023
        assert not Heartbeat.is_alive(file, 0.1)
        assert Heartbeat.is_alive(file, 60.0)


def test_states_of_others_are_read(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    assert Heartbeat.read_state(file) is None
    assert not Heartbeat.is_alive(file)
    # Without a host name and a pid, as some write it.
    now = int(time.time() * 1000)
    file.write_text(json.dumps({"timestamp": to_text(now), "metadata": {}}))
    assert Heartbeat.is_alive(str(file), max_age=30.0)
    file.write_text(json.dumps({"timestamp": to_text(now + 60_000)}))
    assert not Heartbeat.is_alive(file)
    file.write_text('{"timestamp": "2026-')
    assert Heartbeat.read_state(file) is None


def test_a_target_is_whatever_says_whether_it_is_dead() -> None:
    assert isinstance(Target(), HeartbeatTarget)
    assert not isinstance(object(), HeartbeatTarget)


@pytest.mark.parametrize("interval", [0.0, -1.0, float("inf"), float("nan")])
def test_an_interval_that_can_not_be_is_refused(interval: float) -> None:
    with pytest.raises(ValueError, match="no interval"):
        Heartbeat(interval=interval)


def test_a_replacement_that_is_cut_short_by_the_end_is_made_after_the_next_beginning(
    file: Path,
) -> None:
    target = Target()
    target.is_dead = True

    async def main() -> None:
        heartbeat = Heartbeat(
            file, interval=0.02, target=target, on_target_dead=lambda: target.arestart(60)
        )
        await heartbeat.astart()
        await heartbeat.astop()
        target.under_way = 0
        async with heartbeat:
            await auntil(lambda: target.under_way == 1)

    asyncio.run(main())


@FORMS
def test_a_state_that_can_not_be_made_ends_no_beat(
    file: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would be there any more to look at the target."""
    beats: list[int] = []
    name = module.socket.gethostname

    def fails_at_first() -> str:
        if len(beats) < 3:
            raise OSError("no more files")
        return name()

    monkeypatch.setattr(module.socket, "gethostname", fails_at_first)
    heartbeat = Heartbeat(file, interval=0.02, on_beat=lambda: beats.append(1))
    run_with(form, heartbeat, lambda: len(beats) >= 6)
    assert read(file)["status"] == "stopped"


def test_stop_ends_a_task_as_well_and_astop_a_thread(file: Path) -> None:
    """Whoever takes the wrong one must not go on to look alive."""

    def status() -> object:
        return (Heartbeat.read_state(file) or {}).get("status")

    async def main() -> None:
        heartbeat = Heartbeat(file, interval=60.0)
        await heartbeat.astart()
        heartbeat.stop()
        await auntil(lambda: status() == "stopped")
        heartbeat.start()
        await auntil(lambda: status() == "running")
        await heartbeat.astop()
        assert read(file)["status"] == "stopped"

    asyncio.run(main())
