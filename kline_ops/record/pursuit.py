"""When REST is asked for what is missing, and when asking ends. Pure.

What is missing is asked for at once. What REST did not have is asked for again, after 1 s, 2 s, 4 s …
up to five minutes: its answer may lag behind the stream. The exchange has none when it said so twice
at least half an hour apart, or once for candles older than a day (an outage of the exchange).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kline_ops.market.interval import DAY_MS
from kline_ops.record.sequence import Span

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 300.0
_SECOND_LOOK = 1800.0


@dataclass(slots=True)
class _Absent:
    """A span that REST did not have: when it was first asked for, and when to ask again."""

    span: Span
    since: float
    asks: int
    again_at: float


class Pursuit:
    """Times are seconds on the monotonic clock, unless they end in ``_ms``."""

    def __init__(self) -> None:
        self._absent: list[_Absent] = []
        self._failures = 0
        self._blocked_until = 0.0

    def to_ask(self, due: Iterable[Span], now: float) -> list[Span]:
        """The parts of ``due`` to ask for now, oldest first."""
        if now < self._blocked_until:
            return []
        parts = list(due)
        for known in self._absent:
            if known.again_at > now:
                parts = [piece for part in parts for piece in _without(part, known.span)]
        return parts

    def next_at(self, due: Iterable[Span], now: float) -> float | None:
        """When :meth:`to_ask` may have more to say about ``due``; None if nothing is due."""
        if not any(True for _ in due):
            return None
        if now < self._blocked_until:
            return self._blocked_until
        later = [known.again_at for known in self._absent if known.again_at > now]
        return min(later, default=now + _FIRST_WAIT)

    def answered(self, asked: Span, left: Iterable[Span], now: float, now_ms: int) -> list[Span]:
        """REST answered for ``asked``, and ``left`` is still missing in it.

        Returns what the exchange has none of, for good.
        """
        self._failures = 0
        before = [known for known in self._absent if _overlaps(known.span, asked)]
        self._absent = [known for known in self._absent if not _overlaps(known.span, asked)]
        confirmed = []
        for span in left:
            old = [known for known in before if _overlaps(known.span, span)]
            since = min((known.since for known in old), default=now)
            asks = max((known.asks for known in old), default=0) + 1
            if now - since >= _SECOND_LOOK or now_ms - span.end > DAY_MS:
                confirmed.append(span)
                continue
            wait = min(_FIRST_WAIT * 2 ** min(asks - 1, 16), _LONGEST_WAIT)
            self._absent.append(_Absent(span, since, asks, now + wait))
        return confirmed

    def failed(self, now: float, retry_after: float | None, *, retryable: bool) -> None:
        """REST could not be asked, or refused. Everything waits: the host is the same."""
        self._failures += 1
        wait = min(_FIRST_WAIT * 2 ** min(self._failures - 1, 16), 30.0)
        if not retryable:
            wait = _LONGEST_WAIT
        self._blocked_until = now + max(wait, retry_after or 0.0)

    @property
    def failing(self) -> bool:
        """True while the last try to ask REST failed."""
        return self._failures > 0


def _overlaps(one: Span, other: Span) -> bool:
    return one.first < other.end and other.first < one.end


def _without(span: Span, cut: Span) -> list[Span]:
    if not _overlaps(span, cut):
        return [span]
    parts = [Span(span.first, cut.first), Span(cut.end, span.end)]
    return [part for part in parts if part.first < part.end]
