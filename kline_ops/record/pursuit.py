"""When REST is asked for what is missing, and when asking ends. Pure.

What is missing is asked for at once. What REST did not have is asked for again, after 1 s, 2 s, 4 s …
up to five minutes: its answer may lag behind the stream. The exchange has none when it said so twice,
at least half an hour apart, or a minute for candles older than a day: one short answer proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from kline_ops.market.interval import DAY_MS
from kline_ops.market.span import Span, within, without

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 300.0
#: From this wait on (s) the times of asking again are rounded, so that many fall together.
_ROUNDED = 4.0
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
        wanted = list(due)
        if not wanted or not self.may_ask(now):
            return []
        self._forget_what_came(wanted)
        later = [known.span for known in self._absent if known.again_at > now]
        asked: list[Span] = []
        for span in wanted:
            parts = [span]
            for cut in later:
                parts = without(parts, cut)
            # One question for all of it: what lies between is asked for in passing, at no cost.
            asked += [Span(parts[0].first, parts[-1].end)] if parts else []
        return asked

    def next_at(self, due: Iterable[Span], now: float) -> float | None:
        """When :meth:`to_ask` may have more to say about ``due``; None if nothing is due."""
        if not any(True for _ in due):
            self._absent.clear()  # all of it has come
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
        self._absent = [known for known in self._absent if not known.span.overlaps(asked)]
        for cut in before:
            self._absent += [replace(cut, span=part) for part in without([cut.span], asked)]
        confirmed: list[Span] = []
        for span in left:
            for part, known in _parts(span, before):
                old = now_ms - part.end > DAY_MS
                second_look = _SECOND_LOOK_OLD if old else _SECOND_LOOK
                if known is not None and now - known.since >= second_look:
                    confirmed.append(part)
                elif known is not None and known.again_at > now:
                    self._absent.append(replace(known, span=part))  # asked in passing
                else:
                    self._absent.append(_asked(part, known, now))
        self._absent = _joined(self._absent)
        return confirmed

    def absent(self) -> list[Span]:
        """What was asked for, and was not there."""
        return [known.span for known in self._absent]

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


def _asked(part: Span, known: _Absent | None, now: float) -> _Absent:
    """REST was asked for it, and had none."""
    asks = 0 if known is None else known.asks
    wait = min(_FIRST_WAIT * 2 ** min(asks, 16), _LONGEST_WAIT)
    again_at = now + wait
    if wait >= _ROUNDED:
        # Candles that went missing one after another are asked for together from here on.
        grid = wait / 4
        again_at = again_at // grid * grid
    return _Absent(part, now if known is None else known.since, min(asks + 1, 16), again_at)


def _joined(absent: list[_Absent]) -> list[_Absent]:
    """Neighbours that are asked for together, as one: a halt of hours is a few records."""
    joined: list[_Absent] = []
    for known in sorted(absent, key=lambda known: known.span):
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.span.end == known.span.first
            and (last.asks, last.again_at) == (known.asks, known.again_at)
        ):
            last.span = Span(last.span.first, known.span.end)
            last.since = max(last.since, known.since)
        else:
            joined.append(known)
    return joined


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
