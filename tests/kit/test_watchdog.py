"""The public watchdog: real files, real threads, real loops."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kline_ops.kit.watchdog import Watchdog, WatchdogTimeoutError
from kline_ops.watch.staleness import Pulse
from tests.support.machine import until


def beat(file: Path, ago: float = 0.0, **content: Any) -> None:
    at = datetime.now(UTC) - timedelta(seconds=ago)
    told = {"timestamp": at.isoformat(), "status": "running"} | content
    beside = file.with_suffix(".tmp")
    beside.write_text(json.dumps(told))
    beside.replace(file)


class Heard:
    """What was called, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.contexts: list[dict[str, Any]] = []
        self.threads: list[str] = []

    def timeout(self) -> None:
        self.calls.append("timeout")

    def alert(self, channel: str, message: str, context: Mapping[str, Any]) -> None:
        assert channel == "watchdog"
        self.calls.append(context["event"])
        self.contexts.append({**context, "message": message})
        self.threads.append(threading.current_thread().name)

    async def atimeout(self) -> None:
        await asyncio.sleep(0)
        self.timeout()

    async def aalert(self, channel: str, message: str, context: Mapping[str, Any]) -> None:
        await asyncio.sleep(0)
        self.alert(channel, message, context)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "heartbeat.state.json"


def test_one_check_at_a_time(file: Path) -> None:
    dog = Watchdog.from_state_file(file, max_age=30)
    assert dog.check().word is Pulse.NOT_STARTED
    beat(file)
    finding = dog.check()
    assert finding.word is Pulse.WELL
    assert not finding.is_alarm
    assert finding.age is not None
    assert finding.age < 5
    assert dog.check(time.time() + 60).word is Pulse.STALE
    assert dog.check(time.time() - 60).word is Pulse.FUTURE
    file.write_text('{"timestamp": "2026-')
    assert dog.check().word is Pulse.BAD
    file.unlink()
    assert dog.check().word is Pulse.GONE
    file.parent.rmdir()
    assert dog.check().word is Pulse.GONE
    assert dog.stats.checks_total == 7


def test_what_can_not_be_read_is_bad(tmp_path: Path) -> None:
    finding = Watchdog.from_state_file(tmp_path).check()
    assert finding.word is Pulse.BAD
    assert finding.reason == "its state file can not be read: Is a directory"


def test_a_thread_tells_once_and_of_the_recovery(file: Path, heard: Heard) -> None:
    beat(file)
    dog = Watchdog.from_state_file(
        file, check_interval=0.05, max_age=0.5, on_timeout=heard.timeout, on_alert=heard.alert,
        name="mine",
    )  # fmt: skip
    began = time.monotonic()
    with dog:
        assert dog.is_running
        dog.start()  # runs already
        until(lambda: dog.is_triggered)
        assert 0.4 < time.monotonic() - began < 1.5
        until(lambda: heard.calls == ["timeout", "alarm"])
        time.sleep(0.3)
        beat(file)
        until(lambda: not dog.is_triggered)
        until(lambda: len(heard.calls) == 3)
    assert not dog.is_running
    assert heard.calls == ["timeout", "alarm", "recovered"]
    alarm, recovered = heard.contexts
    assert (alarm["level"], alarm["word"], alarm["name"]) == ("CRITICAL", "STALE", "mine")
    assert alarm["message"].startswith("mine: STALE: no heartbeat for ")
    assert alarm["state_file"] == str(file)
    assert recovered["level"] == "SUCCESS"
    assert recovered["lasted"] >= 0.3
    assert set(heard.threads) == {"mine"}
    assert dog.stats.timeouts_triggered == 1
    checks = dog.stats.checks_total
    time.sleep(0.15)
    assert dog.stats.checks_total == checks


