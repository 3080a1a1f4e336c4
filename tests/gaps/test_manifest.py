"""The daily manifest: what a day has, found without reading years, and held against the file later."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.errors import InputError
from kline_ops.gaps import day_rows, manifest
from kline_ops.gaps.day_rows import DayFile
from kline_ops.gaps.manifest import Kind, check_days, count_day, last_whole_day, record
from kline_ops.market.candle import HEADERS
from kline_ops.market.interval import DAY_MS, HOUR_MS, parse
from kline_ops.market.timestamp import to_ms, to_text

HEADER = "timestamp,open,high,low,close,volume\n"
DAY = "2026-11-29"
START = to_ms(DAY)
NOW = START + DAY_MS + 7 * 60_000
HOUR = parse("1h")
CELLS = ",1.0,2.0,0.5,1.5,10.0\n"


def row(ms: int, cells: str = CELLS) -> str:
    return to_text(ms) + cells


def write(path: Path, *opens: int, header: str = HEADER) -> Path:
    path.write_text(header + "".join(map(row, opens)))
    return path


def hours(first: int, end: int, *, without: tuple[int, ...] = ()) -> list[int]:
    """Open times by their distance from the day in hours."""
    return [START + hour * HOUR_MS for hour in range(first, end) if hour not in without]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "candles_BTCUSDT_1h.csv", *hours(-72, 25))


def count(path: Path, day: str = DAY, interval: str = "1h", now_ms: int = NOW) -> manifest.Day:
    return count_day(path, "BTCUSDT", parse(interval), day, now_ms)


def test_a_whole_day(path: Path) -> None:
    data = "".join(map(row, hours(0, 24))).encode()
    assert count(path) == manifest.Day(
        manifest.DayCount(
            day=DAY,
            symbol="BTCUSDT",
            interval="1h",
            owed=24,
            on_disk=24,
            missing=0,
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
        ),
        (),
    )


def test_what_is_missing(path: Path) -> None:
    write(path, *hours(-2, 30, without=(3, 4, 23)))
    day = count(path)
    assert (day.count.owed, day.count.on_disk, day.count.missing) == (24, 21, 3)
    assert day.missing == tuple(START + hour * HOUR_MS for hour in (3, 4, 23))


def test_a_recorder_that_stopped_owes_the_whole_day(path: Path) -> None:
    write(path, *hours(-5, 0))
    assert count(path).count.missing == 24
    assert count(path).count.sha256 == hashlib.sha256().hexdigest()


def test_the_first_day_is_owed_from_the_first_row_on(path: Path) -> None:
    write(path, *hours(10, 24))
    assert (count(path).count.owed, count(path).count.missing) == (14, 0)
    assert count(path, "2026-11-28").count.owed == 0


def test_what_is_not_closed_is_not_owed(path: Path) -> None:
    write(path, *hours(0, 12))
    day = count(path, now_ms=START + 12 * HOUR_MS + 1)
    assert (day.count.owed, day.count.missing) == (12, 0)


@pytest.mark.parametrize(
    ("interval", "day", "owed"),
    [
        ("1w", "2026-11-23", 1),  # a Monday
        ("1w", "2026-11-24", 0),
        ("3d", "2026-11-28", 0),  # opened on the 27th, and on the 30th
        ("3d", "2026-11-27", 1),
        ("1M", "2026-11-01", 1),
        ("1M", "2026-11-02", 0),
        ("1d@+08:00", "2026-11-28", 1),
        ("12h@+08:00", "2026-11-28", 2),
    ],
)
def test_intervals_with_days_of_their_own(
    tmp_path: Path, interval: str, day: str, owed: int
) -> None:
    kind = parse(interval)
    opens = [kind.shift(kind.floor(NOW), -step) for step in range(9)]
    path = write(tmp_path / "x.csv", *sorted(opens))
    found = count(path, day, interval, now_ms=to_ms("2026-12-01") + 1)
    assert (found.count.owed, found.count.missing) == (owed, 0)


@pytest.mark.parametrize(
    ("interval", "now", "day"),
    [
        ("1h", "2026-11-30T00:00:00Z", "2026-11-29"),
        ("1h", "2026-11-30T23:59:59Z", "2026-11-29"),
        ("1s", "2026-11-30T00:00:00Z", "2026-11-29"),
        ("1d", "2026-11-30T00:00:00Z", "2026-11-29"),
        ("3d", "2026-11-30T00:00:00Z", "2026-11-27"),
        ("3d", "2026-12-02T23:00:00Z", "2026-11-27"),
        ("1w", "2026-11-29T23:59:59Z", "2026-11-16"),
        ("1w", "2026-11-30T00:00:00Z", "2026-11-23"),
        ("1M", "2026-11-30T12:00:00Z", "2026-10-01"),
        ("1M", "2026-12-01T00:00:00Z", "2026-11-01"),
        ("1d@+08:00", "2026-11-30T00:07:00Z", "2026-11-28"),
        ("1d@+08:00", "2026-11-30T16:00:00Z", "2026-11-29"),
        ("12h@+08:00", "2026-11-30T00:07:00Z", "2026-11-28"),
        ("12h@+08:00", "2026-11-30T04:00:00Z", "2026-11-29"),
    ],
)
def test_the_last_whole_day(interval: str, now: str, day: str) -> None:
    assert last_whole_day(parse(interval), to_ms(now)) == day


@pytest.mark.parametrize("day", ["yesterday", "2026-11-31", "20261129", "2026-W48-7", ""])
def test_no_day(path: Path, day: str) -> None:
    with pytest.raises(InputError, match="is no day"):
        count(path, day)


def test_no_all_clear_without_a_row(tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text(HEADER)
    with pytest.raises(InputError, match="no candle in it"):
        count(empty)
    with pytest.raises(InputError, match=r"cannot read .*none\.csv: No such file"):
        count(tmp_path / "none.csv")
    with pytest.raises(InputError, match="directory"):
        count(tmp_path)


def test_full_columns(path: Path) -> None:
    cells = ",1.0,2.0,0.5,1.5,10.0,2026-11-29T00:59:59.999Z,5.0,3,1.0,2.0\n"
    path.write_text(HEADERS["full"] + "\n" + "".join(row(ms, cells) for ms in hours(-3, 26)))
    assert count(path).count.on_disk == 24


def test_years_of_minutes_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.csv", *range(START - 60 * DAY_MS, NOW, 60_000))
    asked: list[int] = []

    def pread(fd: int, length: int, offset: int) -> bytes:
        asked.append(length)
        return read(fd, length, offset)

    read = os.pread
    monkeypatch.setattr(day_rows, "_BLOCK", 4096)
    monkeypatch.setattr(os, "pread", pread)
    assert count(path, interval="1m").count.on_disk == 1440
    assert sum(asked) < 200_000 < path.stat().st_size / 10


def naive(data: bytes, day: str = DAY) -> bytes:
    """All whole rows of a day, by looking at every line."""
    lines = [line + b"\n" for line in data.split(b"\n")[:-1]]
    return b"".join(line for line in lines if line.startswith(day.encode()) and len(line) == 42)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.replace(b"2026-11-29T07:00:00Z,", b"\0" * 21),
        lambda data: data.replace(b"2026-11-29T07:00:00Z,1.0", b"2026-11-29T07:0"),
        lambda data: data.replace(b"2026-11-28T12:00:00Z,", b"garbage,"),
        lambda data: data.replace(b"2026-11-30T00", b"2026-11-29T00"),  # doubled, out of order
        lambda data: data + b"2026-11-30T01:00",
        lambda data: data + b"2026-11-29T05:00:00Z,9.0,9.0,9.5,9.5,99.0\n",
        lambda data: data[: len(data) // 2] + b"\0" * 3_000_000 + data[len(data) // 2 :],
        lambda data: data + b"\0" * 5000,
        lambda data: data.removeprefix(HEADER.encode()),
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: b"",
    ],
)
def test_a_spoiled_file_has_the_same_rows_by_halving_as_by_reading_through(
    path: Path, spoil: object
) -> None:
    data = spoil(path.read_bytes())  # type: ignore[operator]
    path.write_bytes(data)
    with DayFile(path) as file:
        assert file.rows(DAY, "2026-11-30") == naive(data)


@given(
    opens=st.lists(st.integers(0, 400), min_size=1, max_size=80),
    cut=st.integers(0, 45),
    day=st.integers(-1, 16),
)
def test_halving_equals_reading_through(
    tmp_path_factory: pytest.TempPathFactory, opens: list[int], cut: int, day: int
) -> None:
    times = [START + hour * HOUR_MS for hour in sorted(opens)]
    path = write(tmp_path_factory.mktemp("x") / "x.csv", *times)
    data = path.read_bytes()[: -cut or None]
    path.write_bytes(data)
    text, following = (to_text(START + (day + n) * DAY_MS)[:10] for n in (0, 1))
    with DayFile(path) as file:
        assert file.rows(text, following) == naive(data, text)


def test_a_file_that_is_being_merged_is_read_again(path: Path) -> None:
    write(path, *hours(-2, 25, without=(3,)))
    redo = path.with_name(path.name + ".redo")
    redo.touch()

    def merge() -> None:
        time.sleep(0.2)
        write(path, *hours(-2, 25))
        redo.unlink()

    merging = threading.Thread(target=merge)
    merging.start()
    assert count(path).count.missing == 0
    merging.join()


def test_a_merge_that_was_cut_off_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_rows, "_BETWEEN", 0.0)
    path.with_name(path.name + ".redo").touch()
    with pytest.raises(InputError, match="being merged"):
        count(path)


def test_a_merge_meanwhile_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins after the first look and is over before the second: only the stamp of the file tells."""
    write(path, *hours(-2, 25, without=(3,)))
    read, merged = os.pread, []

    def pread(fd: int, length: int, offset: int) -> bytes:
        data = read(fd, length, offset)
        if not merged and b"2026-11-29T02" in data:
            merged.append(True)
            write(path, *hours(-2, 25))
        return data

    monkeypatch.setattr(os, "pread", pread)
    with DayFile(path) as file:
        rows = file.rows(DAY, "2026-11-30")
    assert merged
    assert len(file.times(rows)) == 24


