"""The calendars of all intervals, against slow and obvious datetime arithmetic."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kline_ops.market import interval as intervals
from kline_ops.market.interval import DAY_MS, HOUR_MS, NAMES, Interval, parse
from kline_ops.market.timestamp import to_ms, to_text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ALL = [*NAMES, *(f"{name}@+08:00" for name in NAMES)]
ANY_INTERVAL = st.sampled_from(ALL).map(parse)
#: 1980 to 2100, whole milliseconds.
MOMENT = st.integers(315_532_800_000, 4_102_444_800_000)


def obvious_floor(interval: Interval, ms: int) -> int:
    """By the calendar of a clock on the wall, in the interval's zone."""
    zone = timedelta(hours=8 if "@" in interval.name else 0)
    local = EPOCH + timedelta(milliseconds=ms) + zone
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    number, unit = int(interval.code[:-1]), interval.code[-1]
    if unit == "M":
        opened = midnight.replace(day=1)
    elif unit == "w":
        opened = midnight - timedelta(days=midnight.weekday())
    elif unit == "d":
        opened = midnight - timedelta(days=(midnight - EPOCH).days % number)
    else:
        length = timedelta(**{{"s": "seconds", "m": "minutes", "h": "hours"}[unit]: number})
        opened = midnight + (local - midnight) // length * length
    return (opened - zone - EPOCH) // timedelta(milliseconds=1)


def obvious_after(interval: Interval, open_ms: int) -> int:
    """Walk on until another candle is open; never skips one, as steps are shorter than any."""
    step = DAY_MS if interval.code[-1] in "dwM" else 1_000
    moment = open_ms
    while obvious_floor(interval, moment) == open_ms:
        moment += step
    return obvious_floor(interval, moment)


def test_there_are_sixteen_intervals_and_each_is_known_by_its_name() -> None:
    assert " ".join(NAMES) == "1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M"
    for name in ALL:
        assert parse(name).name == str(parse(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        "1H",
        "1D",
        "1W",
        "1S",
        "3M",
        "2m",
        "01m",
        "1mo",
        "1",
        "m",
        "",
        " 1m",
        "1m ",
        "1m\n",
        "60m",
        "24h",
        "7d",
        "1m@",
        "1m@+08",
        "1m@+09:00",
        "1m@-08:00",
        "1m@+08:00 ",
        "1m@+08:000",
        "1d+0800",
        "١m",
        "1m@+08:00@+08:00",
        "100m",
    ],
)
def test_no_other_text_is_an_interval(text: str) -> None:
    with pytest.raises(ValueError, match="unknown interval"):
        parse(text)


def test_a_minute_and_a_month_differ_by_case_only() -> None:
    assert parse("1m").length_ms == 60_000
    assert parse("1M").length_ms is None
    assert parse("1m").file_token != parse("1M").file_token
    assert parse("1m").file_token.lower() != parse("1M").file_token.lower()


@given(ANY_INTERVAL, MOMENT)
@settings(max_examples=200)
def test_floor_is_what_the_calendar_says(interval: Interval, ms: int) -> None:
    assert interval.floor(ms) == obvious_floor(interval, ms)


@pytest.mark.parametrize("name", [n for n in ALL if not n.startswith(("4h", "6h", "8h", "12h"))])
@given(ms=MOMENT)
@settings(max_examples=4)
def test_the_next_open_is_the_next_one_on_the_calendar(name: str, ms: int) -> None:
    interval = parse(name)
    opened = interval.floor(ms)
    assert interval.after(opened) == interval.shift(opened, 1) == obvious_after(interval, opened)


@given(ANY_INTERVAL, MOMENT)
@settings(max_examples=100)
def test_floor_ceil_and_is_open_agree(interval: Interval, ms: int) -> None:
    floor, ceil = interval.floor(ms), interval.ceil(ms)
    assert floor <= ms <= ceil
    assert interval.is_open(floor)
    assert interval.is_open(ceil)
    assert interval.is_open(ms) == (floor == ms) == (ceil == ms)
    assert ceil in (floor, interval.after(floor))
    assert interval.floor(interval.after(floor) - 1) == floor
    assert interval.ceil(floor + 1) == interval.after(floor)


@given(ANY_INTERVAL, MOMENT, st.integers(-60, 60), st.integers(-60, 60))
@settings(max_examples=100)
def test_steps_add_up_and_are_counted_by_slots(
    interval: Interval, ms: int, one: int, other: int
) -> None:
    opened = interval.floor(ms)
    there = interval.shift(opened, one)
    assert interval.is_open(there)
    assert interval.shift(there, other) == interval.shift(opened, one + other)
    assert interval.slots(opened, there) == max(0, one)
    assert interval.slots(there, opened) == max(0, -one)


@given(ANY_INTERVAL, MOMENT, st.integers(0, 40))
@settings(max_examples=100)
def test_slots_counts_every_open_time_once(interval: Interval, ms: int, count: int) -> None:
    opened = interval.floor(ms)
    walk = [opened]
    for _ in range(count):
        walk.append(interval.after(walk[-1]))
    assert all(before < after for before, after in itertools.pairwise(walk))
    assert interval.slots(walk[0], walk[-1]) == count


