"""Of each owed candle where it came from, or why it is not there. Pure.

A byte a candle: whether it is on disk, and what the event log tells of it. A month of seconds is 2.7 MB,
and is summed up as text is searched, not candle by candle. What the log tells of a candle once, a file
that is begun anew tells again: it counts once.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kline_ops.market.interval import MINUTE_MS, Interval
from kline_ops.market.span import Span

#: More candles than that (a month of seconds, and as many again) are kept of no session.
MOST = 6_000_000
#: Candles that are looked at in one piece, of whole minutes: none of them takes longer than a moment.
_PIECE = 60 * 1024

_ON_DISK, _FILLED, _ABSENT, _FOUND = 1, 2, 4, 8


class Kind(enum.StrEnum):
    """Of an owed candle, the best first: a cell of several is what its worst is."""

    STREAM = "stream"
    REST = "rest"
    #: Just closed: it may be on its way.
    PENDING = "pending"
    #: The exchange itself has none.
    EXCHANGE = "exchange"
    MISSING = "missing"


#: In text that is searched a candle is a digit, the higher the worse.
_KINDS = {ord("0") + rank: kind for rank, kind in enumerate(Kind)}
_DIGITS = {kind: bytes([digit]) for digit, kind in _KINDS.items()}
_RUNS = re.compile(b"|".join(digit + b"+" for digit in _DIGITS.values()))


def _kind_of(flags: int) -> Kind:
    if flags & _ON_DISK:
        return Kind.REST if flags & _FILLED else Kind.STREAM
    return Kind.EXCHANGE if flags & _ABSENT else Kind.MISSING


_TO_DIGITS = b"".join(_DIGITS[_kind_of(flags)] for flags in range(256))
_STILL_PENDING = bytes.maketrans(_DIGITS[Kind.MISSING], _DIGITS[Kind.PENDING])


def _or(bits: int) -> bytes:
    return bytes(flags | bits for flags in range(256))


def _without(bits: int) -> bytes:
    return bytes(flags & ~bits for flags in range(256))


_SET = {bits: _or(bits) for bits in (_ON_DISK, _FILLED, _ABSENT, _FOUND)}
_FILL = bytes((flags | _FILLED) & ~_ABSENT for flags in range(256))
_GONE = _without(_ON_DISK)
_OPEN_HOLE = re.compile(b"[" + b"".join(
    re.escape(bytes([flags])) for flags in range(16) if flags & _FOUND and not flags & _FILLED
) + b"]+")  # fmt: skip


class Cells(NamedTuple):
    """Neighbouring cells of one kind: when the first and the last open, how many candles are of it."""

    first_ms: int
    last_ms: int
    kind: Kind
    candles: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was owed in a span. ``counts`` has every kind; their sum is what was owed."""

    cells: list[Cells]
    counts: dict[Kind, int]

    @property
    def owed(self) -> int:
        """All of them."""
        return sum(self.counts.values())

    @property
    def on_disk(self) -> int:
        """Those that the file has."""
        return self.counts[Kind.STREAM] + self.counts[Kind.REST]


class _Piece(NamedTuple):
    """What a part of a ledger came to."""

    counts: dict[Kind, int]
    cells: list[Cells]


def cell_ms(interval: Interval) -> int:
    """How long a cell is: a candle; of shorter ones a minute."""
    return max(MINUTE_MS, interval.typical_ms)


