"""Frames that could not be used: counted, and told once per interval and reason. Pure.

Where a hole is found, what was not told yet is told at once: it may be why.
"""

from __future__ import annotations

from kline_ops.events import FrameRejected

#: Seconds between two events about the same reason.
_INTERVAL = 60.0
_SAMPLE = 200


class Rejects:
    """Counts by reason; ``total`` is for the state file."""

    def __init__(self) -> None:
        self.total = 0
        #: Of all that came, for metrics; bounded like the rest.
        self.by_reason: dict[str, int] = {}
        self._since: dict[str, int] = {}
        self._quiet_until: dict[str, float] = {}
        #: When the first and the last one came that were not told, and what the last one was.
        self._untold: dict[str, tuple[float, float, bytes]] = {}

    def count(self, reason: str, frame: bytes, now: float) -> FrameRejected | None:
        """Take in one; answers the event to emit, or None while this reason was told lately."""
        self.total += 1
        if reason not in self._since and len(self._since) >= 100:
            reason = "other"
        self._since[reason] = self._since.get(reason, 0) + 1
        self.by_reason[reason] = self.by_reason.get(reason, 0) + 1
        first, *_ = self._untold.get(reason, (now,))
        self._untold[reason] = first, now, frame[:_SAMPLE]
        if now < self._quiet_until.get(reason, now):
            return None
        self._quiet_until[reason] = now + _INTERVAL
        return self._tell(reason, now)

    def untold(self, now: float) -> list[FrameRejected]:
        """The events of all that was counted and not told."""
        return [self._tell(reason, now) for reason in list(self._untold)]

    def _tell(self, reason: str, now: float) -> FrameRejected:
        first, last, frame = self._untold.pop(reason)
        count, self._since[reason] = self._since[reason], 0
        return FrameRejected(
            reason=reason,
            count=count,
            sample=frame.decode("utf-8", "replace"),
            seconds=round(last - first, 3),
            ago=round(now - last, 3),
        )