def test_a_week_opens_on_monday() -> None:
    week = parse("1w")
    assert to_text(week.floor(to_ms("2026-02-01T23:59:59.999Z"))) == "2026-01-26T00:00:00Z"
    assert to_text(week.floor(to_ms("2026-02-02T00:00:00Z"))) == "2026-02-02T00:00:00Z"


def test_three_days_are_counted_from_the_epoch() -> None:
    three = parse("3d")
    assert three.is_open(0)
    assert three.is_open(6_813 * 3 * DAY_MS)
    assert to_text(three.floor(to_ms("2018-01-03T12:00:00Z"))) == "2018-01-01T00:00:00Z"


def test_months_have_their_own_lengths_and_february_of_a_leap_year_too() -> None:
    month = parse("1M")
    first = to_ms("2023-11-01T00:00:00Z")
    walk = [to_text(month.shift(first, steps))[:10] for steps in range(6)]
    assert walk == [
        f"{when}-01" for when in ["2023-11", "2023-12", "2024-01", "2024-02", "2024-03", "2024-04"]
    ]
    assert to_text(month.floor(to_ms("2024-02-29T23:59:59.999Z"))) == "2024-02-01T00:00:00Z"
    assert month.after(to_ms("2024-02-01")) - to_ms("2024-02-01") == 29 * DAY_MS
    assert month.after(to_ms("2100-02-01")) - to_ms("2100-02-01") == 28 * DAY_MS
    assert month.slots(to_ms("2017-08-01"), to_ms("2026-01-01")) == 101


@pytest.mark.parametrize(
    ("name", "moment", "opened"),
    [
        ("1d@+08:00", "2026-01-27T15:59:59.999Z", "2026-01-26T16:00:00Z"),
        ("1d@+08:00", "2026-01-27T16:00:00Z", "2026-01-27T16:00:00Z"),
        ("1w@+08:00", "2026-02-01T15:59:59Z", "2026-01-25T16:00:00Z"),
        ("1w@+08:00", "2026-02-01T16:00:00Z", "2026-02-01T16:00:00Z"),
        ("1M@+08:00", "2026-01-31T15:59:59Z", "2025-12-31T16:00:00Z"),
        ("1M@+08:00", "2024-02-29T16:00:00Z", "2024-02-29T16:00:00Z"),
        ("12h@+08:00", "2026-01-27T04:00:00Z", "2026-01-27T04:00:00Z"),
        ("1h@+08:00", "2026-01-27T04:30:00Z", "2026-01-27T04:00:00Z"),
    ],
)
def test_a_zone_eight_hours_ahead_opens_at_sixteen_utc(name: str, moment: str, opened: str) -> None:
    assert to_text(parse(name).floor(to_ms(moment))) == opened


@pytest.mark.parametrize("name", ALL)
def test_the_name_of_our_own_file_tells_its_interval(name: str) -> None:
    interval = parse(name)
    assert intervals.from_file_name(f"candles_BTCUSDT_{interval.file_token}.csv") == interval


@pytest.mark.parametrize(
    ("file_name", "code"),
    [
        ("BTCUSDT-1mo-2020.csv.gz", "1M"),
        ("candles_BTCUSDT_1mo.csv", "1M"),
        ("BTCUSDT-1M-2020.csv", "1M"),
        ("BTCUSDT-1m-2023-03-01.zip", "1m"),
        ("BTCUSDT-1h-2018-2025.rows-absent.csv", "1h"),
        ("1INCHUSDT-15m-2023-03.zip", "15m"),
        ("1000SATSUSDT-4h-2023-03.zip", "4h"),
        ("1MBABYDOGEUSDT-1d-2025-01-01.zip", "1d"),
        ("1000CHEEMSUSDT_12h.csv", "12h"),
        ("candles_1INCHUSDT_1s.csv", "1s"),
        ("BTCUSDT 1h.csv", "1h"),
        ("1w.csv", "1w"),
        ("BTCUSDT-1h.CSV", "1h"),
        ("btcusdt.3d.csv", "3d"),
    ],
)
def test_the_names_of_real_files_tell_their_interval(file_name: str, code: str) -> None:
    assert intervals.from_file_name(file_name) == parse(code)


@pytest.mark.parametrize(
    "file_name",
    [
        "candles.csv",
        "BTCUSDT.csv",
        "1INCHUSDT.csv",
        "1000SATSUSDT-2023-03.csv",
        "BTCUSDT-2023-03.csv",
        "4HUSDT.csv",
        "",
        "BTCUSDT-1hour.csv",
        "BTCUSDT-60m.csv",
        "BTCUSDT1h.csv",
        "x-12mo.csv",
    ],
)
def test_a_name_without_an_interval_tells_none(file_name: str) -> None:
    assert intervals.from_file_name(file_name) is None


@pytest.mark.parametrize("name", [n for n in NAMES if n != "1M"])
def test_a_length_leads_back_to_its_interval(name: str) -> None:
    length = parse(name).length_ms
    assert length is not None
    assert intervals.from_length(length) == parse(name)
    assert intervals.from_length(length + 1) is None


def test_no_length_is_a_month_and_a_month_counts_as_31_days_for_waits() -> None:
    assert intervals.from_length(30 * DAY_MS) is None
    assert intervals.from_length(31 * DAY_MS) is None
    assert parse("1M").typical_ms == 31 * DAY_MS
    assert parse("1h").typical_ms == HOUR_MS
