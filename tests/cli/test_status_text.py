"""What ``status NAME`` prints of the clock."""

import pytest

from kline_ops.cli.status_text import one
from kline_ops.watch.status import look
from tests.watch.test_registry import DEMO


@pytest.mark.parametrize(
    ("skew", "row"),
    [
        (None, None),
        (0.9, None),
        (-1.0, None),
        (5.04, "clock        5.0 s ahead of the exchange's"),
        (-3600.0, "clock        3600.0 s behind the exchange's"),
        ("damaged", None),
    ],
)
def test_a_clock_is_mentioned_when_it_is_more_than_a_second_off(
    skew: object, row: str | None
) -> None:
    _, record = look(DEMO, 1_769_522_400_000)
    rows = [line.strip() for line in one(record | {"clock_skew_seconds": skew}).splitlines()]
    assert [line for line in rows if line.startswith("clock")] == ([row] if row else [])
