"""Puts the newest state on the disk: in a worker thread, and never more than one that waits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from kline_ops.watch.files import Json
from kline_ops.worker import Worker

_log = logging.getLogger(__name__)


def _nobody(_error: Exception) -> None:
    """The log is enough."""


class StateWriter:
    """A state that still waits for a slow disk is passed over for a newer one. Trouble is told once.

    Args:
        write: replaces the file; may raise, and may hang.
        worker: where it is called.
        on_missed: called with the reason for each state that did not get to the disk, from any thread.
    """

    def __init__(
        self,
        write: Callable[[Json], None],
        worker: Worker,
        on_missed: Callable[[Exception], None] = _nobody,
    ) -> None:
        self._write = write
        self._worker = worker
        self._on_missed = on_missed
        self._next: Json | None = None
        self._lock = threading.Lock()
        self._failed = False

    def write(self, state: Json) -> None:
        """Write this state as soon as can be; returns at once."""
        with self._lock:
            waiting, self._next = self._next, state
        if waiting is None:
            self._worker.submit(self._write_next)
        else:
            self._on_missed(TimeoutError("the disk takes longer than the time between two states"))

    def _write_next(self) -> None:
        with self._lock:
            state, self._next = self._next, None
        if state is None:
            return
        try:
            self._write(state)
        except (OSError, TypeError, ValueError) as error:
            if not self._failed:
                reason = getattr(error, "strerror", None) or error
                _log.warning("the state file can not be written: %s", reason)
            self._failed = True
            self._on_missed(error)
        else:
            if self._failed:
                _log.info("the state file can be written again")
            self._failed = False