def test_a_recorder_that_goes_on_appending_holds_nothing_up(path: Path) -> None:
    stop = threading.Event()

    def append() -> None:
        with path.open("a") as file:
            for ms in hours(25, 100_000):
                file.write(row(ms))
                file.flush()
                if stop.is_set():
                    return

    appending = threading.Thread(target=append)
    appending.start()
    try:
        for _ in range(20):
            assert count(path).count.on_disk == 24
    finally:
        stop.set()
        appending.join()


def test_a_day_is_written_once(path: Path, tmp_path: Path) -> None:
    book = tmp_path / manifest.NAME
    day = count(path).count
    assert record(book, day) is None
    assert record(book, day) is None
    (line,) = book.read_text().splitlines()
    assert json.loads(line) == {
        "day": DAY, "symbol": "BTCUSDT", "interval": "1h", "owed": 24, "on_disk": 24,
        "missing": 0, "sha256": day.sha256, "bytes": day.bytes,
    }  # fmt: skip


def test_a_day_that_differs_is_appended(path: Path, tmp_path: Path) -> None:
    book = tmp_path / manifest.NAME
    day = count(path).count
    grown = replace(day, on_disk=23, missing=1, sha256="0" * 64)
    record(book, grown)
    change = record(book, day)
    assert change is not None
    assert (change.kind, change.is_finding) == (Kind.FILLED, False)
    assert record(book, day) is None
    assert [json.loads(line).get("changed") for line in book.read_text().splitlines()] == [
        None,
        True,
    ]
    assert manifest.read(book) == {day.key: day}


