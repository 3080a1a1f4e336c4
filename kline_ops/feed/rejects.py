"""Frames that could not be used: counted, and told once per interval and reason. Pure."""

from __future__ import annotations

from kline_ops.events import FrameRejected

#: Seconds between two events about the same reason.
_INTERVAL = 60.0
_SAMPLE = 200


class Rejects:
    """Counts by reason; ``total`` is for the state file."""

    def __init__(self) -> None:
        self.total = 0
        self._since: dict[str, int] = {}
        self._quiet_until: dict[str, float] = {}

    def count(self, reason: str, frame: bytes, now: float) -> FrameRejected | None:
        """Take in one; answers the event to emit, or None while this reason was told lately."""
        self.total += 1
        if reason not in self._since and len(self._since) >= 100:
            reason = "other"
        self._since[reason] = self._since.get(reason, 0) + 1
        if now < self._quiet_until.get(reason, now):
            return None
        self._quiet_until[reason] = now + _INTERVAL
        count, self._since[reason] = self._since[reason], 0
        sample = frame[:_SAMPLE].decode("utf-8", "replace")
        return FrameRejected(reason=reason, count=count, sample=sample)
