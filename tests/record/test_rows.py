"""Reading rows by time, beside a recorder that appends and merges."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.errors import InputError
from kline_ops.market.candle import Candle
from kline_ops.market.interval import parse
from kline_ops.market.span import Span
from kline_ops.record.contents import HEADER_LINE
from kline_ops.record.journal import Journal
from kline_ops.record.redo import redo_path
from kline_ops.record.rows import RowReader

MINUTE = 60_000
GRID = parse("1m")
START = 1_767_225_600_000


def candle(minute: int) -> Candle:
    price = "1" * (1 + minute % 7)
    return Candle(START + minute * MINUTE, price, price, price, price, "0")


def span(first: int, end: int) -> Span:
    return Span(START + first * MINUTE, START + end * MINUTE)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every minute of 5000 but those from 2000 to 2999."""
    made = tmp_path_factory.mktemp("rows") / "candles_X_1m.csv"
    minutes = [*range(2000), *range(3000, 5000)]
    made.write_bytes(HEADER_LINE + b"".join(candle(minute).row() for minute in minutes))
    return made


@given(st.integers(-50, 5_050), st.integers(0, 1_500))
def test_exactly_the_rows_of_a_span_are_read(path: Path, first: int, length: int) -> None:
    found = RowReader(path).between(span(first, first + length))
    owed = [m for m in range(first, first + length) if 0 <= m < 2000 or 3000 <= m < 5000]
    assert found == [candle(minute) for minute in owed]


def test_what_stands_in_a_file_is_told_without_touching_it(path: Path) -> None:
    before = path.stat()
    contents = RowReader(path).contents(GRID)
    assert (contents.rows, contents.holes) == (4000, [span(2000, 3000)])
    assert path.stat() == before
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_file_that_is_not_there_and_a_merge_that_was_cut_off_are_told(tmp_path: Path) -> None:
    path = tmp_path / "candles_X_1m.csv"
    with pytest.raises(InputError, match="No such file"):
        RowReader(path).between(span(0, 9))
    path.write_bytes(HEADER_LINE + candle(0).row())
    redo_path(path).touch()
    with pytest.raises(InputError, match="being rewritten"):
        RowReader(path).between(span(0, 9))


def test_what_is_read_beside_a_recorder_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "candles_X_1m.csv"
    path.write_bytes(HEADER_LINE + b"".join(candle(m).row() for m in range(0, 4000, 2)))
    ended = threading.Event()

    def record() -> None:
        journal = Journal(path, GRID, owner="test", sync=False)
        journal.lock()
        journal.open()
        late, new = iter(range(3999, 0, -2)), 4000
        for _ in range(150):
            journal.write([candle(next(late)), candle(new)])
            new += 1
        journal.close()
        ended.set()

    thread = threading.Thread(target=record)
    thread.start()
    reader, looks = RowReader(path), 0
    while not ended.is_set():
        try:
            rows = reader.between(span(3500, 3900))
        except InputError:
            continue  # never still for two seconds
        opens = [row.open_ms for row in rows]
        assert opens == sorted(set(opens))
        assert {candle(m).open_ms for m in range(3500, 3900, 2)} <= set(opens)
        looks += 1
    thread.join()
    assert looks
