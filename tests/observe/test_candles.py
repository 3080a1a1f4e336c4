"""The end of a candle file, or what stands before a time: as it stands, whatever is done to it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.errors import InputError
from kline_ops.market.candle import HEADER, HEADERS, Candle
from kline_ops.observe.candles import last_candles, settled_candles

START = 1_767_225_600_000


def candle(slot: int, ms: int = 0) -> Candle:
    return Candle(START + slot * 1000 + ms, "0.00000638", "2.0", "0.00000001", "1.25", "3.50")


def write(path: Path, candles: list[Candle]) -> None:
    path.write_bytes(f"{HEADER}\n".encode() + b"".join(each.row() for each in candles))


@given(
    st.sets(st.integers(0, 3000), max_size=80), st.integers(1, 40), st.integers(-5, 3005),
    st.sampled_from([0, 1, 500]),
)  # fmt: skip
def test_what_stands_before_a_time(
    tmp_path_factory: pytest.TempPathFactory, slots: set[int], count: int, before: int, ms: int
) -> None:
    path = tmp_path_factory.mktemp("candles") / "c.csv"
    rows = [candle(slot, ms if slot % 7 == 0 else 0) for slot in sorted(slots)]
    write(path, rows)
    assert last_candles(path, count) == rows[-count:]
    before_ms = START + before * 1000 + ms
    earlier = [row for row in rows if row.open_ms < before_ms]
    found = last_candles(path, count, before_ms)
    # Where a row opens within a second, one more may have to be looked past.
    assert earlier[len(earlier) - len(found) :] == found
    assert len(found) >= min(count - 1, len(earlier))
    assert settled_candles(path, count, before_ms) == found


def test_rows_of_all_columns_are_as_many(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    rows = [
        Candle(START + at * 1000, "1", "2", "1", "1", "3", 7, START + at * 1000 + 9, "1" * 60, "2", "3")
        for at in range(600)
    ]  # fmt: skip
    path.write_bytes(f"{HEADERS['full']}\n".encode() + b"".join(row.row("full") for row in rows))
    assert settled_candles(path, 500) == rows[-500:]
    assert settled_candles(path, 10, START + 100_000) == rows[90:100]


def test_what_can_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.csv"
    with pytest.raises(FileNotFoundError):
        settled_candles(path, 5)
    os.mkfifo(path)
    with pytest.raises(OSError, match="regular"):
        last_candles(path, 5)
    path.unlink()
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no candle file"):
        settled_candles(path, 5)
    write(path, [candle(slot) for slot in range(50)])
    with path.open("ab") as file:
        file.write(b"\0" * 5000)
    assert last_candles(path, 500)[0] == candle(0)
    path.write_bytes(path.read_bytes() + b"\nx\n")
    with pytest.raises(InputError, match="in no order"):
        settled_candles(path, 5, START + 20_000)
    write(path, [])
    assert settled_candles(path, 5) == []
    (tmp_path / "c.csv.redo").touch()
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(InputError, match="merged"):
        settled_candles(path, 5)
