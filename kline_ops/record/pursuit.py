"""When REST is asked for what is missing, and when asking ends. Pure.

What is missing is asked for at once. What REST did not have is asked for again, after 1 s, 2 s, 4 s …
up to five minutes: its answer may lag behind the stream. The exchange has none when it said so twice,
at least half an hour apart, or a minute for candles older than a day: one short answer proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from kline_ops.market.interval import DAY_MS
from kline_ops.record.span import Span, within, without

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 300.0
_SECOND_LOOK = 1800.0
_SECOND_LOOK_OLD = 60.0


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
        #: REST is left alone until then.
        self.blocked_until = 0.0

    def to_ask(self, due: Iterable[Span], now: float) -> list[Span]:
        """The parts of ``due`` to ask for now, oldest first."""
        if not self.may_ask(now):
            return []
        parts = list(due)
        self._forget_what_came(parts)
        for known in self._absent:
            if known.again_at > now:
                parts = without(parts, known.span)
        return parts

    def next_at(self, due: Iterable[Span], now: float) -> float | None:
        """When :meth:`to_ask` may have more to say about ``due``; None if nothing is due."""
        if not any(True for _ in due):
            return None
        if now < self.blocked_until:
            return self.blocked_until
        later = [known.again_at for known in self._absent if known.again_at > now]
        return min(later, default=now + _FIRST_WAIT)

    def answered(self, asked: Span, left: Iterable[Span], now: float, now_ms: int) -> list[Span]:
        """REST answered for ``asked``, and ``left`` is still missing in it.

        Returns what the exchange has none of, for good.
        """
        self._failures = 0
        before = [known for known in self._absent if known.span.overlaps(asked)]
        self._absent = [
            replace(known, span=part)
            for known in self._absent
            for part in without([known.span], asked)
        ]
        confirmed: list[Span] = []
        for span in left:
            for part, known in _parts(span, before):
                old = now_ms - part.end > DAY_MS
                second_look = _SECOND_LOOK_OLD if old else _SECOND_LOOK
                if known is not None and now - known.since >= second_look:
                    confirmed.append(part)
                    continue
                asks = 0 if known is None else known.asks
                wait = min(_FIRST_WAIT * 2 ** min(asks, 16), _LONGEST_WAIT)
                since = now if known is None else known.since
                self._absent.append(_Absent(part, since, asks + 1, now + wait))
        return confirmed

    def failed(self, now: float, retry_after: float | None, *, retryable: bool) -> None:
        """REST could not be asked, or refused. Everything waits: the host is the same."""
        self._failures += 1
        wait = min(_FIRST_WAIT * 2 ** min(self._failures - 1, 16), 30.0)
        if not retryable:
            wait = _LONGEST_WAIT
        self.blocked_until = now + max(wait, retry_after or 0.0)

    def postponed(self, now: float, seconds: float) -> None:
        """REST may be asked in so many seconds only; that is no failure of it."""
        self.blocked_until = now + seconds

    def _forget_what_came(self, due: list[Span]) -> None:
        """What the stream, or another page, has brought since is not remembered for ever."""
        self._absent = [
            known for known in self._absent if any(known.span.overlaps(span) for span in due)
        ]

    def may_ask(self, now: float) -> bool:
        """False while REST, having failed or refused, is to be left alone."""
        return now >= self.blocked_until


def _parts(span: Span, before: list[_Absent]) -> list[tuple[Span, _Absent | None]]:
    """A span cut into what was absent before, with that record, and what is absent now only."""
    parts: list[tuple[Span, _Absent | None]] = []
    fresh = [span]
    for known in before:
        parts += [(part, known) for part in within([known.span], span)]
        fresh = without(fresh, known.span)
    return sorted([*parts, *((part, None) for part in fresh)], key=_first)


def _first(part: tuple[Span, _Absent | None]) -> Span:
    return part[0]
