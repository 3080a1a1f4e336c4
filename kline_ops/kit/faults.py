"""What a callback may raise, and whom that concerns."""

from __future__ import annotations

import asyncio
import threading


def is_fault(error: BaseException) -> bool:
    """Is it a fault of what was called, and not the end of whoever called it?

    A callback that awaits a task which was cancelled raises CancelledError, as if its caller were to
    end; one that calls ``sys.exit`` in a thread of ours ends nothing but that thread, unheard.
    """
    if isinstance(error, Exception):
        return True
    if isinstance(error, asyncio.CancelledError):
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no event loop runs here
            return True
        return task is None or not task.cancelling()
    return threading.current_thread() is not threading.main_thread()