def test_it_checks_when_it_says_so_and_no_more_often(file: Path) -> None:
    dog = Watchdog.from_state_file(file, check_interval=0.2, max_age=30)
    with dog:
        time.sleep(1.1)
    assert 3 <= dog.stats.checks_total <= 6
    with Watchdog.from_state_file(file, check_interval=300, max_age=30) as rare:
        time.sleep(1.2)
        assert rare.stats.checks_total == 1


def test_async_callbacks_are_awaited_in_a_thread_as_well(file: Path, heard: Heard) -> None:
    beat(file, ago=60)
    with Watchdog.from_state_file(
        file, check_interval=0.05, on_timeout=heard.atimeout, on_alert=heard.aalert
    ):
        until(lambda: heard.calls == ["timeout", "alarm"])
        beat(file)
        until(lambda: heard.calls[2:] == ["recovered"])


def test_a_task_calls_both_kinds(file: Path) -> None:
    async def main() -> None:
        for plain in (True, False):
            heard = Heard()
            beat(file, ago=60)
            dog = Watchdog.from_state_file(
                file, check_interval=0.05,
                on_timeout=heard.timeout if plain else heard.atimeout,
                on_alert=heard.alert if plain else heard.aalert,
            )  # fmt: skip
            async with dog:
                assert dog.is_running
                await soon(lambda heard=heard: heard.calls == ["timeout", "alarm"])
                beat(file)
                await soon(lambda heard=heard: heard.calls[2:] == ["recovered"])
            assert not dog.is_running
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


async def soon(holds: Any) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.02)


