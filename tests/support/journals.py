"""Candle files of hours, and a journal that is open for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kline_ops.errors import JournalError
from kline_ops.market.candle import Candle
from kline_ops.market.interval import parse
from kline_ops.market.timestamp import to_ms
from kline_ops.record.contents import HEADER_LINE
from kline_ops.record.disk import Disk
from kline_ops.record.journal import Journal
from tests.support.disks import Crash, CrashingDisk

HOUR = 3_600_000
INTERVAL = parse("1h")
START = to_ms("2026-01-27T00:00:00Z")


def candle(hour: int, price: str | None = None) -> Candle:
    # Rows of different lengths, so that a cut at a wrong place shows.
    price = price or f"{hour + 1}." + "5" * (hour % 7 + 1)
    return Candle(START + hour * HOUR, price, price, price, price, "0")


def file_of(*hours: int) -> bytes:
    return HEADER_LINE + b"".join(candle(hour).row() for hour in sorted(set(hours)))


@contextmanager
def journal(path: Path, disk: Disk | None = None, *, sync: bool = True) -> Iterator[Journal]:
    made = Journal(path, INTERVAL, owner="test", sync=sync, disk=disk)
    made.lock()
    try:
        yield made
    finally:
        made.close()


def fails(call: Callable[[], object]) -> bool:
    """True where it failed in the way that heals, and says what to do."""
    failure: JournalError | None = None
    try:
        call()
    except JournalError as error:
        failure = error
    assert failure is None or (failure.transient and failure.hint)
    return failure is not None


def hours_in(path: Path) -> list[int]:
    """The rows of the file, each checked to be one that was written, in strict order."""
    data = path.read_bytes()
    assert data.startswith(HEADER_LINE)
    by_row = {candle(hour).row(): hour for hour in range(60)}
    hours = [by_row[line] for line in data[len(HEADER_LINE) :].splitlines(keepends=True)]
    assert hours == sorted(set(hours))
    return hours


Script = Callable[[Journal, set[int]], None]


def appending(made: Journal, done: set[int]) -> None:
    for batch in ([3], [4, 5], [9]):
        made.write([candle(hour) for hour in batch])
        done.update(batch)


def merging(made: Journal, done: set[int]) -> None:
    for batch in ([4], [1], [2, 0, 6], [3, 5]):
        made.write([candle(hour) for hour in batch])
        done.update(batch)


SCRIPTS = pytest.mark.parametrize("script", [appending, merging])
BEFORE = {appending: [0, 1], merging: [7]}
AFTER = {appending: {0, 1, 3, 4, 5, 9}, merging: set(range(8))}


def check_after(path: Path, script: Script, done: set[int]) -> None:
    """Open with a healthy disk: whole rows, in order, and everything that was reported as done."""
    with journal(path, sync=False) as made:
        made.open()
        rows = set(hours_in(path))
        assert done <= rows <= AFTER[script]
        made.write([candle(hour) for hour in AFTER[script]])
    assert path.read_bytes() == file_of(*AFTER[script])


def leave_redo(path: Path) -> None:
    """Die between the two steps of a merge: a whole redo file stays."""
    redo = path.with_name(path.name + ".redo")
    for at in range(1, 40):
        path.write_bytes(file_of(*range(9), 10))
        redo.unlink(missing_ok=True)
        disk = CrashingDisk(at)
        made = Journal(path, INTERVAL, owner="test", disk=disk)
        try:
            made.open()
            made.write([candle(9)])
        except Crash:
            disk.close_all()
            if disk.names.count("sync_folder") == 1:
                break
    assert redo.exists()
