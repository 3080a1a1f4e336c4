"""The names of what is recorded."""

import pytest

from kline_ops.market import interval as intervals
from kline_ops.market.interval import NAMES, parse
from kline_ops.market.stream import Stream


@pytest.mark.parametrize(
    ("name", "stream", "file_name"),
    [
        ("1h", "btcusdt@kline_1h", "candles_BTCUSDT_1h.csv"),
        ("1m", "btcusdt@kline_1m", "candles_BTCUSDT_1m.csv"),
        ("1M", "btcusdt@kline_1M", "candles_BTCUSDT_1mo.csv"),
        ("1d@+08:00", "btcusdt@kline_1d@+08:00", "candles_BTCUSDT_1d+0800.csv"),
    ],
)
def test_a_stream_has_its_name_in_the_url_and_its_file(
    name: str, stream: str, file_name: str
) -> None:
    made = Stream("BTCUSDT", parse(name))
    assert made.name == stream
    assert made.file_name == file_name
    assert intervals.from_file_name(file_name) == parse(name)


def test_no_two_streams_share_a_file_even_where_case_is_ignored() -> None:
    zoned = [f"{name}@+08:00" for name in NAMES]
    files = {Stream("BTCUSDT", parse(name)).file_name.lower() for name in (*NAMES, *zoned)}
    assert len(files) == 2 * len(NAMES)
