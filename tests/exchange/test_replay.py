"""A replayed recording: the file's own text, in the file's order, for ever."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from kline_ops.errors import InputError
from kline_ops.exchange.replay import ReplayMarket
from kline_ops.market import interval as intervals
from kline_ops.market.candle import HEADERS
from kline_ops.market.interval import MINUTE_MS

OWN = """timestamp,open,high,low,close,volume
2026-01-27T14:00:00Z,0.00000638,0.00000640,0.00000637,0.00000639,177
2026-01-27T15:00:00Z,0.00000639,0.00000645,0.00000630,0.00000633,1200.50
2026-01-27T16:00:00Z,0.00000633,0.00000633,0.00000633,0.00000633,0
"""
DUMP = (
    "1735689600000000,93576.00000000,94509.42000000,93489.03000000,94401.14000000,755.99010000,"
    "1735693199999999,71133361.16000000,118334,381.16000000,35862384.30000000,0\n"
    "1735693200000000,94401.13000000,94408.72000000,93578.77000000,93607.74000000,586.53456000,"
    "1735696799999999,55170134.78000000,113345,269.14000000,25312890.10000000,0\n"
)


def write(folder: Path, text: str, name: str = "rows.csv") -> Path:
    path = folder / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["1s", "1m", "1h", "1w", "1M", "1d@+08:00"])
def test_closed_candles_are_the_rows_in_turn(tmp_path: Path, name: str) -> None:
    market = ReplayMarket(write(tmp_path, OWN))
    rows = [tuple(line.split(",")[1:]) for line in OWN.splitlines()[1:]]
    interval = intervals.parse(name)
    opened = interval.floor(1_769_522_400_000)
    shown = []
    for _ in range(6):
        shown.append(market.bar("LRCBTC", interval, opened).candle().values())
        opened = interval.after(opened)
    start = rows.index(shown[0])
    assert shown == [rows[(start + n) % 3] for n in range(6)]


def test_the_row_is_told_by_the_number_of_the_candle(tmp_path: Path) -> None:
    market = ReplayMarket(write(tmp_path, OWN))
    minute = intervals.parse("1m")
    assert market.bar("LRCBTC", minute, 0).close == "0.00000639"
    assert market.bar("LRCBTC", minute, 300 * MINUTE_MS).close == "0.00000639"
    assert market.bar("LRCBTC", minute, 301 * MINUTE_MS).close == "0.00000633"


def test_a_recorded_file_with_full_columns_is_served_with_all_of_them(tmp_path: Path) -> None:
    row = "2026-01-27T14:00:00Z,1.0,2.0,0.5,1.5,9.0,2026-01-27T14:59:59.999Z,12.5,7,4.0,6.25\n"
    market = ReplayMarket(write(tmp_path, HEADERS["full"] + "\n" + row))
    candle = market.bar("LRCBTC", intervals.parse("1h"), 0).candle()
    assert candle.row("full").decode().split(",")[7:] == row.split(",")[7:]


@pytest.mark.parametrize("name", ["dump.csv", "dump.csv.gz"])
def test_dumps_are_read_plain_and_packed(tmp_path: Path, name: str) -> None:
    bar = ReplayMarket(write(tmp_path, DUMP, name)).bar("BTCUSDT", intervals.parse("1h"), 0)
    assert bar.candle().values() == (
        "93576.00000000",
        "94509.42000000",
        "93489.03000000",
        "94401.14000000",
        "755.99010000",
    )
    assert (bar.trades, bar.quote_volume, bar.taker_volume) == (
        118334,
        "71133361.16000000",
        "381.16000000",
    )


def test_a_forming_candle_goes_over_low_and_high_to_its_close(tmp_path: Path) -> None:
    market = ReplayMarket(write(tmp_path, DUMP))
    minute = intervals.parse("1m")
    bars = [market.bar("BTCUSDT", minute, 0, at) for at in (0, 15_000, 30_000, 45_000, 60_000)]
    assert [bar.close for bar in bars] == [
        "93576.00000000",
        "93489.03000000",
        "94509.42000000",
        "94401.14000000",
        "94401.14000000",
    ]
    assert all(bar.candle().problem() is None for bar in bars)
    assert [bar.trades for bar in bars] == sorted(bar.trades for bar in bars)
    assert bars[-1] == market.bar("BTCUSDT", minute, 0)


def test_a_row_without_volume_has_no_trades(tmp_path: Path) -> None:
    bar = ReplayMarket(write(tmp_path, OWN)).bar("LRCBTC", intervals.parse("1m"), 2 * MINUTE_MS)
    assert (bar.trades, bar.first_trade_id, bar.last_trade_id) == (0, -1, -1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no candle"),
        ("timestamp,open,high,low,close,volume\n", "no candle"),
        ("2026-01-27T14:00:00Z,1,2\n", "line 1: 3 columns"),
        ("2026-01-27T14:00:00Z,1,2,3,1,5\n", "line 1: high below low"),
        (DUMP.replace(",118334,", ",many,"), "line 1: a number that is none"),
        (DUMP.replace("71133361.16000000", "much"), "line 1: a number that is none"),
    ],
)
def test_a_bad_file_is_an_input_error(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        ReplayMarket(write(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can not be read"):
        ReplayMarket(tmp_path / "none.csv")
    with pytest.raises(InputError, match="can not be read"):
        ReplayMarket(write(tmp_path, DUMP).rename(tmp_path / "no.gz"))


def test_other_symbols_are_not_listed(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        ReplayMarket(write(tmp_path, OWN)).bar("FOOBAR", intervals.parse("1m"), 0)
