"""The daily manifest: for each UTC day, how many rows a candle file had and what they were.

One line a day in ``manifest.jsonl`` beside the candle file. A day that was counted once can be held
against the file for ever: rows that came late are told from rows that were changed.

* A day's rows are the whole candle rows that open in it, with their exact bytes.
* A day owes the open times of the calendar that lie in it and are closed, from the first row of the
  file on: what opened before that, nobody has recorded.
* The rows of a day are found by halving, as rows are in order: see ``day_rows.py``.
"""

from __future__ import annotations

import enum
import errno
import fcntl
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from kline_ops.errors import InputError
from kline_ops.gaps.day_rows import DayFile
from kline_ops.market import timestamp
from kline_ops.market.interval import DAY_MS, Interval

NAME = "manifest.jsonl"
#: Days that are held against the file again each day.
RECHECKED_DAYS = 31
_TEXTS = ("day", "symbol", "interval", "sha256")
_NUMBERS = ("owed", "on_disk", "missing", "bytes")


@dataclass(frozen=True, slots=True)
class DayCount:
    """A line of the manifest: one UTC day of one candle file."""

    #: ``2026-11-29``
    day: str
    symbol: str
    interval: str
    owed: int
    on_disk: int
    missing: int
    #: Over the bytes of the day's rows, in the order of the file.
    sha256: str
    bytes: int

    @property
    def key(self) -> tuple[str, str, str]:
        """What it counts: several candle files may share a folder."""
        return self.day, self.symbol, self.interval


@dataclass(frozen=True, slots=True)
class Day:
    """A day as it stands in the file, with the open times that are missing."""

    count: DayCount
    missing: tuple[int, ...]


class Kind(enum.StrEnum):
    """How a day differs from its line in the manifest."""

    #: Candles came late: a backfill.
    FILLED = "filled"
    #: Rows have gone.
    LOST = "lost"
    #: As many rows, and others than before.
    ALTERED = "altered"
    #: The rows are the same; the file begins elsewhere.
    OWED = "owed"


@dataclass(frozen=True, slots=True)
class Change:
    """A day that is not as it was counted before."""

    before: DayCount
    now: DayCount

    @property
    def kind(self) -> Kind:
        """What became of it."""
        if self.now.on_disk != self.before.on_disk:
            return Kind.FILLED if self.now.on_disk > self.before.on_disk else Kind.LOST
        return Kind.OWED if self.now.sha256 == self.before.sha256 else Kind.ALTERED

    @property
    def is_finding(self) -> bool:
        """Rows that were on disk are no more what they were; what came late is none."""
        return self.kind in {Kind.LOST, Kind.ALTERED}


def last_whole_day(interval: Interval, now_ms: int) -> str:
    """The last UTC day that is over, in which a candle opened, and whose candles are all closed.

    Up to ``1d`` this is yesterday; for a week or a month the day on which the last closed one opened.
    """
    end_ms = now_ms - now_ms % DAY_MS
    while interval.after(opened := interval.floor(end_ms - 1)) > now_ms:
        end_ms = opened - opened % DAY_MS
    return _text(opened)


def count_day(path: str | Path, symbol: str, interval: Interval, day: str, now_ms: int) -> Day:
    """Count one day of a candle file of ours. The file is only read.

    Args:
        path: the candle file.
        symbol: for the manifest.
        interval: its calendar.
        day: ``2026-11-29``.
        now_ms: candles that are not closed by then are not owed.

    Raises:
        InputError: no such file, no row in it, no such day, or it is being rewritten all the time.
    """
    day_ms = day_start(day)
    with DayFile(path) as file:
        owed = _owed(interval, day_ms, file.first_ms(), now_ms)
        rows = file.rows(day, _text(day_ms + DAY_MS))
        there = set(file.times(rows))
    missing = tuple(ms for ms in owed if ms not in there)
    count = DayCount(
        day=day,
        symbol=symbol,
        interval=interval.name,
        owed=len(owed),
        on_disk=len(owed) - len(missing),
        missing=len(missing),
        sha256=_hash(rows),
        bytes=len(rows),
    )
    return Day(count, missing)


