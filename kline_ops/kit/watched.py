"""What a watchdog can watch: the state file of a heartbeat, or a program's own pings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kline_ops.clock import Reading
from kline_ops.plain import duration
from kline_ops.watch.sight import sight_of
from kline_ops.watch.staleness import Finding, Pulse, Seen, Sight, judge
from kline_ops.worker import HangsError, Patient

#: Seconds, at the least, in which a disk may answer.
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class WatchdogStats:
    """What a watchdog has seen. Times are seconds since the epoch, None before the first."""

    checks_total: int
    pings_total: int
    timeouts_triggered: int
    last_ping_time: float | None
    start_time: float | None


class Source(Protocol):
    """What is watched."""

    max_age: float

    @property
    def facts(self) -> Mapping[str, Any]:
        """For the context of an alert."""

    def observe(self) -> None:
        """Read what is to be judged; may take its time."""

    def look(self, now: Reading, held_up: float) -> Finding:
        """Judge what was observed, at this moment."""

    def begin(self, now: Reading) -> None:
        """Forget what was; watching begins now."""


class StateFile:
    """The state file of a heartbeat, whoever writes it."""

    def __init__(self, path: Path, max_age: float) -> None:
        self.facts: dict[str, Any] = {"state_file": str(path)}
        self.max_age = max_age
        self._path = path
        self._seen: Seen | None = None
        self._sight: Sight | None = None
        self._patient = Patient("watchdog file")

    def observe(self) -> None:
        """Read it; for so long as it may be silent at the most."""
        try:
            self._sight = self._patient.call(self._patience, sight_of, self._path)
        except HangsError:
            self._sight = None

    def look(self, now: Reading, held_up: float) -> Finding:
        """Judge it by what was seen of it before."""
        if self._sight is None:
            return Finding(Pulse.BAD, f"its disk has not answered for {self._patience:g} s")
        finding, self._seen = judge(self._sight, self._seen, now, self.max_age, held_up=held_up)
        return finding

    @property
    def _patience(self) -> float:
        return max(self.max_age, _PATIENCE)

    def begin(self, now: Reading) -> None:
        """What is known of the file stays known."""


class Pings:
    """Who says that all is well, at least each ``timeout`` seconds."""

    def __init__(self, timeout: float) -> None:
        self.facts: dict[str, Any] = {"timeout": timeout}
        self.max_age = timeout
        self.last: float | None = None

    def observe(self) -> None:
        """There is nothing to be read."""

    def look(self, now: Reading, held_up: float) -> Finding:
        """Judge by the last ping; where this process was held up, whoever pings was, too."""
        if self.last is None:
            return Finding(Pulse.NOT_STARTED, "it has not begun")
        if held_up:
            self.last = now.monotonic
        age = now.monotonic - self.last
        if age > self.max_age:
            return Finding(Pulse.STALE, f"no ping for {duration(age)}", age)
        return Finding(Pulse.WELL, age=age)

    def begin(self, now: Reading) -> None:
        """The first ping is due from here on."""
        self.last = now.monotonic
