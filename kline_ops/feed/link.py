"""One connection as the plan sees it: where it stands, what it brought, what it missed. Pure.

Times are seconds on the monotonic clock, unless they end in ``_ms`` (the exchange's time).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from kline_ops.feed.states import State

#: How many closes of a stream are remembered, to tell which of them did not come.
_REMEMBERED = 16
#: A strike is forgiven after so many closes in a row that came in time.
_FORGIVEN = 10


@dataclass(slots=True)
class Link:
    """One connection."""

    number: int
    began: float
    endpoint: str = ""
    state: State = State.CONNECTING
    opened_at: float | None = None
    live_at: float | None = None
    live_ms: int = 0
    #: When silent streams no longer hold up the proof; None once that was looked at.
    proof_at: float | None = None
    heard_at: float = 0.0
    heard: dict[str, float] = field(default_factory=dict)
    #: It has been live for a while: that is counted once, not again with every second it lives.
    lasted: bool = False
    #: It counts as a failure already.
    failed: bool = False
    #: It tries a better address beside the connections that serve.
    probe: bool = False
    #: Why a successor is to take over; None while nobody wants that.
    why: str | None = None
    #: DRAINING: closed when everything that closes up to here is settled, or at the deadline.
    across_ms: int = 0
    deadline: float = 0.0
    successor: int = 0
    closing: bool = False
    strikes: dict[str, int] = field(default_factory=dict)
    _closes: dict[str, deque[int]] = field(default_factory=dict)
    _in_a_row: dict[str, int] = field(default_factory=dict)

    @property
    def is_watched(self) -> bool:
        """Whether it is to deliver, and nobody has decided on its end."""
        if self.why is not None or self.closing:
            return False
        return self.state is State.OPEN or self.state is State.LIVE

    def hear(self, stream: str, now: float, closed_ms: int | None) -> None:
        """It brought something."""
        self.heard_at = self.heard[stream] = now
        if closed_ms is None:
            return
        closes = self._closes.setdefault(stream, deque(maxlen=_REMEMBERED))
        if closed_ms in closes:
            return
        closes.append(closed_ms)
        if stream in self.strikes:
            self._in_a_row[stream] = self._in_a_row.get(stream, 0) + 1
            if self._in_a_row[stream] >= _FORGIVEN:
                del self.strikes[stream], self._in_a_row[stream]

    def missed(self, stream: str, open_ms: int, close_ms: int) -> bool:
        """Should it have brought this close, and did it not?"""
        if self.state is not State.LIVE or not self.is_watched or close_ms <= self.live_ms:
            return False
        closes = self._closes.get(stream, ())
        forgotten = len(closes) == _REMEMBERED and open_ms < min(closes)
        return open_ms not in closes and not forgotten

    def strike(self, stream: str) -> int:
        """Count a missed close; answers how many there are now."""
        self.strikes[stream] = self.strikes.get(stream, 0) + 1
        self._in_a_row[stream] = 0
        return self.strikes[stream]
