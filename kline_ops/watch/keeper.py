"""Keeps the state file: counts what happens, asks the session how it stands, writes it down.

Fields as users of the field know them: ``timestamp, heartbeat_sessions, websocket_reconnects,
candles_received, last_candle_time, status, error, metadata``. ``status`` follows the data, never the
mere process; ``metadata`` holds what ``kline-ops status`` needs. What is counted goes on from one
process to the next, by the file itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kline_ops import events
from kline_ops.clock import Clock
from kline_ops.events import PLANNED, Event
from kline_ops.market import timestamp
from kline_ops.secret import shown_url
from kline_ops.watch.evidence import state_of
from kline_ops.watch.files import Json, section, write_json
from kline_ops.watch.process import started_at
from kline_ops.watch.verdict import Facts, Word, judge


@dataclass(frozen=True, slots=True)
class Standing:
    """How the session stands at this moment, as the session tells it."""

    facts: Facts
    last_open_ms: int | None
    last_close_ms: int | None
    next_due_ms: int | None
    next_restart_ms: int | None
    owed: int
    on_disk: int
    missing: int
    #: Those of them that the exchange itself has none of.
    confirmed: int
    #: Candles that wait in memory for the disk.
    waiting: int
    #: Seconds that this machine's clock is ahead of the exchange's; None while that is not known.
    clock_skew: float | None


@dataclass(slots=True)
class Counts:
    """What is counted of a session, all its processes taken together."""

    #: Processes, and what was begun anew within them (``heartbeat_restart``).
    sessions: int = 0
    planned: int = 0
    reconnects: int = 0
    candles: int = 0

    @classmethod
    def of(cls, state: Json | None) -> Self:
        """Those of a state file; one that is damaged, or another session's, counts from zero."""
        told = section(state, "metadata")
        return cls(
            _count(state or {}, "heartbeat_sessions"),
            _count(told, "restarts_planned"),
            _count(told, "reconnects"),
            _count(state or {}, "candles_received"),
        )


class StateKeeper:
    """Listens to events; :meth:`state` is what stands in the file."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        session: str,
        endpoint: str,
        beat: float,
        supervised: bool = False,
        lacks_secrets: str = "",
    ) -> None:
        self._lacks_secrets = lacks_secrets
        self._session = session
        self._supervised = supervised
        self._orphaned = False
        self._unwritten = 0
        self._path = path
        self._clock = clock
        self._endpoint = shown_url(endpoint)
        self._beat = beat
        self._started_ms = clock.wall_ms()
        # Asked once: it stays the same, and how it stands is asked for all the time.
        self._pid_started = started_at()
        self._started = clock.monotonic()
        self._has_been_live = False
        self._counts = Counts(sessions=1)
        #: The last thing that went wrong with the connection; None while one delivers.
        self.feed_error: str | None = None
        self._live: set[int] = set()
        self._dark_since: float | None = clock.monotonic()
        self._stopped = False
        self.last_boundary_ms: int | None = None
        self._before = Counts()
        #: When the file was replaced last (wall milliseconds); None while it was not yet.
        self.written_ms: int | None = None

    def take_over(self) -> None:
        """Go on with the counts of the process before, as they stand in the file. Reads the disk."""
        before = state_of(self._session, self._path)
        boundary_ms = _ms(section(before, "metadata").get("last_boundary"))
        # One of this process's own came later.
        self.last_boundary_ms = self.last_boundary_ms or boundary_ms
        self._before = Counts.of(before)

    def hear(self, event: Event) -> None:
        """Listener: counts."""
        match event:
            case events.Live(connection=number, endpoint=endpoint):
                self._endpoint = endpoint
                # One that comes up while none delivers is a reconnect; the others are replacements.
                self._counts.reconnects += self._has_been_live and not self._live
                self._has_been_live = True
                self._live.add(number)
                self._dark_since = self.feed_error = None
            case events.Replaced(old=number, why=why):
                self._counts.planned += why == PLANNED
                self._counts.reconnects += why != PLANNED
                self._drop(number)
            case events.Disconnected(connection=number, reason=reason):
                self._drop(number)
                if not self._live:
                    self.feed_error = reason
            case events.Recorded(candles=candles):
                self._counts.candles += candles
            case events.HeartbeatRestart():
                self._counts.sessions += 1
            case (
                events.RestartPlanned(boundary=boundary) | events.RestartSkipped(boundary=boundary)
            ):
                self.last_boundary_ms = timestamp.to_ms(boundary)
            case events.SessionStopped(reason=reason, unwritten=unwritten):
                self._stopped = True
                self._unwritten = unwritten
                # Its terminal hung up: was that the end of whoever kept it running?
                self._orphaned = self._supervised and reason == "SIGHUP"

    @property
    def dark_for(self) -> float | None:
        """Seconds without a connection that delivers; None while there is one."""
        if self._dark_since is None:
            return None
        return self._clock.monotonic() - self._dark_since

    @property
    def live(self) -> list[int]:
        """The connections that deliver."""
        return sorted(self._live)

    @property
    def uptime(self) -> float:
        """Seconds since the session began."""
        return self._clock.monotonic() - self._started

    def state(self, standing: Standing) -> Json:
        """The content of the state file."""
        word, reason = judge(standing.facts)
        status = "stopped" if self._stopped else word.value.lower()
        before, counts = self._before, self._counts
        planned, reconnects = before.planned + counts.planned, before.reconnects + counts.reconnects
        return {
            "timestamp": _text(self._clock.wall_ms()),
            "heartbeat_sessions": before.sessions + counts.sessions,
            "websocket_reconnects": planned + reconnects,
            "candles_received": before.candles + counts.candles,
            "last_candle_time": _text(standing.last_open_ms),
            "status": status,
            "error": self._error(word, reason),
            "metadata": {
                "session": self._session,
                "pid": os.getpid(),
                "pid_started": self._pid_started,
                "started_ms": self._started_ms,
                "heartbeat_interval": self._beat,
                "endpoint": self._endpoint,
                "live": self.live,
                "last_candle_closed_ms": standing.last_close_ms,
                "next_due": _text(standing.next_due_ms),
                "next_restart": _text(standing.next_restart_ms),
                "last_boundary": _text(self.last_boundary_ms),
                "owed": standing.owed,
                "on_disk": standing.on_disk,
                # After the end nothing is on its way any more.
                "missing": standing.owed - standing.on_disk if self._stopped else standing.missing,
                "waiting": standing.waiting,
                "disk_error": standing.facts.disk_error,
                "clock_skew_seconds": standing.clock_skew,
                "restarts_planned": planned,
                "reconnects": reconnects,
                "orphaned": self._orphaned,
                "lacks_secrets": self._lacks_secrets,
            },
        }

    def _error(self, word: Word, reason: str) -> str | None:
        if self._stopped:
            left = self._unwritten
            return f"{left} candles could not be written; REST has them" if left else None
        return None if word is Word.RECORDING else reason or None

    def write(self, state: Json) -> None:
        """Replace the file. Raises OSError."""
        write_json(self._path, state)
        self.written_ms = self._clock.wall_ms()

    def _drop(self, number: int) -> None:
        self._live.discard(number)
        if not self._live and self._dark_since is None:
            self._dark_since = self._clock.monotonic()


def _count(told: Json, name: str) -> int:
    """A count of a state file that may be damaged."""
    value = told.get(name)
    return value if type(value) is int and value > 0 else 0


def _ms(text: object) -> int | None:
    """A time of a state file that may be damaged."""
    try:
        return timestamp.to_ms(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _text(ms: int | None) -> str | None:
    return None if ms is None else timestamp.to_text(ms)
