"""A clock that stands still until a test moves it."""

from __future__ import annotations


class ToldClock:
    """``now_ms`` is both of its times."""

    def __init__(self, now_ms: int = 1_767_225_600_000) -> None:
        self.now_ms = now_ms

    def wall_ms(self) -> int:
        return self.now_ms

    def monotonic(self) -> float:
        return self.now_ms / 1000
