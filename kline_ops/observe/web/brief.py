"""An answer that is made anew only so often, however many ask: a flood costs the loop no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds that an answer holds.
_HOLDS = 0.1
#: Questions whose answers are kept.
_MOST = 4


class Brief(Generic[T]):
    """Answers of ``make``, by what was asked; ``now`` in seconds, of a clock that goes on."""

    def __init__(self, make: Callable[[str], T], now: Callable[[], float]) -> None:
        self._make = make
        self._now = now
        self._made: dict[str, tuple[float, T]] = {}

    def of(self, asked: str) -> T:
        """Its answer, a tenth of a second old at the most."""
        now = self._now()
        kept = self._made.get(asked)
        if kept is not None and now - kept[0] < _HOLDS:
            return kept[1]
        if len(self._made) >= _MOST:
            self._made.clear()
        answer = self._make(asked)
        self._made[asked] = (now, answer)
        return answer
