"""The time without any connection."""

from __future__ import annotations

import pytest

from kline_ops.exchange.records import SessionRecord, dark_ms


@pytest.mark.parametrize(
    ("spans", "dark"),
    [
        ([], 100),
        ([(0, None)], 0),
        ([(120, 150)], 70),
        ([(50, 120), (110, 130)], 70),
        ([(150, None), (100, 160)], 0),
        ([(100, 110), (190, 300)], 80),
        ([(0, 90), (200, None)], 100),
        ([(110, 180), (120, 130)], 30),
    ],
)
def test_dark_time_is_what_no_session_covers(spans, dark: int) -> None:
    records = [SessionRecord(n, "/ws", *span) for n, span in enumerate(spans)]
    assert dark_ms(records, 100, 200) == dark
