"""Candles: digits kept, torn rows refused, impossible numbers named."""

from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.market.candle import HEADER, HEADERS, Candle, Columns, from_row, row_open_ms
from kline_ops.market.timestamp import to_ms

OPEN = to_ms("2026-01-27T14:00:00Z")
GOOD = Candle(OPEN, "100.10", "101.00", "99.90", "100.50", "1.25")

DIGITS = st.builds(
    lambda whole, part: f"{whole}.{part}" if part else whole,
    st.text("0123456789", min_size=1, max_size=9),
    st.text("0123456789", max_size=9),
)


@dataclass
class Change:
    """One field of the good candle, replaced."""

    field: str
    value: str

    def made(self) -> Candle:
        return msgspec.structs.replace(GOOD, **{self.field: self.value})


@st.composite
def candles(draw: st.DrawFn) -> Candle:
    low, *inner, high = sorted(draw(st.lists(DIGITS, min_size=4, max_size=4)), key=float)
    opened, close = draw(st.permutations(inner))
    ms = draw(st.integers(0, 4_102_444_800)) * draw(st.sampled_from([1000, 1]))
    return Candle(ms, opened, high, low, close, draw(DIGITS))


def test_a_row_has_the_columns_of_the_header() -> None:
    assert HEADER == "timestamp,open,high,low,close,volume"
    assert GOOD.row() == b"2026-01-27T14:00:00Z,100.10,101.00,99.90,100.50,1.25\n"


@given(candles())
def test_a_row_reads_back_as_the_same_candle_digit_for_digit(candle: Candle) -> None:
    assert candle.problem() is None
    assert from_row(candle.row()) == candle


@pytest.mark.parametrize("price", ["0.00000638", "0", "00.10", "0.00000000", "58942.01000000"])
def test_the_exchanges_own_digits_are_kept(price: str) -> None:
    candle = Candle(OPEN, price, price, price, price, "0")
    assert candle.row() == f"2026-01-27T14:00:00Z,{price},{price},{price},{price},0\n".encode()
    assert from_row(candle.row()).values() == (price, price, price, price, "0")


def test_a_row_cut_anywhere_is_refused() -> None:
    for length in range(len(GOOD.row())):
        with pytest.raises(ValueError):  # noqa: PT011 - each cut has its own reason
            from_row(GOOD.row()[:length])


def test_a_row_glued_onto_a_torn_one_is_refused() -> None:
    for length in range(1, len(GOOD.row()) - 1):
        with pytest.raises(ValueError):  # noqa: PT011
            from_row(GOOD.row()[:length] + GOOD.row())


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        HEADER.encode() + b"\n",
        b"\0" * 40 + b"\n",
        GOOD.row()[:-1] + b",\n",
        GOOD.row()[:-1] + b"\r\n",
        GOOD.row().replace(b"Z", b"Z "),
        b" " + GOOD.row(),
        GOOD.row().replace(b"1.25", b"1.2\0"),
        GOOD.row().replace(b"1.25", "١.٢".encode()),
        b"\xff" + GOOD.row(),
        GOOD.row() * 2,
    ],
)
def test_what_is_no_row_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        from_row(line)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_candle_or_a_value_error(line: bytes) -> None:
    try:
        from_row(line)
    except ValueError:
        return


BAD_NUMBERS = ["nan", "NaN", "inf", "-inf", "Infinity", "1e5", "1E5", "-3", "+3", "", " ", "٣", "²"]
BAD_NUMBERS += [
    "1_000",
    " 1",
    "1 ",
    "1.",
    ".5",
    "1.2.3",
    "1,5",
    "0x10",
    "1\n",
    "\n1",
    "1\0",
    "None",
]


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume"])
def test_what_is_no_plain_number_is_a_problem_in_every_field(field: str) -> None:
    fine = [text for text in BAD_NUMBERS if Change(field, text).made().problem() is None]
    assert fine == []


def test_commas_can_not_smuggle_a_field_in() -> None:
    candle = Candle(OPEN, "1,2", "3", "1", "2", "")
    assert candle.problem() is not None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (Change("high", "99.89"), "high"),
        (Change("low", "101.01"), "high"),
        (Change("open", "101.01"), "outside"),
        (Change("open", "99.8999"), "outside"),
        (Change("close", "101.01"), "outside"),
        (Change("close", "9"), "outside"),
    ],
)
def test_prices_that_contradict_each_other_are_a_problem(change: Change, word: str) -> None:
    assert word in (change.made().problem() or "")


@pytest.mark.parametrize("field", ["open", "close"])
@pytest.mark.parametrize("value", ["101.00", "101", "99.90", "99.9"])
def test_a_price_at_the_edge_is_inside(field: str, value: str) -> None:
    assert Change(field, value).made().problem() is None


def test_a_candle_without_a_trade_is_no_problem() -> None:
    flat = Candle(OPEN, "5.0", "5.0", "5.0", "5.0", "0.00000000", trades=0)
    assert flat.problem() is None


def test_values_leave_out_what_may_differ_between_two_sightings() -> None:
    assert msgspec.structs.replace(GOOD, trades=7).values() == GOOD.values()


FULL = msgspec.structs.replace(
    GOOD,
    trades=308,
    close_ms=OPEN + 3_599_999,
    quote_volume="125.62500000",
    taker_volume="0.25",
    taker_quote_volume="25.1",
)
FULL_ROW = (
    b"2026-01-27T14:00:00Z,100.10,101.00,99.90,100.50,1.25,"
    b"2026-01-27T14:59:59.999Z,125.62500000,308,0.25,25.1\n"
)


def test_a_full_row_has_all_that_stream_and_rest_say() -> None:
    assert HEADERS["full"].startswith(HEADER + ",close_time,quote_volume,trades,")
    assert FULL.row("full") == FULL_ROW
    assert FULL.row() == GOOD.row()
    assert from_row(FULL_ROW, "full") == FULL
    assert row_open_ms(FULL_ROW, "full") == OPEN


@pytest.mark.parametrize("columns", ["basic", "full"])
def test_a_row_of_other_columns_is_none(columns: Columns) -> None:
    other = GOOD.row() if columns == "full" else FULL_ROW
    assert row_open_ms(other, columns) is None
    with pytest.raises(ValueError, match="no whole row"):
        from_row(other, columns)


def test_a_full_row_that_is_cut_anywhere_is_none() -> None:
    for length in range(len(FULL_ROW)):
        assert row_open_ms(FULL_ROW[:length], "full") is None
        assert row_open_ms(FULL_ROW[:length] + FULL_ROW, "full") is None or length == 0


@pytest.mark.parametrize("field", ["quote_volume", "taker_volume", "taker_quote_volume"])
def test_what_is_no_plain_number_is_a_problem_in_the_other_columns_too(field: str) -> None:
    assert FULL.problem() is None
    fine = [
        text
        for text in BAD_NUMBERS
        if msgspec.structs.replace(FULL, **{field: text}).problem() is None
    ]
    assert fine == []


@pytest.mark.parametrize(
    "change", [{"trades": -1}, {"close_ms": 0}, {"close_ms": -1}, {"close_ms": 10**17}]
)
def test_a_close_time_or_a_count_that_can_not_be_is_a_problem(change: dict[str, int]) -> None:
    assert msgspec.structs.replace(FULL, **change).problem() is not None


@pytest.mark.parametrize("ms", [-1, 4_102_444_800_000])
def test_a_time_out_of_all_bounds_makes_no_row(ms: int) -> None:
    assert row_open_ms(msgspec.structs.replace(GOOD, open_ms=ms).row()) is None
