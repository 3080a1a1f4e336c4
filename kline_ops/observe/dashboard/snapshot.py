"""What the dashboard shows of a session, as plain values: taken on the event loop, drawn elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kline_ops.market.interval import Interval
from kline_ops.market.messages import Kline


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

    @property
    def told(self) -> Mapping[str, Any]:
        """The ``metadata`` of the state file."""
        told: Mapping[str, Any] = self.state["metadata"]
        return told
