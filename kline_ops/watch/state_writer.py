"""Puts the newest state on the disk: in a worker thread, and never more than one that waits."""

from __future__ import annotations

import logging
import threading

from kline_ops.watch.files import Json
from kline_ops.watch.keeper import StateKeeper
from kline_ops.worker import Worker

_log = logging.getLogger(__name__)


class StateWriter:
    """A state that still waits for a slow disk is passed over for a newer one. Trouble is told once."""

    def __init__(self, keeper: StateKeeper, worker: Worker) -> None:
        self._keeper = keeper
        self._worker = worker
        self._next: Json | None = None
        self._lock = threading.Lock()
        self._failed = False

    def write(self, state: Json) -> None:
        """Write this state as soon as can be; returns at once."""
        with self._lock:
            waiting, self._next = self._next, state
        if waiting is None:
            self._worker.submit(self._write_next)

    def _write_next(self) -> None:
        with self._lock:
            state, self._next = self._next, None
        if state is None:
            return
        try:
            self._keeper.write(state)
        except OSError as error:
            if not self._failed:
                _log.warning("the state file can not be written: %s", error.strerror)
            self._failed = True
        else:
            if self._failed:
                _log.info("the state file can be written again")
            self._failed = False