def check_days(
    manifest: Path,
    path: str | Path,
    symbol: str,
    interval: Interval,
    now_ms: int,
    days: int = RECHECKED_DAYS,
) -> list[Change]:
    """Hold the manifest of the last so many days against the candle file; what differs, oldest first.

    Nothing is written: :func:`record` does, day by day.

    Raises:
        InputError: as :func:`count_day`.
    """
    since = _text(now_ms - days * DAY_MS)
    known = [
        count
        for count in read(manifest).values()
        if (count.symbol, count.interval) == (symbol, interval.name) and count.day >= since
    ]
    if not known:
        return []
    with DayFile(path) as file:
        first_ms = file.first_ms()
        suspects = [
            count
            for count in known
            if len(_owed(interval, day_start(count.day), first_ms, now_ms)) != count.owed
            or not _has_its_rows(file, count)
        ]
    changes = [
        Change(before, count_day(path, symbol, interval, before.day, now_ms).count)
        for before in sorted(suspects, key=lambda count: count.day)
    ]
    return [change for change in changes if change.now != change.before]


def record(manifest: Path, count: DayCount) -> Change | None:
    """Append a day, unless its last line says the same; what it said before, if anything else.

    Raises:
        OSError: the manifest can not be written.
    """
    is_new = not manifest.exists()
    fd = os.open(manifest, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        text = _whole(fd)
        before = _parsed(text).get(count.key)
        if before == count:
            return None
        line = json.dumps(asdict(count) | ({"changed": True} if before else {})).encode() + b"\n"
        # A line that a crash cut short is left alone, on a line of its own.
        _append(fd, line if not text or text.endswith(b"\n") else b"\n" + line)
    finally:
        os.close(fd)
    if is_new:
        _sync_folder(manifest.parent)
    return Change(before, count) if before else None


def read(manifest: Path) -> dict[tuple[str, str, str], DayCount]:
    """The last line of each day; lines that say nothing are passed over."""
    try:
        return _parsed(manifest.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"cannot read {manifest}: {error.strerror}") from None


def day_start(day: str) -> int:
    """When a day begins.

    Raises:
        InputError: it is no day.
    """
    try:
        known = date.fromisoformat(day).isoformat() == day
    except ValueError:
        known = False
    if not known:
        raise InputError(f"{day!r} is no day", hint="2026-11-29")
    return timestamp.to_ms(day)


def _text(ms: int) -> str:
    return timestamp.to_text(ms).partition("T")[0]


def _hash(rows: bytes) -> str:
    return hashlib.sha256(rows).hexdigest()


def _owed(interval: Interval, day_ms: int, first_ms: int, now_ms: int) -> range:
    """The open times that a day owes. A month opens once in a day, or not at all."""
    start = interval.ceil(max(day_ms, first_ms))
    end = min(interval.ceil(day_ms + DAY_MS), interval.floor(now_ms))
    return range(start, end, interval.typical_ms)


def _has_its_rows(file: DayFile, known: DayCount) -> bool:
    next_day = _text(day_start(known.day) + DAY_MS)
    return _hash(file.rows(known.day, next_day, known.sha256)) == known.sha256


def _parsed(text: bytes) -> dict[tuple[str, str, str], DayCount]:
    counts = (_count_of(line) for line in text.splitlines())
    return {count.key: count for count in counts if count is not None}


def _count_of(line: bytes) -> DayCount | None:
    """A line that is torn, or of another kind, is none."""
    try:
        told = json.loads(line)
        count = DayCount(**{name: told[name] for name in (*_TEXTS, *_NUMBERS)})
        day_start(count.day)
    except (ValueError, KeyError, TypeError, RecursionError, InputError):
        return None
    sound = all(isinstance(getattr(count, name), str) for name in _TEXTS)
    return (
        count if sound and all(isinstance(getattr(count, name), int) for name in _NUMBERS) else None
    )


def _whole(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


def _append(fd: int, line: bytes) -> None:
    if os.write(fd, line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(fd)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
