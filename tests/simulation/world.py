"""The world of a simulation: time that leaps from event to event, and small tasks in it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Generator
from typing import Any

#: A task's step: starts something that calls back with a value, or with an error to raise.
Step = Callable[[Callable[[Any], None]], None]
Script = Generator[Step, Any, Any]


class World:
    """``now`` is in seconds, as on a monotonic clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._order = itertools.count()

    def at(self, time: float, call: Callable[..., object], *args: object) -> None:
        """Call at this time; what is due at the same time happens in the order of asking."""
        heapq.heappush(self._events, (time, next(self._order), call, args))

    def after(self, seconds: float, call: Callable[..., object], *args: object) -> None:
        """Call in so many seconds."""
        heapq.heappush(self._events, (self.now + seconds, next(self._order), call, args))

    def run(self, until: float) -> None:
        """Let everything happen up to this moment."""
        events, pop = self._events, heapq.heappop
        while events and events[0][0] <= until:
            self.now, _, call, args = pop(events)
            call(*args)
        self.now = until

    def sleep(self, seconds: float) -> Step:
        """A step of a task."""
        return lambda done: self.after(seconds, done, None)


class _Task:
    """A script under way. It refers to nothing that refers to it, and is gone when it has ended."""

    def __init__(self, script: Script, is_dead: Callable[[], bool]) -> None:
        self._script = script
        self._is_dead = is_dead

    def go_on(self, value: object) -> None:
        if self._is_dead():
            return
        script = self._script
        try:
            step = script.throw(value) if isinstance(value, Exception) else script.send(value)
        except StopIteration:
            return
        step(self.go_on)


def start(script: Script, is_dead: Callable[[], bool]) -> None:
    """Run a task: a generator that yields steps. It stops where it stands once its owner is dead."""
    _Task(script, is_dead).go_on(None)
