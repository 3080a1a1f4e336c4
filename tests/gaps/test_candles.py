"""Rows of many makers to candles: digit for digit where they are plain, by value where they are not."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.errors import InputError
from kline_ops.gaps.candles import Converter, plain
from kline_ops.gaps.files import Row
from kline_ops.gaps.layout import Layout, find_layout
from kline_ops.market.candle import HEADERS, Candle, Columns

MS = 1_735_689_600_000
DUMP = (
    "1735689600000000,93576.00000000,94509.42000000,93489.03000000,94401.14000000,755.99010000,"
    "1735693199999999,71068810.55946380,93525,421.08319000,39596777.77992590,0"
)
FULL = Candle(
    MS, "93576.00000000", "94509.42000000", "93489.03000000", "94401.14000000", "755.99010000",
    93525, 1_735_693_199_999, "71068810.55946380", "421.08319000", "39596777.77992590",
)  # fmt: skip


def layout_of(line: str) -> Layout:
    return find_layout([line.encode()], "x.csv")[1]


def candle(header: str, line: str, columns: Columns = "basic") -> Candle:
    made = Converter(layout_of(header), columns, "x.csv")
    return made.candle(Row(MS, line.encode().split(b","), made.layout))


@pytest.mark.parametrize("text", ["0.00000638", "7789.90000000", "0", "10", "007.50", "0.0"])
def test_a_plain_number_keeps_its_digits(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("6.38e-06", "0.00000638"),
        ("1E+3", "1000"),
        ("1.50e2", "150"),
        (" 1.0 ", "1.0"),
        ("+1", "1"),
        (".5", "0.5"),
        ("-0.0", "0.0"),
        ("0E-8", "0.00000000"),
        ("-2.5", "-2.5"),
    ],
)
def test_other_numbers_become_plain_ones_of_the_same_value(text: str, wanted: str) -> None:
    assert plain(text) == wanted


@pytest.mark.parametrize(
    "text", ["", "nan", "-inf", "1.2.3", "1e999999999", "1e-999999999", "9" * 41, "sNaN", "1,5"]
)
def test_what_is_no_number_or_too_long_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        plain(text)


@given(st.floats(min_value=0, max_value=1e12, allow_subnormal=False))
def test_what_went_through_a_float_keeps_its_value(number: float) -> None:
    if number and number < 1e-20:
        return
    text = plain(repr(number))
    assert Decimal(text) == Decimal(repr(number))
    assert "e" not in text


def test_a_dump_has_all_that_a_full_row_has() -> None:
    assert candle(DUMP, DUMP, "full") == FULL
    basic = candle(DUMP, DUMP)
    assert basic.values() == FULL.values()
    assert basic.row() == FULL.row()


NAMES = {
    "ours": HEADERS["full"],
    "dumps": "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore",
    "documentation": "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,"
    "Number of trades,Taker buy base asset volume,Taker buy quote asset volume,Ignore",
    "tutorials": "timestamp,open,high,low,close,volume,close_time,quote_av,trades,tb_base_av,"
    "tb_quote_av",
}


@pytest.mark.parametrize("header", NAMES.values(), ids=NAMES)
def test_headers_of_other_tools_name_the_full_columns(header: str) -> None:
    line = DUMP if header.endswith("gnore") else DUMP.removesuffix(",0")
    assert candle(header, line, "full") == FULL


def test_columns_may_stand_in_any_order_and_close_times_be_text() -> None:
    header = (
        "symbol,trades,close_time,volume,close,low,high,open,timestamp,taker_buy_volume,"
        "taker_buy_quote_volume,quote_volume"
    )
    line = (
        "BTCUSDT,93525.0,2025-01-01T00:59:59.999Z,755.99010000,94401.14000000,93489.03000000,"
        "94509.42000000,93576.00000000,2025-01-01T00:00:00Z,421.08319000,39596777.77992590,"
        "71068810.55946380"
    )
    assert candle(header, line, "full") == FULL


def test_columns_that_are_not_there_are_named() -> None:
    with pytest.raises(InputError, match=r"no quote_volume, .*close_time, trades in it") as raised:
        Converter(layout_of(HEADERS["basic"]), "full", "x.csv")
    assert "record.columns: basic" in raised.value.hint
    with pytest.raises(InputError, match=r"x\.csv: no volume in it"):
        Converter(layout_of("time,open,high,low,close"), "basic", "x.csv")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("-1,2,0.5,1,1", "below zero"),
        ("1,2,3,1,1", "high below low"),
        ("1,2,0.5,3,1", "outside"),
        ("1e30,1e30,1e30,1e30,1e99", "digits"),
        ("1,1,1,1," + "1" * 41, "digits"),
    ],
)
def test_what_can_not_be_is_told(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        candle(HEADERS["basic"], f"2025-01-01T00:00:00Z,{line}")


@pytest.mark.parametrize(
    ("was", "now", "why"),
    [
        ("1735693199999999", "soon", "close time"),
        ("1735693199999999", "", "close time"),
        ("93525", "2.5", "whole"),
        ("93525", "-1", "below zero"),
        ("71068810.55946380", "", "number"),
        ("421.08319000", "nan", "number"),
    ],
)
def test_a_full_row_lacks_nothing(was: str, now: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        candle(DUMP, DUMP.replace(was, now), "full")
    assert candle(DUMP, DUMP.replace(was, now)).row() == FULL.row()
