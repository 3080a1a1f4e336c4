"""Files of every shape and state, and what is said of each."""

import gzip
import threading
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kline_ops.errors import InputError
from kline_ops.gaps import FileReport, analyze_gaps, read, report
from kline_ops.market.candle import HEADERS
from kline_ops.market.timestamp import to_ms, to_text

HEADER = "timestamp,open,high,low,close,volume\n"
HOUR = 3_600_000
START = to_ms("2026-01-27T00:00:00Z")
REST = ",100.10,101.00,99.90,100.50,1.25"


def row(hour: float) -> str:
    return f"{to_text(START + round(hour * HOUR))}{REST}\n"


def rows(*hours: float) -> str:
    return "".join(map(row, hours))


def write(folder: Path, text: str | bytes, name: str = "candles_BTCUSDT_1h.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def counts(found: FileReport) -> dict[str, int]:
    """Only what is not zero."""
    names = ("missing", "duplicates", "out_of_order", "off_grid", "bad_rows")
    return {name: getattr(found, name) for name in names if getattr(found, name)}


CUT = row(3)
CASES = {
    "whole": (rows(1, 2, 3, 4), {}),
    "a hole": (rows(1, 2, 4), {"missing": 1}),
    "double": (rows(1, 2, 2, 3), {"duplicates": 1}),
    "a double does not hide a hole": (rows(1, 2, 2, 4), {"duplicates": 1, "missing": 1}),
    "out of order": (rows(1, 3, 2, 4), {"out_of_order": 1}),
    "newest first": (rows(4, 3, 2, 1), {"out_of_order": 3}),
    "replay": (rows(1, 2, 3, 1, 2, 3, 4), {"duplicates": 3, "out_of_order": 1}),
    "off the grid": (rows(1, 2, 2.5, 3), {"off_grid": 1}),
    "off the grid, and a hole": (rows(1, 2.5, 4), {"off_grid": 1, "missing": 2}),
    "cut in a price": (rows(1, 2, 4) + CUT[:30], {"missing": 1, "bad_rows": 1}),
    "cut after a point": (rows(1, 2) + CUT[:-3], {"bad_rows": 1}),
    "cut in the time": (rows(1, 2) + CUT[:9], {"bad_rows": 1}),
    "cut in a price, appended to": (
        rows(1, 2) + CUT[:30] + rows(4, 5),
        {"bad_rows": 1, "missing": 2},
    ),
    "cut in the time, appended to": (
        rows(1, 2) + CUT[:9] + rows(4, 5),
        {"bad_rows": 1, "missing": 2},
    ),
    "no last end of line": (rows(1, 2, 3)[:-1], {}),
    "header twice": (rows(1, 2) + HEADER + rows(3, 4), {"bad_rows": 1}),
    "NULs": (rows(1, 2) + "\0" * 100_000 + "\n" + rows(3), {"bad_rows": 1}),
    "NULs at the end": (rows(1, 2) + "\0" * 400_000, {"bad_rows": 1}),
    "a NUL in a price": (rows(1, 2) + row(3).replace("101", "1\x001"), {"bad_rows": 1}),
    "garbage price": (
        rows(1) + row(2).replace("99.90", "abc") + rows(3),
        {"bad_rows": 1, "missing": 1},
    ),
    "no price": (rows(1) + row(2).replace("99.90", "") + rows(3), {"bad_rows": 1, "missing": 1}),
    "a lone point": (
        rows(1) + row(2).replace("99.90", ".") + rows(3),
        {"bad_rows": 1, "missing": 1},
    ),
    "nan": (rows(1) + row(2).replace("99.90", "nan") + rows(3), {"bad_rows": 1, "missing": 1}),
    "impossible, but whole": (rows(1) + row(2).replace("101.00", "1.00") + rows(3), {}),
    "an exponent": (rows(1) + row(2).replace("99.90", "6.38e-06") + rows(3), {}),
    "whole numbers": (rows(1, 2, 3).replace("100.10", "100"), {}),
    "month 13": (rows(1) + row(2).replace("-01-", "-13-") + rows(3), {"bad_rows": 1, "missing": 1}),
    "milliseconds": (rows(1) + row(2).replace("Z", ".000Z") + rows(3), {}),
    "14:28:14.789": (rows(1, 2, 3) + row(3 + 1694.789 / 3600), {"off_grid": 1}),
    "a microsecond late": (
        rows(1, 3) + row(2).replace("Z", ".000001Z"),
        {"off_grid": 1, "out_of_order": 1, "missing": 1},
    ),
    "offset instead of Z": (rows(1, 2, 3).replace("Z", "+00:00"), {}),
    "blank lines": (rows(1, 2) + "\n  \n" + rows(3) + "\n", {}),
    "a column too many": (
        rows(1) + row(2).replace("\n", ",9\n") + rows(3),
        {"bad_rows": 1, "missing": 1},
    ),
}


@pytest.mark.parametrize("header", [HEADER, "\ufeff" + HEADER, ""], ids=["header", "bom", "none"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("case", CASES)
def test_counts(tmp_path: Path, case: str, header: str, ends: str) -> None:
    text, expected = CASES[case]
    if ends == "\r\n" and case == "no last end of line":
        text = text + "\n"
    path = write(tmp_path, (header + text).replace("\n", ends))
    before = path.stat()

    found = report(path)

    assert counts(found) == expected
    assert found.owed == found.on_disk + found.missing
    assert found.missing == sum(gap.missing for gap in found.gaps)
    after = path.stat()
    assert (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)


def test_line_numbers_of_findings(tmp_path: Path) -> None:
    text = HEADER + rows(1, 2) + "torn\n" + rows(2, 3.5, 3) + "x\ny\nz\n"
    found = report(write(tmp_path, text))
    assert found.lines == {
        "bad_rows": ("4", "8", "9"),
        "duplicates": ("5",),
        "off_grid": ("6",),
        "out_of_order": ("7",),
    }
    assert found.bad_rows == 4


def test_gap_ends(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + rows(1, 2, 5, 6))
    (gap,) = report(path).gaps
    assert [gap.before_ms, gap.first_missing_ms, gap.last_missing_ms, gap.after_ms] == [
        START + hour * HOUR for hour in (2, 3, 4, 5)
    ]
    assert (gap.missing, gap.seconds) == (2, 3 * 3600)
    expected = {
        "before": "2026-01-27T02:00:00Z",
        "after": "2026-01-27T05:00:00Z",
        "gap_seconds": 10800,
        "missing_candles": 2,
    }
    assert analyze_gaps(path) == [expected]
    assert analyze_gaps(path, 3600) == [expected]


def test_window_widens_and_narrows(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + rows(2, 3, 5, 6))
    wide = report(path, from_ms=START, until_ms=START + 9 * HOUR)
    assert (wide.owed, wide.on_disk, wide.missing) == (9, 4, 5)
    head, hole, tail = wide.gaps
    assert (head.before_ms, head.after_ms, head.seconds) == (None, START + 2 * HOUR, 7200)
    assert (hole.missing, hole.seconds) == (1, 7200)
    assert (tail.before_ms, tail.after_ms) == (START + 6 * HOUR, None)
    assert tail.seconds == 3 * 3600  # from the open of 06:00 to the end of the window
    assert tail.last_missing_ms == START + 8 * HOUR

    narrow = report(path, from_ms=START + 3 * HOUR, until_ms=START + 6 * HOUR)
    assert (narrow.first_ms, narrow.last_ms) == (START + 3 * HOUR, START + 5 * HOUR)
    assert (narrow.owed, narrow.missing) == (3, 1)


def test_window_between_open_times(tmp_path: Path) -> None:
    """What opens after --from is owed; what is not yet closed at --until is not."""
    path = write(tmp_path, HEADER + rows(2, 3))
    found = report(path, from_ms=START + 1, until_ms=START + 5 * HOUR - 1)
    assert (found.first_ms, found.last_ms) == (START + HOUR, START + 3 * HOUR)
    assert found.missing == 1


def test_window_without_any_row(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + rows(2, 3))
    found = report(path, from_ms=START + 10 * HOUR, until_ms=START + 12 * HOUR)
    (gap,) = found.gaps
    assert (found.owed, found.on_disk, gap.before_ms, gap.after_ms) == (2, 0, None, None)
    assert gap.seconds == 7200


def test_nothing_is_owed_in_the_window(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + rows(2, 3))
    with pytest.raises(InputError, match="no 1h candle is owed"):
        report(path, from_ms=START + 10 * HOUR)
    with pytest.raises(InputError, match="no 1h candle is owed"):
        report(path, until_ms=START + HOUR)
    with pytest.raises(InputError, match="nothing lies between"):
        report(path, from_ms=START, until_ms=START)


CALENDARS = {
    "1w": [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(weeks=n) for n in range(60)],
    "3d": [datetime(2023, 12, 31, tzinfo=UTC) + timedelta(days=3 * n) for n in range(60)],
    "1M": [datetime(2020 + n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(60)],
    "1d": [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(60)],
}


@pytest.mark.parametrize("named", [True, False], ids=["by name", "by rows"])
@pytest.mark.parametrize("code", CALENDARS)
def test_calendars(tmp_path: Path, code: str, named: bool) -> None:
    opens = [int(moment.timestamp() * 1000) for moment in CALENDARS[code]]
    text = HEADER + "".join(f"{to_text(ms)}{REST}\n" for ms in opens[:20] + opens[22:])
    token = code.replace("M", "mo")
    found = report(write(tmp_path, text, f"candles_ETHUSDT_{token}.csv" if named else "x.csv"))
    assert (found.interval.code, found.owed, found.on_disk) == (code, 60, 58)
    (gap,) = found.gaps
    assert (gap.first_missing_ms, gap.last_missing_ms) == (opens[20], opens[21])
    assert gap.seconds == (opens[22] - opens[19]) // 1000
    assert found.symbol == ("ETHUSDT" if named else None)


def test_week_that_opens_on_thursday_is_off_the_grid(tmp_path: Path) -> None:
    thursdays = [datetime(2024, 1, 4, tzinfo=UTC) + timedelta(weeks=n) for n in range(5)]
    text = HEADER + "".join(f"{day:%Y-%m-%dT00:00:00Z}{REST}\n" for day in thursdays)
    with pytest.raises(InputError, match="no row opens on the 1w grid"):
        report(write(tmp_path, text, "x_1w.csv"))


def test_interval_by_rows(tmp_path: Path) -> None:
    assert report(write(tmp_path, HEADER + rows(1, 2, 4), "x.csv")).interval.code == "1h"
    assert report(write(tmp_path, HEADER + rows(4, 2, 1), "x.csv")).interval.code == "1h"
    with pytest.raises(InputError, match=r"600 s apart.*"):
        report(write(tmp_path, HEADER + rows(1, 1 + 1 / 6, 1 + 2 / 6), "x.csv"))
    with pytest.raises(InputError, match="do not tell its interval") as one:
        report(write(tmp_path, HEADER + rows(1), "x.csv"))
    assert "--interval" in one.value.hint
    assert report(write(tmp_path, HEADER + rows(1), "x.csv"), "1h").owed == 1


def test_given_interval_wins_over_the_name(tmp_path: Path) -> None:
    found = report(write(tmp_path, HEADER + rows(0, 1, 2, 3, 4)), "2h")
    assert (found.owed, found.off_grid) == (3, 2)


def dump(hours: range, unit: int, tail: str = ",1,2,3,4,0\n") -> str:
    """The exchange's twelve columns; ``unit`` a second."""
    lines = []
    for hour in hours:
        opened = (START + hour * HOUR) * unit // 1000
        lines.append(f"{opened}{REST},{opened + 3600 * unit - 1}{tail}")
    return "".join(lines)


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9], ids=["s", "ms", "us", "ns"])
@pytest.mark.parametrize("header", [True, False])
def test_dumps_in_every_unit(tmp_path: Path, unit: int, header: bool) -> None:
    names = "open_time,open,high,low,close,volume,close_time,qv,n,tb,tq,ignore\n"
    text = (names if header else "") + dump(range(50), unit) + dump(range(53, 90), unit)
    found = report(write(tmp_path, text, "BTCUSDT-1h-2026.csv"))
    assert (found.owed, found.on_disk, found.symbol) == (90, 87, "BTCUSDT")
    assert counts(found) == {"missing": 3}


def test_dump_that_changes_its_unit(tmp_path: Path) -> None:
    text = dump(range(50), 10**3) + dump(range(50, 100), 10**6)
    assert report(write(tmp_path, text, "x.csv")).owed == 100
    assert counts(report(write(tmp_path, text, "x.csv"))) == {}


def test_dump_a_microsecond_off(tmp_path: Path) -> None:
    late = dump(range(5, 6), 10**6).replace("000000,", "000001,", 1)
    text = dump(range(5), 10**6) + late + dump(range(6, 9), 10**6)
    assert counts(report(write(tmp_path, text))) == {"off_grid": 1, "missing": 1}


def test_a_recorded_file_with_full_columns_is_read(tmp_path: Path) -> None:
    header = HEADERS["full"] + "\n"
    full = ",1.25,2026-01-27T23:59:59.999Z,12.5,7,0.25,25.1"
    for hours in ([*range(40), *range(42, 80)], [1, 2, 5]):
        text = "".join(row(hour).replace(",1.25", full) for hour in hours)
        found = report(write(tmp_path, header + text))
        assert counts(found) == {"missing": 2}
    torn = report(write(tmp_path, header + text + text[:70]))
    assert counts(torn) == {"missing": 2, "bad_rows": 1}


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    text = "Symbol,Close,High,Low,Open,Open Time\n" + "".join(
        f"BTCUSDT,1,2,0.5,1,{to_text(START + hour * HOUR)}\n" for hour in (0, 1, 3)
    )
    assert counts(report(write(tmp_path, text))) == {"missing": 1}


def test_gzip_and_zip(tmp_path: Path) -> None:
    text = (HEADER + rows(1, 2, 4)).encode()
    packed = write(tmp_path, gzip.compress(text), "candles_BTCUSDT_1h.csv.gz")
    assert report(packed).missing == 1
    archive = tmp_path / "BTCUSDT-1h-2026.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("a.csv", rows(1, 2, 4))
        out.writestr("notes.txt", "nothing")
        out.writestr("b.csv", HEADER + rows(5, 6) + "torn\n" + rows(8))
    found = report(archive)
    assert counts(found) == {"missing": 2, "bad_rows": 1}
    assert found.lines["bad_rows"] == ("b.csv:4",)


def test_files_longer_than_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = HEADER + rows(*(hour for hour in range(400) if hour not in {7, 150, 151, 399}))
    path = write(tmp_path, text + "torn" + rows(399, 400))
    whole = report(path)
    for size in (1, 7, 64, 1000):
        monkeypatch.setattr(read, "BLOCK", size)
        assert report(path) == whole
    assert counts(whole) == {"missing": 4, "bad_rows": 1}


def unreadable() -> dict[str, tuple[str, bytes | None, str]]:
    member = gzip.compress((HEADER + rows(*range(500))).encode())
    return {
        "missing": ("no_1h.csv", None, "no such file"),
        "empty": ("x_1h.csv", b"", "no candle in it"),
        "empty, no name": ("x.csv", b"", "no candle in it"),
        "header only": ("x_1h.csv", HEADER.encode(), "no candle in it"),
        "torn only": ("x_1h.csv", HEADER.encode() + b"2026-\n", "none of its lines"),
        "no time": ("x_1h.csv", b"open,high,low,close\n1,2,3,4\n", "no time column"),
        "text": ("x_1h.csv", b"Dear reader,\nhello\n", "not a candle file"),
        "binary": ("x_1h.csv", bytes(range(256)) * 40, "not a candle file"),
        "cut gzip": ("x_1h.csv.gz", member[:30], "corrupt or cut short"),
        "garbled gzip": ("x_1h.csv.gz", member[:15] + b"\xff" * 40 + member[55:], "corrupt or cut"),
        "no zip": ("x_1h.zip", b"nothing of the kind", "not a candle file"),
        "cut zip": ("x_1h.zip", b"PK\x03\x04 and so on", "corrupt or cut short"),
        "broken JSON": ("x_1h.json", b"[[1499040000000, ", "broken JSON"),
        "JSON without rows": ("x_1h.json", b'{"code": -1121, "msg": "no"}', "no rows"),
        "empty zip": ("x_1h.zip", b"PK\x05\x06" + bytes(18), "no .csv file"),
    }


@pytest.mark.parametrize("case", unreadable())
def test_unreadable(tmp_path: Path, case: str) -> None:
    name, content, says = unreadable()[case]
    if content is not None:
        write(tmp_path, content, name)
    with pytest.raises(InputError) as raised:
        report(tmp_path / name)
    assert raised.value.exit_code == 2
    assert raised.value.hint
    assert says in raised.value.one_line()
    assert name in raised.value.one_line()
    with pytest.raises(InputError):
        analyze_gaps(tmp_path / name)


def test_a_file_that_is_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = gzip.compress((HEADER + rows(*range(500))).encode())
    path = write(tmp_path, whole[: len(whole) // 2], "x_1h.csv.gz")
    found = report(path)
    assert 0 < found.on_disk < 500
    assert found.missing == 0
    assert found.cut_short[str(path)].startswith("corrupt or cut short")


def test_a_corrupt_zip_member(tmp_path: Path) -> None:
    path = tmp_path / "x_1h.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a.csv", HEADER + rows(1, 2, 3))
    path.write_bytes(path.read_bytes().replace(b"100.10", b"100.11"))
    with pytest.raises(InputError, match="corrupt or cut short"):
        report(path)


def test_directory_and_permission(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a directory"):
        report(tmp_path)
    path = write(tmp_path, HEADER + rows(1))
    path.chmod(0)
    try:
        path.open("rb").close()
    except PermissionError:
        with pytest.raises(InputError, match="may not be read"):
            report(path)
    else:
        pytest.skip("this user may read everything")


@pytest.mark.parametrize("interval", ["1H", "7m", "", "1d@+03:00"])
def test_unknown_interval(tmp_path: Path, interval: str) -> None:
    with pytest.raises(InputError, match="unknown interval"):
        report(write(tmp_path, HEADER + rows(1)), interval)
    with pytest.raises(InputError, match="no interval of the exchange is 42 s"):
        analyze_gaps(tmp_path / "x.csv", 42)


def test_waits_for_a_merge(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + rows(1, 3))
    redo = tmp_path / (path.name + ".redo")
    redo.touch()

    def merge() -> None:
        time.sleep(0.12)
        path.write_text(HEADER + rows(1, 2, 3))
        redo.unlink()

    merger = threading.Thread(target=merge)
    merger.start()
    found = report(path)
    merger.join()
    assert counts(found) == {}


def test_a_merge_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kline_ops.gaps.files._WAIT_SECONDS", 0.001)
    path = write(tmp_path, HEADER + rows(1, 3))
    (tmp_path / (path.name + ".redo")).touch()
    with pytest.raises(InputError, match="being merged"):
        report(path)


def while_reading(monkeypatch: pytest.MonkeyPatch, happens: list[str], path: Path) -> None:
    """Each text is written over the file at the end of one reading of it."""
    unchanged = read.Source.unchanged

    def then(source: read.Source) -> bool:
        if happens:
            path.write_text(happens.pop(0))
        return unchanged(source)

    monkeypatch.setattr(read.Source, "unchanged", then)


def test_reads_again_what_was_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, HEADER + rows(1, 2, 5))
    while_reading(monkeypatch, [HEADER + rows(1, 2, 4, 5), HEADER + rows(1)], path)
    assert report(path).owed == 1


def test_growing_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, HEADER + rows(1, 3))
    while_reading(monkeypatch, [HEADER + rows(1, 3, 4), "never"], path)
    assert report(path).owed == 3


def test_the_library_is_where_the_readme_says(tmp_path: Path) -> None:
    import kline_ops

    path = write(tmp_path, HEADER + rows(1, 2, 4))
    assert kline_ops.gap_report([path]).missing == 1
    (gap,) = kline_ops.analyze_gaps(path, expected_interval_seconds=3600)
    assert gap["missing_candles"] == 1
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kline_ops.nothing


def test_the_interval_of_shuffled_rows_is_told_by_them_too(tmp_path: Path) -> None:
    hours = [(hour * 37) % 101 for hour in range(100)]
    found = report(write(tmp_path, HEADER + rows(*hours), "export.csv"))
    assert (found.interval.name, found.owed - found.missing) == ("1h", 100)
