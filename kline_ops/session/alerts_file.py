"""What one process tells the next: which troubles people know of, and how it ended.

``alerts.json`` beside the state file has the former, so that what is open is told as over once, and not
as new; the state file and ``exit.json`` have the latter, and the
registry, where their disk is full.
"""

from __future__ import annotations

import contextlib
import logging
from concurrent.futures import Future
from pathlib import Path

import msgspec

from kline_ops.alerts.herald import Memory
from kline_ops.alerts.outbox import Letter
from kline_ops.clock import Clock
from kline_ops.config.settings import Settings
from kline_ops.errors import EXIT_GOOD, SessionError
from kline_ops.watch.evidence import exit_of, moment_of, newest_end, state_of
from kline_ops.watch.files import Json, read_json, write_json
from kline_ops.watch.registry import find_session
from kline_ops.watch.verdict import how_it_ended
from kline_ops.worker import Worker

_FILE = "alerts.json"
#: Seconds between two writings for no more than another count of candles.
_COUNTS_EVERY = 30.0

_log = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``alerts.json``."""

    session: str
    wall_ms: int
    herald: Memory
    digest_day: str | None = None
    #: Messages that wait for a channel, where a process has made way for the next one.
    letters: dict[str, list[Letter]] = {}


class AlertsFile:
    """Reads it once, and keeps it up to date, in a worker thread."""

    def __init__(self, settings: Settings, clock: Clock, worker: Worker) -> None:
        self.path: Path = settings.state_file.with_name(_FILE)
        self._session = settings.name
        self._clock = clock
        self._worker = worker
        #: What was written last: incidents, counts of candles, and when.
        self._written: tuple[object, object, float] | None = None
        self._writing: Future[None] | None = None

    def read(self) -> Kept | None:
        """What was left; None where there is nothing, or it is another session's. Reads the disk."""
        try:
            kept = msgspec.convert(read_json(self.path), Kept)
        except msgspec.ValidationError:
            return None
        return kept if kept.session == self._session else None

    def write(
        self,
        memory: Memory,
        day: str | None,
        letters: dict[str, list[Letter]] | None = None,
        *,
        final: bool = False,
    ) -> None:
        """Write it as soon as can be, where it has changed; returns at once.

        What the disk does not take is written when it does. ``final``: there is no later.
        """
        is_busy = self._writing is not None and not self._writing.done()
        if is_busy and not final:
            return
        now = self._clock.monotonic()
        incidents = {topic: matter.incident for topic, matter in memory.topics.items()}
        state = incidents, tuple(memory.crashes), memory.greeted_at, day
        counts = [(matter.recovered, matter.nowhere) for matter in memory.topics.values()]
        if self._written is not None and not final:
            before, counted, at = self._written
            if state == before and (counts == counted or now < at + _COUNTS_EVERY):
                return
        self._written = state, counts, now
        kept = Kept(
            session=self._session,
            wall_ms=self._clock.wall_ms(),
            herald=memory,
            digest_day=day,
            letters=letters or {},
        )
        self._writing = self._worker.submit(self._replace, msgspec.to_builtins(kept))

    @property
    def is_kept(self) -> bool:
        """Is what was to be written last on the disk?"""
        is_busy = self._writing is not None and not self._writing.done()
        return self._written is not None and not is_busy

    def _replace(self, value: Json) -> None:
        try:
            write_json(self.path, value)
        except OSError as error:
            _log.debug("%s can not be written: %s", self.path, error.strerror)
            self._written = None


def crash_before(settings: Settings) -> str | None:
    """How the process before this one ended, where that was no clean end."""
    state = state_of(settings.name, settings.state_file)
    if state is None or state.get("status") == "stopped":
        return None
    told = exit_of(settings.name, settings.exit_file)
    with contextlib.suppress(SessionError):
        told = newest_end(told, find_session(settings.name).ended)
    # One that nobody kept running leaves none: what is there is of an earlier end then.
    is_of_this = (moment_of(told, "at") or 0) >= (moment_of(state, "timestamp") or 0)
    if told is not None and is_of_this and _is_meant(told):
        return None
    how = how_it_ended(told) if told is not None and is_of_this else ""
    return how or "gone without a last word (a crash, a kill, or the machine)"


def _is_meant(told: Json) -> bool:
    """Was it ended by somebody, with a last word or without?"""
    is_clean = told.get("code") == EXIT_GOOD and not told.get("orphaned")
    return bool(told.get("final") and (is_clean or told.get("by_hand")))
