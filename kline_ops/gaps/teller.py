"""Takes in a session's events one after another, and tells the spells that they speak of. Pure.

A log may lack lines, and lines may lack fields: nothing here relies on any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kline_ops import events
from kline_ops.gaps.spells import FOR_EVER, Darkness, Phase, Spell, spell
from kline_ops.market import timestamp

#: A clean stop that is followed by a start this soon (ms) is a restart.
_RESTART_MS = 60_000
#: The recorder looks at its clocks once a second: what it tells may have begun so much (ms) earlier.
_LOOK_MS = 1_000
_OLD_SECONDS = 60.0
#: No number in an event means more than this.
_MOST = 1e9
#: Rejected frames that were no candle of this stream anyway.
_FOREIGN = ("wrong symbol", "wrong interval", "unasked event", "the exchange says")
#: Told before ``session_started``, by the process that begins, or by the supervisor: no sign of life
#: of the one before.
_AT_OPENING = frozenset(
    {
        "journal_repaired", "disk_full", "disk_recovered", "process_ended", "crash_loop",
        "alerted", "alert_failed",
    }
)  # fmt: skip

_Event = Mapping[str, Any]


def text(event: _Event, name: str) -> str:
    """A field as a text of one line; empty where it is missing."""
    value = event.get(name)
    return " ".join(str(value).split()) if value is not None else ""


def number(event: _Event, name: str) -> float:
    """A field as a number; 0 where it is missing or none."""
    value = event.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(max(-_MOST, min(value, _MOST)))


def moment(event: _Event, name: str) -> int | None:
    """A field as a time in milliseconds; None where it is missing or none."""
    value = event.get(name)
    try:
        return timestamp.to_ms(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


class Teller:
    """Call :meth:`take` with each event, then :meth:`end`."""

    def __init__(self) -> None:
        self._spells: list[Spell] = []
        self._dark = Darkness()
        self._live: set[int] = set()
        #: Connections that are open and bring nothing any more.
        self._mute: set[int] = set()
        #: Whether a process runs; None while the log has not told.
        self._runs: bool | None = None
        self._stopped: tuple[int, str] = (0, "")
        self._pid: object = None
        self._alive_ms = 0
        self._disk: Phase | None = None
        self._planned_ms: int | None = None
        #: How far (ms) this machine's clock is ahead of the exchange's.
        self._ahead = 0
        #: Which connections brought data, from when on.
        self.lines: list[tuple[int, tuple[int, ...]]] = []

    def take(self, at_ms: int, kind: str, event: _Event) -> None:
        """The next event. One of an unknown kind is a sign of life, no more."""
        handle = _HANDLERS.get(kind)
        if handle is not None:
            live = set(self._live)
            handle(self, at_ms, event)
            if self._live != live:
                self.lines.append((at_ms, tuple(sorted(self._live))))
        if kind not in _AT_OPENING:
            self._alive_ms = at_ms
            self._runs = True if self._runs is None else self._runs

    def end(self) -> list[Spell]:
        """All spells, by their beginning."""
        self._spells += self._dark.end(FOR_EVER, self._ahead)
        # What waits for the disk at the end is not in the file.
        self._end_disk(FOR_EVER, lost=True)
        return sorted(self._spells, key=lambda each: (each.first_ms, each.last_ms))

    # -- the process ------------------------------------------------------------------------------

    def _started(self, at_ms: int, event: _Event) -> None:
        live, self._pid = event.get("live"), event.get("pid")
        if isinstance(live, list) and live:
            # It took over from another process, and delivered before that made way.
            self._runs, self._mute = True, set()
            self._live = {number for number in live if isinstance(number, int)}
            self._spells += self._dark.end(at_ms, self._ahead)
            return
        if self._runs:
            died = Phase(self._alive_ms, "crash", "crash: the process ended without a word")
            self._dark.add(died)
            self._end_disk(at_ms, lost=True)
        elif self._runs is None:
            self._dark.add(Phase(at_ms, "restart", "the recorder had just begun"))
        elif at_ms - self._stopped[0] <= _RESTART_MS:
            self._dark.restarted(self._stopped[0], f"restarted ({self._stopped[1]})")
        self._runs = True
        self._live.clear()
        self._mute.clear()

    def _process_ended(self, at_ms: int, event: _Event) -> None:
        """The supervisor's word on a crash; of a clean end the process has told itself."""
        if not self._runs or event.get("role") != "recorder" or event.get("code") == 0:
            return
        if self._pid is not None and event.get("pid") != self._pid:
            return  # one that had made way
        how = text(event, "signal") or f"exit code {text(event, 'code')}"
        self._dark.add(Phase(self._alive_ms, "crash", f"crash: {how}"))
        self._end_disk(at_ms, lost=True)
        self._runs = False
        self._live.clear()
        self._mute.clear()

    def _ended(self, at_ms: int, event: _Event) -> None:
        reason = text(event, "reason") or "asked to"
        self._runs, self._stopped = False, (at_ms, reason)
        self._live.clear()
        self._dark.add(Phase(at_ms, "stopped", f"stopped ({reason})"))
        unwritten = round(number(event, "unwritten"))
        if unwritten and self._disk is None:
            words = f"{unwritten} candle(s) could not be written before the end"
            self._disk = Phase(at_ms, "disk", words)
        self._end_disk(at_ms, lost=bool(unwritten))

    def _suspended(self, at_ms: int, event: _Event) -> None:
        seconds = number(event, "seconds")
        since = at_ms - round(seconds * 1000) - _LOOK_MS
        # What was connected before is as good as dead, and is replaced.
        self._hush(self._live)
        self._dark.add(Phase(since, "suspended", f"this machine was suspended for {seconds:.0f} s"))

    def _held_up(self, at_ms: int, event: _Event) -> None:
        seconds = number(event, "seconds")
        since = at_ms - round(seconds * 1000) - _LOOK_MS
        words = f"the process stood still for {seconds:.0f} s"
        self._add(Phase(since, "hung", words), at_ms, dark=True)

    # -- connections ------------------------------------------------------------------------------

    def _went_live(self, at_ms: int, event: _Event) -> None:
        self._live.add(_connection(event, "connection"))
        self._spells += self._dark.end(at_ms, self._ahead)

    def _disconnected(self, at_ms: int, event: _Event) -> None:
        connection, reason = _connection(event, "connection"), text(event, "reason")
        attempt = event.get("seconds") is None
        how = f"{text(event, 'code')} {reason}".strip() or "no reason told"
        ended = Phase(at_ms, "disconnect", f"disconnected ({how})")
        was_live, was_mute = connection in self._live, connection in self._mute
        self._live.discard(connection)
        self._mute.discard(connection)
        if self._live:
            return
        if was_live or not self._dark.phases:
            self._dark.add(ended)
        elif was_mute:
            if not reason.startswith("connected, but"):
                self._dark.add(ended)
        elif attempt:
            self._dark.refuse(at_ms, reason.removeprefix("the handshake was answered "))
        else:
            self._dark.refuse(at_ms, f"accepted and ended ({how})")

    def _replaced(self, at_ms: int, event: _Event) -> None:
        self._live.discard(_connection(event, "old"))
        if event.get("why") == events.PLANNED and self._planned_ms is not None:
            began, self._planned_ms = self._planned_ms, None
            self._add(Phase(began, "handover", "a planned restart was under way"), at_ms)

    def _restart_planned(self, at_ms: int, _event: _Event) -> None:
        self._planned_ms = at_ms

    def _stalled(self, at_ms: int, event: _Event) -> None:
        connection = _connection(event, "connection")
        was_live = connection in self._live
        self._hush({connection})
        if self._live:
            return  # another one delivers
        words = f"nothing came on connection {connection}"
        if not was_live:
            words = f"connection {connection} opened, and nothing came"
        since = at_ms - round(abs(number(event, "seconds")) * 1000)
        self._dark.add(Phase(since, "silence", words))

    def _stream_silent(self, at_ms: int, event: _Event) -> None:
        since = at_ms - round(abs(number(event, "seconds")) * 1000)
        words = f"nothing came of {text(event, 'stream')} on connection {text(event, 'connection')}"
        self._add(Phase(since, "silence", words), at_ms, dark=True)

    def _hush(self, connections: set[int]) -> None:
        self._mute |= connections
        self._live = self._live - connections

    def _banned(self, at_ms: int, event: _Event) -> None:
        if event.get("what") == "connect" and self._dark.phases:
            words = f"banned until {text(event, 'until')} ({text(event, 'reason')})"
            self._dark.ban(Phase(at_ms, "ban", words), moment(event, "until") or at_ms)

    # -- frames, the disk, the clock --------------------------------------------------------------

    def _frames_rejected(self, at_ms: int, event: _Event) -> None:
        reason, count = text(event, "reason"), max(1, round(number(event, "count")))
        last = at_ms - round(abs(number(event, "ago")) * 1000)
        # An older log does not say how long they came for: it told once a minute.
        seconds = number(event, "seconds") if "seconds" in event else _OLD_SECONDS * (count > 1)
        first = last - round(abs(seconds) * 1000)
        if not reason.startswith(_FOREIGN):
            self._add(Phase(first, "rejected", f"frames could not be used ({reason})"), last)

    def _disk_full(self, at_ms: int, event: _Event) -> None:
        if self._disk is None:
            reason = text(event, "reason") or "no reason told"
            words = f"the candle file could not be written ({reason})"
            self._disk = Phase(at_ms, "waiting", words)

    def _backlog_full(self, at_ms: int, _event: _Event) -> None:
        words = "the candle file could not be written, and too many candles waited"
        began = at_ms if self._disk is None else self._disk.at_ms
        self._disk = Phase(began, "disk", words)

    def _disk_recovered(self, at_ms: int, _event: _Event) -> None:
        self._end_disk(at_ms, lost=False)

    def _end_disk(self, at_ms: int, *, lost: bool) -> None:
        """What waits is written once the disk is back: a cause it is only where that was not so."""
        disk, self._disk = self._disk, None
        if disk is not None:
            self._add(Phase(disk.at_ms, "disk", disk.words) if lost else disk, at_ms)

    def _skewed(self, _at_ms: int, event: _Event) -> None:
        self._ahead = round(number(event, "seconds") * 1000)

    def _stepped(self, _at_ms: int, event: _Event) -> None:
        ahead = self._ahead + round(number(event, "seconds") * 1000)
        # Somebody put right what was told to be wrong; else nobody knows what is right.
        self._ahead = ahead if self._ahead and abs(ahead) > _LOOK_MS else 0

    def _add(self, phase: Phase, ended_ms: int, *, dark: bool = False) -> None:
        self._spells.append(spell([phase], ended_ms, self._ahead, dark=dark))


def _connection(event: _Event, name: str) -> int:
    value = event.get(name)
    return value if isinstance(value, int) else -1


_HANDLERS: Mapping[str, Callable[[Teller, int, _Event], None]] = {
    "session_started": Teller._started,
    "session_stopped": Teller._ended,
    "process_ended": Teller._process_ended,
    "suspended": Teller._suspended,
    "held_up": Teller._held_up,
    "live": Teller._went_live,
    "disconnected": Teller._disconnected,
    "replaced": Teller._replaced,
    "restart_planned": Teller._restart_planned,
    "stalled": Teller._stalled,
    "stream_silent": Teller._stream_silent,
    "banned": Teller._banned,
    "frame_rejected": Teller._frames_rejected,
    "disk_full": Teller._disk_full,
    "backlog_full": Teller._backlog_full,
    "disk_recovered": Teller._disk_recovered,
    "clock_skewed": Teller._skewed,
    "clock_stepped": Teller._stepped,
}
