"""Open times as text and back."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.market.timestamp import to_ms, to_text

#: The years 1000 to 9999.
MOMENT = st.integers(-30_610_224_000_000, 253_402_300_799_999)


@given(MOMENT)
def test_every_millisecond_survives_the_way_there_and_back(ms: int) -> None:
    assert to_ms(to_text(ms)) == ms


@given(MOMENT)
def test_the_text_is_what_datetime_reads(ms: int) -> None:
    moment = datetime.fromisoformat(to_text(ms))
    assert moment.tzinfo == UTC
    assert moment.microsecond % 1000 == 0


@given(MOMENT, MOMENT)
def test_times_in_whole_seconds_sort_as_text(one: int, other: int) -> None:
    one, other = one // 1000 * 1000, other // 1000 * 1000
    assert (to_text(one) < to_text(other)) == (one < other)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_769_522_400_000, "2026-01-27T14:00:00Z"),
        (1_518_168_494_789, "2018-02-09T09:28:14.789Z"),
        (1_709_164_800_000, "2024-02-29T00:00:00Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_milliseconds_are_written_only_where_there_are_some(ms: int, text: str) -> None:
    assert to_text(ms) == text
    assert to_ms(text) == ms


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-01-27T14:00:00", "2026-01-27T14:00:00Z"),
        ("2026-01-27 14:00", "2026-01-27T14:00:00Z"),
        ("2026-01-27", "2026-01-27T00:00:00Z"),
        ("2026-01-27T22:00:00+08:00", "2026-01-27T14:00:00Z"),
        ("2026-01-27T14:00:00.000000Z", "2026-01-27T14:00:00Z"),
        ("2026-01-27T14:00:00.123999Z", "2026-01-27T14:00:00.123Z"),
    ],
)
def test_a_time_without_a_zone_is_utc_and_others_are_brought_there(text: str, same: str) -> None:
    assert to_ms(text) == to_ms(same)


@given(st.text(max_size=30))
def test_any_other_text_is_a_value_error_and_nothing_else(text: str) -> None:
    try:
        to_ms(text)
    except ValueError:
        return


@pytest.mark.parametrize("text", ["", "Z", "1800240000", "2026-13-01", "2026-02-29", "14:00", "x"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are Python's own
        to_ms(text)