def test_a_callback_that_raises_is_logged_and_harms_nothing(
    file: Path, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise RuntimeError("mine")

    async def afails(*_: object) -> None:
        raise RuntimeError("mine too")

    beat(file, ago=60)
    with caplog.at_level(logging.ERROR):
        dog = Watchdog.from_state_file(
            file, check_interval=0.05, on_timeout=fails, on_alert=heard.alert
        )
        with dog:
            until(lambda: heard.calls == ["alarm"])
            beat(file)
            until(lambda: heard.calls == ["alarm", "recovered"])
        beat(file, ago=60)
        with Watchdog.from_state_file(file, check_interval=0.05, on_alert=afails) as other:
            until(lambda: len(caplog.records) == 2)
            assert other.is_running
    assert {record.exc_info[1].args[0] for record in caplog.records if record.exc_info} == {
        "mine", "mine too"
    }  # fmt: skip


def test_a_callback_may_stop_it(file: Path) -> None:
    beat(file, ago=60)

    def end_it() -> None:
        dog.stop()

    dog = Watchdog.from_state_file(file, check_interval=0.05, on_timeout=end_it)
    dog.start()
    until(lambda: not dog.is_running)

    async def main() -> None:
        async def end() -> None:
            await dog.astop()

        dog = Watchdog.from_state_file(file, check_interval=0.05, on_timeout=end)
        await dog.astart()
        await soon(lambda: not dog.is_running)
        await asyncio.sleep(0.1)
        assert dog.stats.checks_total == 1

    asyncio.run(main())


def test_a_clean_stop_is_no_alarm(file: Path, heard: Heard) -> None:
    beat(file, status="stopped")
    with Watchdog.from_state_file(file, check_interval=0.05, max_age=0.2, on_alert=heard.alert):
        time.sleep(0.6)
        file.unlink()
        time.sleep(0.3)
    assert heard.calls == []


def test_pings(heard: Heard) -> None:
    with Watchdog(timeout=0.3, on_timeout=heard.timeout, on_alert=heard.alert, name="work") as dog:
        for _ in range(8):
            dog.ping()
            time.sleep(0.1)
        assert not dog.is_triggered
        until(lambda: dog.is_triggered)
        until(lambda: heard.calls == ["timeout", "alarm"])
        dog.ping()
        until(lambda: heard.calls == ["timeout", "alarm", "recovered"])
        until(lambda: dog.is_triggered)
        dog.reset()
        assert not dog.is_triggered
    stats = dog.stats
    assert (stats.pings_total, stats.timeouts_triggered) == (9, 2)
    assert stats.last_ping_time is not None
    assert stats.start_time is not None
    assert stats.last_ping_time - stats.start_time < 10
    assert heard.contexts[0]["message"].startswith("work: STALE: no ping for ")


def test_a_block_that_was_too_slow_says_so() -> None:
    dog = Watchdog(timeout=0.1, raise_on_timeout=True)
    with pytest.raises(WatchdogTimeoutError, match="watchdog was triggered"), dog:
        until(lambda: dog.is_triggered)
    with Watchdog(timeout=30, raise_on_timeout=True) as quick:
        quick.ping()
    failing = Watchdog(timeout=0.1, raise_on_timeout=True)

    def fail() -> None:
        until(lambda: failing.is_triggered)
        raise KeyError

    with pytest.raises(KeyError), failing:
        fail()


def test_an_async_block_is_cancelled_as_it_is_triggered() -> None:
    async def main() -> None:
        began = time.monotonic()
        with pytest.raises(WatchdogTimeoutError):
            async with Watchdog(timeout=0.1, raise_on_timeout=True):
                await asyncio.sleep(30)
        assert time.monotonic() - began < 5
        await asyncio.sleep(0.05)  # nothing is left of that
        async with Watchdog(timeout=0.2, raise_on_timeout=True) as dog:
            for _ in range(6):
                await dog.aping()
                await asyncio.sleep(0.05)

    asyncio.run(main())


def test_a_block_that_others_cancel_is_cancelled() -> None:
    async def body() -> None:
        async with Watchdog(timeout=30, raise_on_timeout=True):
            await asyncio.sleep(30)

    async def main() -> None:
        task = asyncio.create_task(body())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_what_is_refused(file: Path) -> None:
    with pytest.raises(ValueError, match="timeout must be above zero"):
        Watchdog(timeout=0)
    with pytest.raises(ValueError, match="check_interval must be above zero"):
        Watchdog.from_state_file(file, check_interval=-1)
    with pytest.raises(ValueError, match="max_age must be above zero"):
        Watchdog.from_state_file(file, max_age=float("nan"))

    async def main() -> None:
        with Watchdog() as dog, pytest.raises(RuntimeError, match="runs in a thread"):
            await dog.astart()
        async with Watchdog() as dog:
            with pytest.raises(RuntimeError, match="runs as a task"):
                dog.start()

    asyncio.run(main())


def test_stop_ends_a_task_as_well_and_astop_a_thread(file: Path) -> None:
    """Whoever takes the wrong one must not leave it running, unseen."""

    async def main() -> None:
        beat(file)
        dog = Watchdog.from_state_file(file, check_interval=0.05)
        await dog.astart()
        dog.stop()
        checks = dog.stats.checks_total
        await asyncio.sleep(0.3)
        assert dog.stats.checks_total <= checks + 1
        assert not dog.is_running
        dog.start()
        await dog.astop()
        assert not dog.is_running

    asyncio.run(main())


def test_a_task_that_ended_with_its_loop_can_be_begun_anew(file: Path, heard: Heard) -> None:
    beat(file, ago=60)
    dog = Watchdog.from_state_file(file, check_interval=0.05, on_alert=heard.alert)
    asyncio.run(dog.astart())
    assert not dog.is_running
    with dog:
        until(lambda: heard.calls == ["alarm"])


def test_a_thread_that_hangs_in_a_callback_does_not_go_on_beside_the_next_one(file: Path) -> None:
    beat(file, ago=60)
    answers = threading.Event()
    dog = Watchdog.from_state_file(
        file, check_interval=0.02, on_timeout=lambda: answers.wait(30), name="hangs"
    )
    dog.start()
    until(lambda: dog.is_triggered)
    dog.stop(timeout=0.1)
    dog.start()
    answers.set()
    until(lambda: [thread.name for thread in threading.enumerate()].count("hangs") == 1)
    dog.stop()
