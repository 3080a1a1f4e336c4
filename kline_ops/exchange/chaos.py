"""Faults from a seed: the same on every machine. Pure; integers and one hash, no floats drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count, takewhile

from kline_ops.exchange.faults import Fault, FaultKind
from kline_ops.exchange.strange import GARBAGE
from kline_ops.exchange.walk import draw

_DRAWN = 1 << 32
_CODES = (1000, 1001, 1006, 1008, 1011, 1012, 1013)
_STATUSES = (403, 418, 429, 451, 500, 502, 503)

#: Kinds by which REST may tell other values of a candle than the streams: for good, or while a
#: client takes one for closed that is not.
DISAGREEING = frozenset({FaultKind.AMEND, FaultKind.REST_STALE})


class _Draw:
    """Numbers for one fault, one after the other."""

    def __init__(self, key: str) -> None:
        self._numbers = iter(draw(key, 8))

    def below(self, limit: int) -> int:
        return next(self._numbers) * limit // _DRAWN

    def seconds(self, least_ms: int, most_ms: int) -> float:
        return (least_ms + self.below(most_ms - least_ms + 1)) / 1000


_PARAMETERS: dict[FaultKind, Callable[[_Draw], dict[str, object]]] = {
    FaultKind.CLOSE: lambda d: {"code": _CODES[d.below(len(_CODES))]},
    FaultKind.SHUTDOWN: lambda d: {"code": _CODES[d.below(len(_CODES))]},
    FaultKind.ACCEPT_CLOSE: lambda d: {"code": _CODES[d.below(len(_CODES))]},
    FaultKind.REFUSE: lambda d: {"status": _STATUSES[d.below(len(_STATUSES))]},
    FaultKind.REST_DOWN: lambda d: {"status": (500, 502, 503, 504)[d.below(4)]},
    FaultKind.INJECT: lambda d: {"text": GARBAGE[d.below(len(GARBAGE))]},
    FaultKind.DEAD_STREAM: lambda d: {"stays": d.below(2) == 1},
    FaultKind.LATE: lambda d: {"delay": d.seconds(100, 5_000)},
    FaultKind.REST_SLOW: lambda d: {"delay": d.seconds(500, 30_000)},
    FaultKind.REST_LAGGING: lambda d: {"delay": d.seconds(500, 10_000)},
    FaultKind.REST_STALE: lambda d: {"delay": d.seconds(500, 10_000)},
    FaultKind.SKEW: lambda d: {"offset": d.seconds(-60_000, 60_000)},
    FaultKind.QUIET: lambda d: {"closes": d.below(2) == 1},
}
_AT_ONCE = frozenset(
    {
        FaultKind.CUT,
        FaultKind.CLOSE,
        FaultKind.WITHHOLD,
        FaultKind.INJECT,
        FaultKind.GARBAGE,
        FaultKind.FOREIGN,
        FaultKind.IMPOSSIBLE,
        FaultKind.AMEND,
    }
)


def endless(
    seed: int, every: float, kinds: Iterable[FaultKind] | None = None
) -> Iterator[tuple[float, Fault]]:
    """Faults without an end, one in each ``every`` seconds, with the seconds until they begin.

    Those that last do so for one second to ``every`` seconds more. Order and doubles in ``kinds``
    change nothing; none given means all.
    """
    chosen = [kind for kind in FaultKind if kinds is None or kind in set(kinds)]
    every_ms = max(1, round(every * 1000))
    for number in count() if chosen else ():
        drawn = _Draw(f"{seed}/chaos/{number}")
        at_ms = number * every_ms + drawn.below(every_ms)
        kind = chosen[drawn.below(len(chosen))]
        seconds = drawn.seconds(1000, 1000 + every_ms)
        fields: dict[str, object] = {} if kind in _AT_ONCE else {"seconds": seconds}
        if kind in _PARAMETERS:
            fields |= _PARAMETERS[kind](drawn)
        yield at_ms / 1000, Fault(kind, **fields)  # type: ignore[arg-type]


def schedule(
    seed: int, seconds: float, every: float, kinds: Iterable[FaultKind] | None = None
) -> list[tuple[float, Fault]]:
    """The faults of so many seconds with the seconds until each begins; see :func:`endless`.

    ``kinds`` without :data:`DISAGREEING` leave REST and the streams of one mind.
    """
    chosen = None if kinds is None else frozenset(kinds)
    return list(takewhile(lambda entry: entry[0] < seconds, endless(seed, every, chosen)))
