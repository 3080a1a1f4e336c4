"""A callback that ends in an odd way ends nobody else: not a thread, not a task, not the mailbox."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kline_ops import Heartbeat, Watchdog
from kline_ops.kit.faults import is_fault
from kline_ops.kit.websocket_calls import Callback
from tests.support.machine import until


async def await_what_was_cancelled() -> None:
    """As one that waits for a task of its own that somebody else has cancelled."""
    task = asyncio.ensure_future(asyncio.sleep(60))
    task.cancel()
    await task


async def asee(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


class Odd:
    """Callbacks that end so, counted."""

    def __init__(self) -> None:
        self.calls = 0

    async def cancelled(self) -> None:
        self.calls += 1
        await await_what_was_cancelled()

    def exits(self) -> None:
        self.calls += 1
        sys.exit(1)


@pytest.fixture
def odd() -> Odd:
    return Odd()


class Dead:
    is_dead = True


@pytest.mark.parametrize("way", ["cancelled", "exits"])
def test_a_heartbeat_in_a_thread_beats_on(tmp_path: Path, odd: Odd, way: str) -> None:
    heartbeat = Heartbeat(tmp_path / "state.json", interval=0.05, on_beat=getattr(odd, way))
    with heartbeat:
        until(lambda: odd.calls >= 3)


@pytest.mark.parametrize("way", ["cancelled", "exits"])
def test_a_dead_target_is_replaced_again(odd: Odd, way: str) -> None:
    with Heartbeat(interval=0.05, target=Dead(), on_target_dead=getattr(odd, way)):
        until(lambda: odd.calls >= 3)


@pytest.mark.parametrize("way", ["cancelled", "exits"])
def test_a_watchdog_in_a_thread_goes_on(odd: Odd, way: str) -> None:
    with Watchdog(0.1, on_timeout=getattr(odd, way)) as dog:
        until(lambda: odd.calls == 1)
        dog.ping()
        until(lambda: not dog.is_triggered)
        until(lambda: odd.calls == 2)


def test_a_watchdog_in_a_task_goes_on(odd: Odd) -> None:
    async def main() -> None:
        async with Watchdog(0.1, on_timeout=odd.cancelled) as dog:
            await asee(lambda: odd.calls == 1)
            dog.ping()
            await asee(lambda: not dog.is_triggered)
            await asee(lambda: odd.calls == 2)

    asyncio.run(main())


def test_a_callback_of_a_connection_is_called_again(odd: Odd) -> None:
    async def main() -> None:
        callback = Callback(odd.cancelled, "on_message")
        assert await callback() is None
        assert await callback() is None
        # One that is cancelled itself is.
        waiting = asyncio.ensure_future(Callback(lambda: asyncio.sleep(60), "mine")())
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
    assert odd.calls == 2


def test_what_ends_the_program_is_no_fault_but_in_a_thread_of_ours() -> None:
    assert is_fault(ValueError())
    assert not is_fault(KeyboardInterrupt())
    assert not is_fault(SystemExit(1))
    told: list[bool] = []
    thread = threading.Thread(target=lambda: told.append(is_fault(SystemExit(1))))
    thread.start()
    thread.join(10)
    assert told == [True]
