"""Candle files as others write them."""

import json
from pathlib import Path

import pytest

from kline_ops.errors import InputError
from kline_ops.gaps import report
from kline_ops.gaps.layout import find_layout

TIMES = [f"2026-01-27 {hour:02d}:00:00" for hour in (0, 1, 2, 4)]
EPOCHS = [1769472000 + hour * 3600 for hour in (0, 1, 2, 4)]

CASES = {
    "pandas, with its index": ",timestamp,open,high,low,close,volume\n"
    + "".join(f"{at},{time},1.5,2.0,1.0,1.5,9.0\n" for at, time in enumerate(TIMES)),
    "an index without a header": "".join(
        f"{at},{time},1.5,2.0,1.0,1.5,9.0\n" for at, time in enumerate(TIMES)
    ),
    "quotes": '"Open time","Open","High","Low","Close","Volume"\n'
    + "".join(f'"{time}","1.5","2.0","1.0","1.5","9.0"\n' for time in TIMES),
    "semicolons": "time;open;high;low;close;volume\n"
    + "".join(f"{time};1.5;2.0;1.0;1.5;9.0\n" for time in TIMES),
    "tabs": "Date\tOpen\tHigh\tLow\tClose\tVolume BTC\n"
    + "".join(f"{time}\t1.5\t2.0\t1.0\t1.5\t9.0\n" for time in TIMES),
    "a comment before the header": "https://www.example.com\nunix,date,symbol,open,high,low,close,vol\n"
    + "".join(
        f"{epoch},{time},BTC/USDT,1.5,2,1,1.5,9\n"
        for epoch, time in zip(EPOCHS, TIMES, strict=True)
    ),
    "single letters": "t,o,h,l,c,v\n" + "".join(f"{epoch},1.5,2,1,1.5,9\n" for epoch in EPOCHS),
    "no volume": "timestamp,open,high,low,close\n" + "".join(f"{t},1.5,2,1,1.5\n" for t in TIMES),
    "exponents": "timestamp,open,high,low,close,volume\n"
    + "".join(f"{time},6.38e-06,7e-06,6e-06,6.5e-06,1e3\n" for time in TIMES),
    "JSON rows": json.dumps([[e * 1000, "1.5", "2", "1", "1.5", "9", 0, "1", 3] for e in EPOCHS]),
    "JSON objects": json.dumps(
        [{"time": e, "open": 1.5, "high": 2, "low": 1, "close": 1.5, "volume": 9} for e in EPOCHS]
    ),
    "JSON lines": "".join(json.dumps([e * 1000, 1.5, 2, 1, 1.5, 9]) + "\n" for e in EPOCHS),
    "JSON under a name": json.dumps({"data": [[e * 1000, 1.5, 2, 1, 1.5, 9] for e in EPOCHS]}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_read(tmp_path: Path, case: str, ends: str) -> None:
    path = tmp_path / "export"
    path.write_bytes(CASES[case].replace("\n", ends).encode())
    found = report(path)
    assert (found.interval.name, found.owed, found.missing) == ("1h", 5, 1)
    assert (found.bad_rows, found.impossible, found.zero_volume) == (0, 0, 0)
    found = report(path, from_ms=found.first_ms, until_ms=found.last_ms + 2 * 3_600_000)
    assert found.missing == 2


@pytest.mark.parametrize("kind", ["parquet", "feather"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_tables(tmp_path: Path, kind: str, unit: str) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import feather, parquet

    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    times = pa.array([e * factor for e in EPOCHS], pa.timestamp(unit, tz="UTC"))
    columns = {
        name: pa.array([1.5, 2.5, 3.5, 0.0]) for name in ("open", "high", "low", "close", "vol")
    }
    for name in ("timestamp", "__index_level_0__"):
        table = pa.table({**columns, name: times})
        path = tmp_path / f"candles.{kind}"
        if kind == "parquet":
            parquet.write_table(table, path)
        else:
            feather.write_feather(table, str(path))
        found = report(path)
        assert (found.owed, found.missing, found.zero_volume) == (5, 1, 1)


def test_a_broken_table(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="can not be read as a table"):
        report(path)


def test_lines_before_the_first_row_are_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    rows = [f"{epoch},1.5,2,1,1.5,9\n" for epoch in EPOCHS]
    path.write_text("00,1.5\n" + "".join(rows))
    found = report(path)
    assert (found.missing, found.bad_rows, found.lines["bad_rows"]) == (1, 1, ("1",))


def test_impossible_and_quiet_candles(tmp_path: Path) -> None:
    path = tmp_path / "candles_BTCUSDT_1h.csv"
    header = "timestamp,open,high,low,close,volume\n"
    rows = [f"2026-01-27T{h:02d}:00:00Z,9.50,10.00,9.00,9.50,1.00000000\n" for h in range(20)]
    rows[3] = rows[3].replace("10.00", "08.00")
    rows[7] = rows[7].replace("10.00", "8.99")
    for at in (10, 11, 12, 15):
        rows[at] = rows[at].replace("1.00000000", "0.00000000")
    for rest in (header + "".join(rows), header + "".join(rows).replace("10.00", "100000.00")):
        path.write_text(rest)
        found = report(path)
        assert (found.impossible, found.lines["impossible"]) == (2, ("5", "9"))
        assert [run.candles for run in found.quiet] == [3, 1]
        assert found.zero_volume == 4
        assert report(path, values=False).impossible is None


def test_names_are_told_apart() -> None:
    line = b"ignore,close_time,open_time,low,high,close,open,taker_volume,volume"
    at, layout = find_layout([b"", line], "x")
    assert (at, layout.time, layout.values, layout.has_header) == (1, 2, (6, 4, 3, 5, 8), True)
