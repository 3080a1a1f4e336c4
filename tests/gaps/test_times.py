"""The spellings of times that people's files have."""

import pytest

from kline_ops.gaps.times import time_ms
from kline_ops.market.timestamp import to_ms

MOMENT = to_ms("2026-01-27T14:00:00Z")


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-27T14:00:00Z",
        "2026-01-27 14:00:00",
        "2026-01-27 14:00",
        " 2026-01-27T14:00Z ",
        "2026-01-27T14:00:00.000Z",
        "2026-01-27T14:00:00.000000000Z",
        "2026-01-27 14:00:00+00:00",
        "2026-01-27 14:00:00 +0000",
        "2026-01-27 14:00:00 UTC",
        "2026-01-27 14:00:00 utc",
        "2026-01-27T22:00:00+08:00",
        "2026/01/27 14:00:00",
        "2026/01/27 14:00 GMT",
        "20260127T140000Z",
        "20260127T140000+0000",
        "1769522400",
        "1769522400.0",
        "1769522400000",
        "1769522400000.0",
        "1769522400000000",
        "1769522400000000000",
    ],
)
def test_spellings(text: str) -> None:
    assert time_ms(text.encode()) == MOMENT


@pytest.mark.parametrize(
    "text", ["", "now", "27.01.2026 14:00", "2026-13-27", "123", "1.5", "2026-01-27T14:00:00X", "é"]
)
def test_no_times(text: str) -> None:
    assert time_ms(text.encode()) is None


def test_what_is_finer_is_never_on_the_grid() -> None:
    assert time_ms(b"2026-01-27T14:00:00.000000001Z") == MOMENT + 1
    assert time_ms(b"1769522400000001") == MOMENT + 1
