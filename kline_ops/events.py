"""Every notable happening, typed; emitted once, heard by all.

The event log, the log, the state file and whatever is added later are listeners; the recorder knows
none of them. On disk an event is one JSON object a line: ``ts``, ``kind``, and its fields. Times in
events are text as in the candle file; durations are seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from kline_ops.secret import redacted, shown_url


def _kind(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=_kind):
    """The root of all events. ``kind`` on disk is the class name in snake case."""

    @property
    def kind(self) -> str:
        """``SessionStarted`` is ``session_started``."""
        return str(self.__struct_config__.tag)


class SessionStarted(Event, frozen=True, kw_only=True):
    """The recorder has the candle file and begins.

    ``live``: its connections that deliver already, where it took over from another process.
    """

    name: str
    pid: int
    symbol: str
    interval: str
    csv: str
    live: tuple[int, ...] = ()


class SessionStopped(Event, frozen=True, kw_only=True):
    """The recorder ended; all that was received is on disk, but for ``unwritten`` candles."""

    reason: str
    unwritten: int = 0


class HandedOver(Event, frozen=True, kw_only=True):
    """The recorder made way for a fresh process, which delivers already: no end of the session."""

    pid: int


class ProcessEnded(Event, frozen=True, kw_only=True):
    """A process of the session ended, as its supervisor saw it: by ``code`` or by ``signal``.

    ``role``: ``recorder``, ``successor`` where it was still to take over, or ``command``.
    """

    role: str
    pid: int
    code: int | None
    signal: str | None
    seconds: float
    reason: str


class CrashLoop(Event, frozen=True, kw_only=True):
    """It crashed too often within ten minutes; it is started again slowly from here on."""

    crashes: int
    reason: str


class RenewalFailed(Event, frozen=True, kw_only=True):
    """A fresh process was to take over and did not; the recorder goes on as it was."""

    reason: str


class MemoryHigh(Event, frozen=True, kw_only=True):
    """The recorder holds more memory than it should; a fresh process takes over where one can."""

    megabytes: float
    limit: float


class Connected(Event, frozen=True, kw_only=True):
    """A handshake succeeded, after ``seconds``. It proves nothing yet."""

    connection: int
    endpoint: str
    seconds: float = 0.0


class Live(Event, frozen=True, kw_only=True):
    """Every stream has delivered through this connection."""

    connection: int
    endpoint: str
    seconds: float


class Disconnected(Event, frozen=True, kw_only=True):
    """A connection ended, or could not be made (then ``seconds`` is None)."""

    connection: int
    endpoint: str
    code: int | None
    reason: str
    seconds: float | None


class AttemptsExhausted(Event, frozen=True, kw_only=True):
    """``max_attempts`` in a row brought no data; attempts go on, at the longest wait."""

    attempts: int
    reason: str


class HeartbeatRestart(Event, frozen=True, kw_only=True):
    """What keeps data flowing had died; a fresh one was begun within the process."""

    reason: str


class RestartPlanned(Event, frozen=True, kw_only=True):
    """A boundary of the TimeTrigger is near; a successor is being opened."""

    boundary: str


class RestartSkipped(Event, frozen=True, kw_only=True):
    """A boundary came too soon after the connection had become live; None: while there was none."""

    boundary: str
    seconds: float | None


#: ``Replaced.why`` of a planned restart.
PLANNED = "planned"


class Replaced(Event, frozen=True, kw_only=True):
    """A connection was retired after its successor had delivered. ``overlap`` in seconds."""

    old: int
    new: int
    why: str
    overlap: float


class Stalled(Event, frozen=True, kw_only=True):
    """A connection is open and brings nothing."""

    connection: int
    seconds: float


class CloseMissed(Event, frozen=True, kw_only=True):
    """A traded candle closed, and this connection did not say so in time; REST had it.

    At the first ``strikes`` the stream is subscribed anew, at the next its connection is replaced.
    """

    connection: int
    stream: str
    open_time: str
    strikes: int


class StreamSilent(Event, frozen=True, kw_only=True):
    """A stream brings nothing though its market trades; it is subscribed anew."""

    connection: int
    stream: str
    seconds: float


class EndpointChanged(Event, frozen=True, kw_only=True):
    """Data comes from another address of the exchange than before."""

    old: str
    new: str


class BreakerOpened(Event, frozen=True, kw_only=True):
    """So many attempts in a row at this address brought no data: others are preferred."""

    endpoint: str
    failures: int
    reason: str


class BreakerClosed(Event, frozen=True, kw_only=True):
    """This address has brought data for a while again."""

    endpoint: str


class ConnectDelayed(Event, frozen=True, kw_only=True):
    """The budget of connection attempts holds an attempt back for ``seconds``."""

    endpoint: str
    seconds: float


class ShutdownNotice(Event, frozen=True, kw_only=True):
    """The exchange announced that this server goes away."""

    connection: int


class HoleFound(Event, frozen=True, kw_only=True):
    """Candles are missing between others, or overdue at the end."""

    first: str
    last: str
    candles: int


class HoleFilled(Event, frozen=True, kw_only=True):
    """Candles that were missing are on disk now."""

    first: str
    last: str
    candles: int
    source: str


class HoleConfirmed(Event, frozen=True, kw_only=True):
    """The exchange itself has none of these candles."""

    first: str
    last: str
    candles: int


class BackfillFailed(Event, frozen=True, kw_only=True):
    """REST could not be asked; it will be asked again."""

    reason: str


class MarketClosed(Event, frozen=True, kw_only=True):
    """The exchange knows the symbol and does not trade it now (``BREAK``, ``HALT``)."""

    symbol: str
    status: str


class Banned(Event, frozen=True, kw_only=True):
    """The exchange asked to be left alone: nothing of this kind (connect, request) before ``until``."""

    what: str
    until: str
    reason: str


class FrameRejected(Event, frozen=True, kw_only=True):
    """Frames that could not be used since the last such event, by reason.

    They came within ``seconds``, the last of them ``ago`` seconds before this is told: that is once a
    minute, and where a hole is found.
    """

    reason: str
    count: int
    sample: str
    seconds: float = 0.0
    ago: float = 0.0


class CandleConflict(Event, frozen=True, kw_only=True):
    """A candle was seen twice and the two differ; the first one stays."""

    open_time: str
    kept: str
    seen: str


class CandleAmended(Event, frozen=True, kw_only=True):
    """The exchange has other numbers for a candle than the file; the file keeps its own."""

    open_time: str
    kept: str
    seen: str


class JournalRepaired(Event, frozen=True, kw_only=True):
    """The candle file had a torn end; what was cut off is kept in ``saved_to``."""

    what: str
    saved_to: str


class DiskFull(Event, frozen=True, kw_only=True):
    """The candle file can not be written; candles wait in memory."""

    reason: str
    waiting: int


class BacklogFull(Event, frozen=True, kw_only=True):
    """No more candles may wait in memory for the disk; what comes now is fetched from REST later."""

    waiting: int


class DiskRecovered(Event, frozen=True, kw_only=True):
    """The candle file can be written again; what waited is on disk."""

    written: int
    seconds: float


class Suspended(Event, frozen=True, kw_only=True):
    """This machine was suspended, and the recorder with it."""

    seconds: float


class HeldUp(Event, frozen=True, kw_only=True):
    """The machine was awake, and this process stood still: stopped, swapped out, or starved."""

    seconds: float


class ClockStepped(Event, frozen=True, kw_only=True):
    """This machine's wall clock was set: forward, or back (less than zero)."""

    seconds: float


