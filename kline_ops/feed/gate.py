"""Before a connection attempt: the budget that all recorders of this machine share.

The budget is a file under a lock; it is asked in a thread, and answers within a second even where
its disk hangs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from kline_ops.budget import Budget
from kline_ops.worker import Worker

#: A wait of this many seconds or more is told.
_TOLD = 5.0
#: A ban may last for days; a machine that slept, or whose clock was stepped, looks again after this (s).
_LONGEST_SLEEP = 60.0

_log = logging.getLogger(__name__)


class Gate:
    """Lets attempts pass one after another."""

    def __init__(self, budget: Budget | None) -> None:
        self._budget = budget
        self._worker: Worker | None = None
        self._turn = asyncio.Lock()

    async def pass_(self, on_delay: Callable[[float], None]) -> None:
        """Return when an attempt may begin."""
        if self._budget is None:
            return
        async with self._turn:
            told = False
            while (wait := await self._ask(self._budget.connect)) > 0.0:
                if wait >= _TOLD and not told:
                    told = True
                    on_delay(wait)
                await asyncio.sleep(min(wait, _LONGEST_SLEEP))

    def refused(self, seconds: float) -> None:
        """The exchange asks to stay away for so long."""
        if self._budget is not None:
            budget = self._budget
            self._thread().submit(lambda: budget.refused("connect", seconds))

    def close(self) -> None:
        """Let its thread go; whoever asks again has another one."""
        if self._worker is not None:
            self._worker.shutdown(wait=False)
            self._worker = None

    def _thread(self) -> Worker:
        if self._worker is None:
            self._worker = Worker("gate")
        return self._worker

    async def _ask(self, call: Callable[[], float]) -> float:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread(), call)
        except Exception:  # noqa: BLE001 - a boundary: a fault of the budget is no reason to stay away
            _log.exception("the budget of connection attempts failed")
            return 0.0