def test_several_files_share_a_manifest(tmp_path: Path, path: Path) -> None:
    book = tmp_path / manifest.NAME
    for day in (count(path).count, replace(count(path).count, symbol="ETHUSDT")):
        record(book, day)
        assert record(book, day) is None
    assert len(manifest.read(book)) == 2


def test_a_torn_or_foreign_line_is_passed_over(tmp_path: Path, path: Path) -> None:
    book = tmp_path / manifest.NAME
    day = count(path).count
    lines = ["[]", "null", "{}", '{"day": 5}', "\xff\x00", "[" * 5000, '{"day": "2026-11-29", "sy']
    book.write_text("\n".join(lines))
    assert manifest.read(book) == {}
    record(book, day)
    wrong = json.dumps({**json.loads(book.read_text().splitlines()[-1]), "owed": "many"})
    with book.open("a") as file:
        file.write(wrong)
    record(book, day)
    assert manifest.read(book) == {day.key: day}
    assert book.read_text().splitlines()[-1] == wrong


def test_two_at_once_write_a_day_once(path: Path, tmp_path: Path) -> None:
    book = tmp_path / manifest.NAME
    day = count(path).count
    threads = [threading.Thread(target=record, args=(book, day)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(book.read_text().splitlines()) == 1


def note(book: Path, path: Path, days: int = 3) -> None:
    for back in range(days):
        record(book, count(path, to_text(START - back * DAY_MS)[:10]).count)


def check(book: Path, path: Path, **options: int) -> list[manifest.Change]:
    return check_days(book, path, "BTCUSDT", HOUR, NOW, **options)


def test_nothing_changed(path: Path, tmp_path: Path) -> None:
    book = tmp_path / manifest.NAME
    assert check(book, tmp_path / "none.csv") == []
    note(book, path)
    assert check(book, path) == []


@pytest.mark.parametrize(
    ("spoil", "kind", "finding"),
    [
        (lambda text: text.replace("28T05:00:00Z,1.0", "28T05:00:00Z,1.1"), Kind.ALTERED, True),
        (lambda text: text.replace(f"2026-11-28T05:00:00Z{CELLS}", ""), Kind.LOST, True),
        (
            lambda text: text.replace(
                "2026-11-28T06:00:00Z,", f"2026-11-28T05:00:00Z{CELLS}2026-11-28T06:00:00Z,", 1
            ),
            Kind.ALTERED,
            True,
        ),
    ],
)
def test_what_was_changed_since(
    path: Path, tmp_path: Path, spoil: object, kind: Kind, finding: bool
) -> None:
    book = tmp_path / manifest.NAME
    note(book, path)
    path.write_text(spoil(path.read_text()))  # type: ignore[operator]
    (change,) = check(book, path)
    assert (change.now.day, change.kind, change.is_finding) == ("2026-11-28", kind, finding)
    assert check(book, path) == [change]  # only recording it settles it
    record(book, change.now)
    assert check(book, path) == []


def test_late_candles_are_no_finding(path: Path, tmp_path: Path) -> None:
    book = tmp_path / manifest.NAME
    write(path, *hours(-72, 25, without=(-3, -4)))
    note(book, path)
    write(path, *hours(-72, 25, without=(-3,)))
    (change,) = check(book, path)
    assert (change.kind, change.is_finding) == (Kind.FILLED, False)
    assert (change.before.on_disk, change.now.on_disk, change.now.missing) == (22, 23, 1)


def test_a_file_that_begins_earlier_now_owes_more(path: Path, tmp_path: Path) -> None:
    book = tmp_path / manifest.NAME
    write(path, *hours(10, 25))
    note(book, path, days=1)
    write(path, *hours(-3, 0), *hours(10, 25))
    (change,) = check(book, path)
    assert (change.kind, change.is_finding, change.now.missing) == (Kind.OWED, False, 10)


def test_only_the_last_days_are_looked_at(path: Path, tmp_path: Path) -> None:
    book = tmp_path / manifest.NAME
    note(book, path)
    write(path, *hours(-72, 25, without=(-40, -3)))  # on the 27th and the 28th
    assert [change.now.day for change in check(book, path)] == ["2026-11-27", "2026-11-28"]
    assert [change.now.day for change in check(book, path, days=2)] == ["2026-11-28"]
    assert check(book, path, days=1) == []


def test_a_manifest_that_can_not_be_written(path: Path, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        record(tmp_path / "gone" / manifest.NAME, count(path).count)
    (tmp_path / manifest.NAME).mkdir()
    with pytest.raises(InputError, match="cannot read"):
        manifest.read(tmp_path / manifest.NAME)