class ClockSkewed(Event, frozen=True, kw_only=True):
    """This machine's wall clock is ahead of the exchange's time, or behind (less than zero)."""

    seconds: float


class Alerted(Event, frozen=True, kw_only=True):
    """People are told something: a message goes to the alert channels.

    ``step``: ``opened``, ``escalated``, ``reminded``, ``again``, ``resolved`` or ``passed``; empty
    where the message is about no incident.
    """

    level: str
    topic: str
    step: str
    title: str


class AlertFailed(Event, frozen=True, kw_only=True):
    """An alert channel does not take messages; ``lost``: so many were not delivered since it fails.

    Told of the dead man's switch (``alerts.ping_url``), too.
    """

    host: str
    reason: str
    lost: int = 0


class Recorded(Event, frozen=True, kw_only=True):
    """Candles are on disk, fsynced. Not in the event log: the candle file tells it."""

    first: str
    last: str
    candles: int
    source: str


#: Fields that hold an address and nothing else.
_ADDRESSES = frozenset({"endpoint", "old", "new"})


def without_secrets(event: Event) -> Event:
    """The event as it may be told: addresses without passwords and tokens.

    The rules that make events know an address by the whole of it; nobody who hears of it has to.
    """
    changes = {}
    for field in event.__struct_fields__:
        value = getattr(event, field)
        if isinstance(value, str):
            told = shown_url(value) if field in _ADDRESSES else redacted(value)
            if told != value:
                changes[field] = told
    return msgspec.structs.replace(event, **changes) if changes else event


Listener = Callable[[Event], None]
_log = logging.getLogger(__name__)


class Bus:
    """Hands each event to every listener, in the order they were added."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Add a listener; it must return at once."""
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Tell everybody. A listener that fails is told of in the log and harms no one else."""
        event = without_secrets(event)
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - the boundary between recording and everything that looks at it
                _log.exception("a listener failed on %s", event.kind)
