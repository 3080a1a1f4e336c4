"""The faults of a drill, a line each: how it begins, by what it is noticed and how soon, what it takes.

To add one: a line in :data:`TROUBLES`. A fault of the exchange that has no line here fails a test.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kline_ops.drill import pace
from kline_ops.drill.disk import DiskFault
from kline_ops.drill.stage import Stage, garble, move_away, tear
from kline_ops.exchange.faults import Fault, FaultKind

#: Lines that a file has before one is garbled; seconds between two looks at it.
_GARBLED_FROM, _LOOK = 4, 0.1


@dataclass(frozen=True, slots=True)
class Sign:
    """An event by which the recorder shows that it has noticed."""

    kind: str
    #: Fields that it has: as a number, or as a part of a text.
    fields: Mapping[str, int | str] = field(default_factory=dict)

    def fits(self, event: Mapping[str, Any]) -> bool:
        """Whether this event is it."""
        return event["kind"] == self.kind and all(
            value in event[name] if isinstance(value, str) else event[name] == value
            for name, value in self.fields.items()
        )


#: Begins a fault that lasts so many seconds. Answers since when (ms) it can be noticed, if later.
Begin = Callable[[Stage, float], Awaitable[int | None]]


@dataclass(frozen=True, slots=True)
class Trouble:
    """One line of the drill. Times in seconds."""

    name: str
    begin: Begin
    #: Any of these is enough; none: it costs nothing, and there is nothing to be told.
    signs: tuple[Sign, ...]
    #: The deadline for noticing.
    within: float
    lasts: float
    #: From its beginning until all is well again, as a rule.
    needs: float
    #: The faults of the exchange that it is made of.
    kinds: frozenset[FaultKind] = frozenset()
    #: Its traces outlive it: it comes after all others.
    last: bool = False
    #: What a candle that it costs may truly be put down to, where nothing is fetched from REST: kinds
    #: of :class:`kline_ops.gaps.model.Cause`. None: it costs no candle.
    causes: frozenset[str] = frozenset()
    #: Without REST the candles before it are gone with it: it comes before all others then.
    forgets: bool = False


# How they begin.


def _exchange(*kinds: FaultKind, **fields: Any) -> Begin:
    """Faults of the exchange, those that last for as long as the trouble does."""

    async def begin(stage: Stage, seconds: float) -> None:
        stage.apply(*(Fault(kind, **{"seconds": seconds, **fields}) for kind in kinds))

    return begin


def _unclosed(*kinds: FaultKind, **fields: Any) -> Begin:
    """The closing frame of the next close is missing; REST fails from then on, past the grace."""

    async def begin(stage: Stage, seconds: float) -> int:
        candle, closes_ms = stage.forming()
        until = stage.seconds_to(closes_ms) + pace.GRACE + seconds
        stage.apply(
            *(Fault(kind, **{"seconds": until, **fields}) for kind in kinds),
            Fault(FaultKind.WITHHOLD, candle=candle),
        )
        return closes_ms

    return begin


async def _amended(stage: Stage, _seconds: float) -> None:
    candle, _ = stage.forming()
    stage.apply(Fault(FaultKind.AMEND, candle=candle))


async def _strange(stage: Stage, _seconds: float) -> None:
    # A reason is told once a minute: this one has not been before.
    unheard = f'{{"e":"drill {stage.clock.wall_ms()}"}}'
    kinds = (FaultKind.GARBAGE, FaultKind.FOREIGN, FaultKind.IMPOSSIBLE)
    stage.apply(Fault(FaultKind.INJECT, text=unheard), *(Fault(kind) for kind in kinds))


async def _endpoint(stage: Stage, seconds: float) -> int:
    dead = await stage.in_use()
    began_ms = stage.clock.wall_ms()
    dead.apply(Fault(FaultKind.REFUSE_TCP, seconds))
    dead.apply(Fault(FaultKind.CUT))
    return began_ms


def _disk(fault: DiskFault) -> Begin:
    async def begin(stage: Stage, seconds: float) -> None:
        stage.disk.tell(fault)
        await stage.sleep(seconds)
        stage.disk.tell(DiskFault.NONE)

    return begin


async def _killed(stage: Stage, _seconds: float) -> None:
    await stage.while_down(lambda _csv: None, kill=True)


async def _terminated(stage: Stage, _seconds: float) -> None:
    await stage.while_down(lambda _csv: None, kill=False)


async def _torn(stage: Stage, _seconds: float) -> None:
    await stage.while_down(tear, kill=True)


async def _garbled(stage: Stage, _seconds: float) -> int:
    # A file without any row of ours is nobody's to repair: there is to be another one.
    while stage.csv.read_bytes().count(b"\n") < _GARBLED_FROM:
        await stage.sleep(_LOOK)
    began_ms = stage.clock.wall_ms()
    await stage.while_down(garble, kill=False)
    return began_ms


async def _stopped(stage: Stage, seconds: float) -> None:
    stage.child.send(signal.SIGSTOP)
    await stage.sleep(seconds)
    stage.child.send(signal.SIGCONT)


async def _moved(stage: Stage, _seconds: float) -> None:
    move_away(stage.csv)


async def _renewed(stage: Stage, _seconds: float) -> None:
    stage.child.send(signal.SIGUSR1)


# By what they are noticed.


def _ended(**fields: int | str) -> tuple[Sign, ...]:
    return (Sign("disconnected", fields),)


_MUTE = (Sign("stalled"), Sign("stream_silent"), Sign("close_missed"))
_HOLE = (Sign("hole_found"),)
_BEGUN = (Sign("session_started"),)
_REPAIRED = (Sign("journal_repaired"),)
_REST = (Sign("backfill_failed"),)
_FULL = (Sign("disk_full"),)
_NOTHING: tuple[Sign, ...] = ()

# What their losses are put down to.

_IN_VAIN = "disconnect refused"
_CLEAN_END = "stopped restart"

_K = FaultKind


def _of(
    name: str, kinds: set[FaultKind], begin: Begin, signs: tuple[Sign, ...], causes: str,
    *times: float,
) -> Trouble:  # fmt: skip
    within, lasts, needs = times
    trouble = Trouble(name, begin, signs, within, lasts, needs, frozenset(kinds))
    return replace(trouble, causes=frozenset(causes.split()))


def _on(
    kind: FaultKind, signs: tuple[Sign, ...], causes: str, *times: float, **fields: Any
) -> Trouble:
    """A fault of the exchange by its own name."""
    return _of(kind.value, {kind}, _exchange(kind, **fields), signs, causes, *times)


def _reconnecting(
    kind: FaultKind, signs: tuple[Sign, ...], causes: str, *times: float, **fields: Any
) -> Trouble:
    """A fault that meets who connects: the connection is cut."""
    begin = _exchange(kind, _K.CUT, **fields)
    return _of(kind.value, {kind, _K.CUT}, begin, signs, causes, *times)


def _closing(code: int) -> Trouble:
    begin = _exchange(_K.CLOSE, code=code)
    signs = _ended(code=code)
    return _of(f"close-{code}", {_K.CLOSE}, begin, signs, "disconnect", pace.AT_ONCE, 0.0, 1.2)


def _resting(kind: FaultKind, signs: tuple[Sign, ...], *times: float, **fields: Any) -> Trouble:
    begin = _unclosed(kind, **fields)
    return _of(kind.value, {kind, _K.WITHHOLD}, begin, signs, "unclosed", *times)


#: In groups; a drill shuffles them. The numbers: noticed within, lasts, needs in all.
TROUBLES: tuple[Trouble, ...] = (
    # Connections end.
    _on(_K.CUT, _ended(code=1006), "disconnect", pace.AT_ONCE, 0.0, 1.2),
    _closing(1000),
    _closing(1001),
    _closing(1011),
    _of("shutdown", {_K.SHUTDOWN}, _exchange(_K.SHUTDOWN, code=1001),
        (Sign("shutdown_notice"),), "disconnect", pace.AT_ONCE, 1.0, 1.1),
    # Connections can not be made.
    _reconnecting(_K.ACCEPT_CLOSE, _ended(code=1013), _IN_VAIN, pace.AT_ONCE, 1.2, 2.2,
                  code=1013),
    _reconnecting(_K.REFUSE, _ended(reason="HTTP 503"), _IN_VAIN, pace.AT_ONCE, 1.2, 2.3),
    _reconnecting(_K.REFUSE_TCP, _ended(reason="refused"), _IN_VAIN, pace.AT_ONCE, 1.2, 2.3),
    _reconnecting(_K.HANG, _ended(reason="no handshake"), _IN_VAIN, pace.UNANSWERED, 2.0, 3.2),
    _of("endpoint-dead", {_K.REFUSE_TCP, _K.CUT}, _endpoint,
        (Sign("endpoint_changed"),), _IN_VAIN, pace.FAILOVER, 2.0, 2.4),
    # Connections bring nothing.
    _on(_K.SILENCE, _MUTE, "silence", pace.SILENT, 2.6, 2.9),
    _on(_K.HALF_OPEN, (*_MUTE, Sign("disconnected")), f"silence {_IN_VAIN}", pace.SILENT, 2.6, 2.9),
    _reconnecting(_K.ACK_ONLY, _MUTE, "disconnect silence", pace.SILENT_ANEW, 1.0, 3.2),
    _on(_K.DEAD_STREAM, _MUTE, "silence", pace.SILENT, 2.6, 2.9),
    # Frames.
    _resting(_K.WITHHOLD, _HOLE, pace.MISSING, 0.0, 1.2),
    _on(_K.LATE, _HOLE, "unclosed", pace.MISSING_NEXT, 1.6, 2.2, delay=1.2),
    _on(_K.DOUBLED, _NOTHING, "", 0.0, 1.6, 1.7),
    _on(_K.DISORDERED, _HOLE, "unclosed", pace.MISSING_NEXT, 2.2, 2.4),
    _on(_K.TRUNCATED, (Sign("frame_rejected"), *_HOLE), "rejected", pace.MISSING_NEXT, 1.6, 2.0),
    _of("strange-frames", {_K.INJECT, _K.GARBAGE, _K.FOREIGN, _K.IMPOSSIBLE}, _strange,
        (Sign("frame_rejected", {"reason": "drill"}),), "", pace.AT_ONCE, 0.0, 0.3),
    # REST, while the closing frame of a candle is missing.
    _resting(_K.REST_DOWN, _REST, pace.MISSING, 0.6, 2.4),
    _resting(_K.REST_LIMITED, _REST, pace.MISSING, 0.6, 2.4),
    _resting(_K.REST_BANNED, (Sign("banned"),), pace.MISSING, 0.6, 2.4),
    _resting(_K.REST_SLOW, _HOLE, pace.MISSING, 0.6, 2.1, delay=0.8),
    _resting(_K.REST_LAGGING, _HOLE, pace.MISSING, 1.2, 2.8, delay=0.8),
    _resting(_K.REST_STALE, _HOLE, pace.MISSING, 1.2, 2.6, delay=0.8),
    # The market, and its time.
    _of("amend", {_K.AMEND}, _amended, _NOTHING, "", 0.0, 1.0, 1.1),
    _on(_K.MAINTENANCE, _HOLE, "unclosed silence exchange", pace.MISSING_WHOLE, 1.6, 2.6),
    _on(_K.QUIET, _HOLE, "unclosed silence", pace.MISSING_WHOLE, 1.6, 2.4, closes=False),
    # What the exchange has said of its time is believed for minutes after.
    replace(_on(_K.SKEW, (Sign("clock_skewed"),), "unclosed rejected", pace.SKEW, 2.6, 2.8,
                offset=1.5), last=True),
    # The recorder's process.
    _of("kill-9", set(), _killed, _BEGUN, "crash", pace.START, 0.0, 1.6),
    _of("sigterm", set(), _terminated, _BEGUN, _CLEAN_END, pace.START, 0.0, 1.7),
    _of("sigstop", set(), _stopped, _NOTHING, "hung", 0.0, 2.0, 2.2),
    _of("planned-restart", set(), _renewed, _NOTHING, "restart", 0.0, 1.2, 1.3),
    # The disk, and the file.
    _of("disk-full", set(), _disk(DiskFault.FULL), _FULL, "disk", pace.DISK, 1.4, 2.3),
    _of("disk-eio", set(), _disk(DiskFault.BROKEN), _FULL, "disk", pace.DISK, 1.4, 2.5),
    _of("disk-read-only", set(), _disk(DiskFault.READ_ONLY), _FULL, "disk", pace.DISK, 1.4, 2.5),
    _of("disk-short", set(), _disk(DiskFault.SHORT), _NOTHING, "disk", 0.0, 1.4, 1.5),
    _of("disk-slow", set(), _disk(DiskFault.SLOW), _NOTHING, "disk", 0.0, 1.4, 1.6),
    _of("torn-row", set(), _torn, _REPAIRED, "crash repaired", pace.START, 0.0, 1.6),
    _of("garbled-row", set(), _garbled, _REPAIRED, f"{_CLEAN_END} repaired", pace.START, 0.0, 1.7),
    replace(_of("file-moved", set(), _moved, _REPAIRED, "repaired", pace.GONE, 0.0, 1.3),
            forgets=True),
)  # fmt: skip