class Ledger:
    """The candles of one stream from a time on. All times are open times in milliseconds."""

    def __init__(self, interval: Interval, first_ms: int) -> None:
        self.interval = interval
        #: How many candles a cell has.
        self._per_cell = max(1, MINUTE_MS // interval.typical_ms)
        cut = first_ms % MINUTE_MS if self._per_cell > 1 else 0
        self.first_ms = interval.floor(first_ms - cut)
        self._flags = bytearray()
        #: What whole pieces came to, by where they begin: most of a month is as it was before.
        self._known: dict[int, tuple[int, _Piece]] = {}

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return len(self._flags)

    # -- taking in --------------------------------------------------------------------------------

    def has_rows(self, times: Sequence[int]) -> None:
        """The file has rows of these; what is off the grid, or opened before, counts for nothing."""
        interval = self.interval
        if not times:
            return
        if isinstance(times, range) and times.step == interval.length_ms:
            if interval.is_open(times[0]):
                self._mark(times[0], times[-1], _SET[_ON_DISK])
            return
        for ms in times:
            if interval.is_open(ms):
                self._mark(ms, ms, _SET[_ON_DISK])

    def has_no_rows_from(self, first_ms: int) -> None:
        """What the file has from there on is read again."""
        if (start := self._slot(self.interval.ceil(first_ms))) < len(self._flags):
            start = max(0, start)
            self._flags[start:] = self._flags[start:].translate(_GONE)

    def found(self, first_ms: int, last_ms: int) -> None:
        """The recorder told that these are missing."""
        self._mark(first_ms, last_ms, _SET[_FOUND])

    def confirmed(self, first_ms: int, last_ms: int) -> None:
        """The exchange itself has none of these."""
        self._mark(first_ms, last_ms, _SET[_ABSENT])

    def filled(self, first_ms: int, last_ms: int, candles: int) -> None:
        """So many of these came from REST; where those are not all, the ones that were found missing."""
        start, end = self._slot(first_ms), self._slot(last_ms) + 1
        whole = end - start
        if candles >= whole:
            self._mark(first_ms, last_ms, _FILL)
            return
        if start < 0:
            # Of what reaches beyond, as many as lie within if it is spread evenly.
            candles, start = max(1, candles * end // whole) if end > 0 else 0, 0
        if candles <= 0 or not self._grow(end):
            return
        spans = [match.span() for match in _OPEN_HOLE.finditer(self._flags, start, end)]
        for first, stop in (*spans, (start, end)):
            part = min(candles, stop - first)
            self._flags[first : first + part] = self._flags[first : first + part].translate(_FILL)
            candles -= part
            if not candles:
                return

    def _mark(self, first_ms: int, last_ms: int, table: bytes) -> None:
        start, end = max(0, self._slot(first_ms)), self._slot(last_ms) + 1
        if start >= end or not self._grow(end):
            return
        if end - start == 1:
            self._flags[start] = table[self._flags[start]]
        else:
            self._flags[start:end] = self._flags[start:end].translate(table)

    def _slot(self, ms: int) -> int:
        if (length := self.interval.length_ms) is not None:
            return (ms - self.first_ms) // length
        if ms < self.first_ms:
            return -self.interval.slots(self.interval.floor(ms), self.first_ms)
        return self.interval.slots(self.first_ms, self.interval.floor(ms))

    def _grow(self, end: int) -> bool:
        if end > MOST:
            return False  # a time that can not be
        if end > len(self._flags):
            self._flags.extend(bytes(end - len(self._flags)))
        return True

    # -- telling ----------------------------------------------------------------------------------

    def coverage(
        self, span: Span, pending_ms: int, pause: Callable[[], None] = lambda: None
    ) -> Coverage:
        """What became of the candles of a span; those from ``pending_ms`` on are just closed.

        ``pause`` is called on the way: it may let others go on.
        """
        start, end = max(0, self._slot(span.first)), max(0, self._slot(span.end))
        pending = self._slot(pending_ms)
        counts = dict.fromkeys(Kind, 0)
        cells: list[Cells] = []
        at = start
        while at < end:
            stop = min(end, at - at % _PIECE + _PIECE)
            piece = self._piece(at, stop, pending)
            for kind, count in piece.counts.items():
                counts[kind] += count
            cells += piece.cells
            at = stop
            pause()
        return Coverage(_joined(cells), counts)

    def _piece(self, at: int, stop: int, pending: int) -> _Piece:
        flags = bytes(self._flags[at:stop]).ljust(stop - at, b"\0")
        if stop - at < _PIECE or pending < stop:
            return self._looked_at(at, flags, pending - at)
        mark = hash(flags)
        known = self._known.get(at)
        if known is None or known[0] != mark:
            known = self._known[at] = mark, self._looked_at(at, flags, stop)
        return known[1]

    def _looked_at(self, at: int, flags: bytes, pending: int) -> _Piece:
        digits = flags.translate(_TO_DIGITS)
        if pending < len(digits):
            known = max(0, pending)
            digits = digits[:known] + digits[known:].translate(_STILL_PENDING)
        counts = {kind: digits.count(digit) for kind, digit in _DIGITS.items()}
        return _Piece(counts, _joined(self._cells(at, digits)))

    def _cells(self, at: int, digits: bytes) -> Iterator[Cells]:
        if self._per_cell > 1:
            yield from self._minutes(at, digits)
            return
        for run in _RUNS.finditer(digits):
            first = self.interval.shift(self.first_ms, at + run.start())
            last = self.interval.shift(self.first_ms, at + run.end() - 1)
            yield Cells(first, last, _KINDS[run[0][0]], run.end() - run.start())

    def _minutes(self, at: int, digits: bytes) -> Iterator[Cells]:
        per_cell = self._per_cell
        first, last = at // per_cell, (at + len(digits) - 1) // per_cell
        if digits.count(digits[0]) == len(digits):
            yield self._minute(first, last, digits)
            return
        for cell in range(first, last + 1):
            part = digits[max(0, cell * per_cell - at) : (cell + 1) * per_cell - at]
            yield self._minute(cell, cell, part)

    def _minute(self, first: int, last: int, digits: bytes) -> Cells:
        begin, worst = self.first_ms, max(digits)
        return Cells(
            begin + first * MINUTE_MS,
            begin + last * MINUTE_MS,
            _KINDS[worst],
            digits.count(worst),
        )


def _joined(cells: Iterable[Cells]) -> list[Cells]:
    """Neighbours of one kind as one."""
    found: list[Cells] = []
    for each in cells:
        if found and found[-1].kind is each.kind:
            last = found[-1]
            found[-1] = Cells(last.first_ms, each.last_ms, each.kind, last.candles + each.candles)
        else:
            found.append(each)
    return found
