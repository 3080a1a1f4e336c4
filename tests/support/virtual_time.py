"""Hours in seconds: an event loop whose clock leaps to the next timer when nothing is ready.

Real loopback sockets work with it, as bytes on loopback are readable at once. It does not leap while
a worker thread is busy: what a thread does takes real time, and no timer may run out meanwhile.
A thread that waits for a timer of this very loop is not busy; who holds it up says so
(:attr:`VirtualLoop.held`).
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

#: Real seconds without anything ready before the clock leaps; longer than loopback takes.
_IDLE = 0.0005
_BUSY_POLL = 0.002


class _LeapingSelector(selectors.DefaultSelector):
    """Asks for readiness for a moment instead of sleeping, and tells the loop how long it would."""

    def __init__(self, leap: Callable[[float], bool]) -> None:
        super().__init__()
        self._leap = leap

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(min(timeout, _IDLE))
        if not ready and not self._leap(timeout):
            return super().select(_BUSY_POLL)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """``time()`` is virtual; it begins at zero."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._busy = 0
        #: How many threads wait for this loop, and not the other way round.
        self.held: list[Callable[[], int]] = []
        super().__init__(_LeapingSelector(self._advance))

    def time(self) -> float:
        return self._offset

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = super().run_in_executor(executor, func, *args)
        self._busy += 1
        future.add_done_callback(self._one_less)
        return future

    def _one_less(self, _future: Any) -> None:
        self._busy -= 1

    def _advance(self, timeout: float) -> bool:
        if self._busy and self._busy > sum(held() for held in self.held):
            return False
        self._offset += timeout
        return True


class VirtualClock:
    """A :class:`kline_ops.clock.Clock` on a virtual loop; it can be stepped, and suspended."""

    def __init__(self, loop: VirtualLoop, start_ms: int) -> None:
        self._loop = loop
        self.start_ms = start_ms
        self._asleep = 0.0

    def wall_ms(self) -> int:
        return self.start_ms + int(self._loop.time() * 1000)

    def monotonic(self) -> float:
        return self._loop.time()

    def asleep(self) -> float:
        return self._asleep

    def excuse(self, held: Callable[[], int]) -> None:
        """Do not wait for so many worker threads: they wait for this loop."""
        self._loop.held.append(held)

    def jump(self, ms: int) -> None:
        """Step the wall clock; the monotonic one does not move."""
        self.start_ms += ms

    def suspend(self, seconds: float) -> None:
        """The machine was suspended: nothing ran, and the world went on."""
        self._asleep += seconds
        self.jump(int(seconds * 1000))

    def apart(self, ms: int = 0) -> VirtualClock:
        """The clock of another machine, so much ahead; it is stepped by itself."""
        return VirtualClock(self._loop, self.start_ms + ms)


def run_virtual(
    main: Callable[[VirtualClock], Coroutine[Any, Any, T]], start_ms: int = 1_767_225_600_000
) -> T:
    """Run ``main(clock)`` in virtual time; 2026-01-01T00:00:00Z unless told otherwise."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main(VirtualClock(runner.get_loop(), start_ms)))
