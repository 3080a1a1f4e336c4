"""Calls what is to be done at an end, in order and within a bounded time. For ``shutdown.py``."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
import time
from collections.abc import Awaitable, Iterable

from kline_ops.resilience.shutdown import Step, in_order, share

_log = logging.getLogger(__name__)


def run_down(steps: Iterable[Step], timeout: float) -> list[str]:
    """Each in a thread of its own; answers those that are not done after ``timeout`` seconds."""
    ordered, deadline = in_order(steps), time.monotonic() + timeout
    begun: list[tuple[Step, threading.Thread]] = []
    for at, step in enumerate(ordered):
        thread = threading.Thread(target=_do, args=(step,), name=step.name, daemon=True)
        thread.start()
        begun.append((step, thread))
        thread.join(share(step.timeout, deadline - time.monotonic(), len(ordered) - at))
    for step, thread in begun:
        if step.timeout is None:
            thread.join(max(0.0, deadline - time.monotonic()))
    return [step.name for step, thread in begun if thread.is_alive()]


async def arun_down(steps: Iterable[Step], timeout: float) -> list[str]:  # noqa: ASYNC109 - of all together
    """Each in this event loop; answers those that are not done after ``timeout`` seconds."""
    ordered, deadline = in_order(steps), time.monotonic() + timeout
    begun: list[tuple[Step, asyncio.Task[None] | threading.Thread]] = []
    for at, step in enumerate(ordered):
        patience = share(step.timeout, deadline - time.monotonic(), len(ordered) - at)
        begun.append((step, await _begin(step, patience)))
    rest = [each for step, each in begun if step.timeout is None and isinstance(each, asyncio.Task)]
    if rest:
        await asyncio.wait(rest, timeout=max(0.0, deadline - time.monotonic()))
    left = [step.name for step, each in begun if not _is_done(each)]
    for _, each in begun:
        if isinstance(each, asyncio.Task):
            each.cancel()
    return left


async def _begin(step: Step, patience: float) -> asyncio.Task[None] | threading.Thread:
    """Begin it, and wait for it that long (s)."""
    began = time.monotonic()
    if inspect.iscoroutinefunction(step.callback):
        answer: object = step.callback()
    else:
        call = _Call(step, asyncio.get_running_loop())
        call.run(patience)
        answer = call.answer
        if call.thread.is_alive():
            return call.thread
        if not inspect.isawaitable(answer):
            await asyncio.sleep(0)  # what it has set off comes before the next one
            return call.thread
    task = asyncio.ensure_future(_awaited(step, answer))  # type: ignore[arg-type]
    await asyncio.wait({task}, timeout=max(0.0, patience - (time.monotonic() - began)))
    if step.timeout is not None and not task.done():
        task.cancel()
        _log.error("%s: not done within its %g s", step.name, step.timeout)
    return task


class _Call:
    """A plain function, called while the event loop stands still; a thread, that it can be left in."""

    def __init__(self, step: Step, loop: asyncio.AbstractEventLoop) -> None:
        self.answer: object = None
        self._step = step
        self._loop = loop
        context = contextvars.copy_context()
        self.thread = threading.Thread(
            target=context.run, args=(self._do,), name=step.name, daemon=True
        )

    def run(self, patience: float) -> None:
        """Call it, and wait that long (s): nothing else touches the loop meanwhile."""
        if self._loop.get_debug():
            self._call()  # a loop that is debugged wants its own thread
        self.thread.start()
        self.thread.join(patience)

    def _do(self) -> None:
        if not self._loop.get_debug():
            asyncio._set_running_loop(self._loop)
            self._call()

    def _call(self) -> None:
        try:
            self.answer = self._step.callback()
        except Exception:  # noqa: BLE001 - the boundary between the end and what others do at it
            _log.exception("%s failed", self._step.name)


def _do(step: Step) -> None:
    try:
        answer = step.callback()
        if inspect.isawaitable(answer):
            asyncio.run(_awaited(step, answer))
    except Exception:  # noqa: BLE001 - the boundary between the end and what others do at it
        _log.exception("%s failed", step.name)


async def _awaited(step: Step, answer: Awaitable[object]) -> None:
    try:
        await answer
    except Exception:  # noqa: BLE001 - the boundary between the end and what others do at it
        _log.exception("%s failed", step.name)


def _is_done(step: asyncio.Task[None] | threading.Thread) -> bool:
    return step.done() if isinstance(step, asyncio.Task) else not step.is_alive()
