"""How a session stands at one moment, as plain values: for the dashboard, health, metrics and HTTP.

Taken on the event loop, shown elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from kline_ops.market.interval import Interval
from kline_ops.market.messages import Kline
from kline_ops.resilience.allowance import Usage


class Address(NamedTuple):
    """One of the exchange's addresses, and the circuit breaker at it."""

    #: Without passwords and tokens.
    endpoint: str
    #: ``closed``, ``open`` or ``half open``.
    breaker: str
    #: Attempts that brought no data: in a row, and since this process began.
    failures: int
    failed: int


class Queue(NamedTuple):
    """What waits, how much may, and what found no room or was lost since this process began."""

    size: int
    capacity: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Wire:
    """The connections to the exchange. Durations in seconds; None: not known."""

    #: Does one deliver that is not silent for too long?
    is_up: bool = False
    #: How many are ``connecting``, ``open``, ``live``, ``draining``; what there is none of is left out.
    connections: Mapping[str, int] = field(default_factory=dict)
    #: Attempts to connect since this process began.
    attempts: int = 0
    addresses: tuple[Address, ...] = ()
    #: Until the next attempt; 0 while none has to wait.
    retry_in: float = 0.0
    #: Since the last usable message.
    heard_ago: float | None = None
    #: Since the last pong to a ping of ours, and how long that took.
    pong_ago: float | None = None
    latency: float | None = None


@dataclass(frozen=True, slots=True)
class People:
    """Whoever is told of trouble."""

    #: Messages for them.
    queue: Queue
    #: Where these go: all that may be told of it.
    hosts: tuple[str, ...]
    #: By topic: is something not well now?
    incidents: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look. Times are the exchange's, in milliseconds; durations in seconds; None: not known."""

    now_ms: int
    #: The content of the state file at this moment: the figures are those that ``status`` tells.
    state: Mapping[str, Any]
    symbol: str
    interval: Interval
    #: The candle file; its last rows are what the table and the chart show.
    csv: Path
    uptime: float
    next_due_ms: int | None = None
    next_restart_ms: int | None = None
    #: How long the connection in charge has been live, and since when nothing came.
    live_for: float | None = None
    silent_for: float | None = None
    #: The last update of a candle, whether it closed it or not.
    last: Kline | None = None
    session: str = ""
    #: ``RECORDING``, ``STALLED`` …, and why; empty where all is well.
    word: str = ""
    reason: str = ""
    #: The end has begun: it was told to stop, or to make way.
    is_stopping: bool = False
    #: A live connection that is not silent for too long, and a disk that takes candles.
    delivering: bool = False
    #: Owed candles that are due and not on disk; those of them that REST is asked for, that it did not
    #: have when it was asked last, and that the exchange itself has none of.
    missing: int = 0
    pursued: int = 0
    absent: int = 0
    confirmed: int = 0
    #: Candles in memory, for the disk.
    waiting: int = 0
    #: Without a connection that delivers; None while there is one.
    dark_for: float | None = None
    #: How long the newest owed candle has been due; zero or less while it is not.
    overdue_for: float = 0.0
    disk_error: str | None = None
    rest_error: str | None = None
    #: Frames since this process began, updates of candles among them, and those that could not be used,
    #: by reason.
    messages: int = 0
    klines: int = 0
    rejects: Mapping[str, int] = field(default_factory=dict)
    #: This machine's wall clock, when this process began by it, and when it replaced the state file last
    #: (milliseconds).
    wall_ms: int = 0
    started_ms: int = 0
    written_ms: int | None = None
    wire: Wire = field(default_factory=Wire)
    #: The candle file: the close time of its newest row, and its bytes.
    file_closed_ms: int | None = None
    file_bytes: int = 0
    #: Where a fresh process takes over (MB); None: nowhere.
    memory_limit: float | None = None
    allowed: Usage | None = None
    #: ``candles`` for the disk, ``events`` for the event log.
    queues: Mapping[str, Queue] = field(default_factory=dict)
    #: None where nobody is told.
    people: People | None = None

    @property
    def told(self) -> Mapping[str, Any]:
        """The ``metadata`` of the state file."""
        told: Mapping[str, Any] = self.state["metadata"]
        return told
