"""Several files as one ascending row of candles."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from kline_ops.errors import InputError
from kline_ops.gaps.joined import Joined, Tally, look
from kline_ops.market.candle import HEADER, Candle
from kline_ops.market.interval import DAY_MS, HOUR_MS, MINUTE_MS, parse
from kline_ops.market.stream import Stream
from kline_ops.market.timestamp import to_ms

STREAM = Stream("BTCUSDT", parse("1h"))
START = to_ms("2026-01-05T00:00:00Z")
LATER = START + 1000 * HOUR_MS


def candle(hour: int, volume: str = "5", *, step: int = HOUR_MS) -> Candle:
    price = f"{hour + 1}.50"
    return Candle(START + hour * step, price, price, price, price, volume)


def write(path: Path, candles: Sequence[Candle]) -> Path:
    rows = b"".join(one.row() for one in candles)
    path.write_bytes(f"{HEADER}\n".encode() + rows)
    return path


def read(
    paths: Sequence[Path], stream: Stream = STREAM, now_ms: int = LATER
) -> tuple[list[Candle], Tally]:
    exports = [look(str(path), stream, "basic") for path in paths]
    source = Joined(exports, stream, "basic", now_ms, lambda _: None)
    found = list(source.candles())
    tally = source.tally
    left_out = tally.same + tally.grown + tally.off_grid + tally.unclosed + tally.impossible
    assert tally.rows == len(found) + left_out + tally.bad
    assert tally.rows == sum(export.rows for export in exports)
    return found, tally


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "BTCUSDT-1h.csv"


def test_files_are_one_whatever_their_order(tmp_path: Path) -> None:
    whole = [candle(hour) for hour in range(90)]
    paths = [
        write(tmp_path / f"{name}-BTCUSDT-1h.csv", whole[first:end])
        for name, first, end in (("c", 60, 90), ("a", 0, 31), ("b", 30, 62), ("d", 20, 80))
    ]
    found, tally = read(paths)
    assert found == whole
    assert (tally.rows, tally.same, tally.grown) == (153, 63, 0)


def test_an_unordered_file_is_sorted(path: Path) -> None:
    whole = [candle(hour) for hour in range(500)]
    mixed = random.Random(1).sample(whole, len(whole))
    assert read([write(path, mixed)])[0] == whole
    assert read([write(path, whole[::-1])])[0] == whole
    assert read([write(path, [*whole[:99], *whole[100:], whole[99]])])[0] == whole


def test_of_a_candle_that_formed_the_fullest_row_is_taken(path: Path) -> None:
    forming = [candle(3, volume) for volume in ("1", "10.5", "9", "10.50")]
    whole = [candle(hour) for hour in (0, 1, 2)] + [forming[1], candle(4)]
    rows = [*whole[:3], *forming, candle(4), candle(4)]
    for order in (rows, rows[::-1]):
        found, tally = read([write(path, order)])
        assert [one.open_ms for one in found] == [one.open_ms for one in whole]
        assert found[3].volume in {"10.5", "10.50"}
        assert tally.same + tally.grown == 4
        assert tally.grown >= 2


def test_an_export_that_ended_in_a_candle_gives_way_to_the_next_one(tmp_path: Path) -> None:
    early = write(tmp_path / "a.csv", [candle(0), candle(1), candle(2, "0.1")])
    late = write(tmp_path / "b.csv", [candle(2), candle(3)])
    for paths in ([early, late], [late, early]):
        found, tally = read(paths)
        assert found == [candle(hour) for hour in range(4)]
        assert (tally.same, tally.grown) == (0, 1)


def test_what_is_no_candle_is_left_out_and_told(path: Path) -> None:
    rows = [candle(hour).row().decode() for hour in range(20)]
    rows[4] = rows[4].replace("5.50", "-5.50")
    rows[6] = "torn,1\n"
    rows[7] = rows[7].replace("T07:00", "T07:28")
    path.write_text(f"{HEADER}\n" + "".join(rows))
    found, tally = read([path], now_ms=START + 18 * HOUR_MS + 1)
    hours = [h for h in range(18) if h not in {4, 6, 7}]
    assert found == [candle(hour) for hour in hours]
    assert (tally.bad, tally.impossible, tally.off_grid, tally.unclosed) == (1, 1, 1, 2)
    assert tally.first_bad == f"{path}: 8"
    assert tally.first_impossible.startswith(f"{path}: 2026-01-05T04:00:00Z: a number")


def test_a_candle_is_closed_at_the_moment_the_next_one_opens(path: Path) -> None:
    write(path, [candle(hour) for hour in range(3)])
    for late, count in ((-1, 2), (0, 3)):
        assert len(read([path], now_ms=START + 3 * HOUR_MS + late)[0]) == count


def test_the_members_of_an_archive_are_of_this_stream(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    for last, words in (("ETHUSDT-1h-b.csv", "ETHUSDT"), ("BTCUSDT-1m-b.csv", "1m"), ("b.csv", "")):
        with zipfile.ZipFile(path, "w") as archive:
            for name, hours in (("BTCUSDT-1h-a.csv", range(20)), (last, range(20, 40))):
                rows = b"".join(candle(hour).row() for hour in hours)
                archive.writestr(name, f"{HEADER}\n".encode() + rows)
        if words:
            with pytest.raises(InputError, match=f"{last} holds {words} candles by its name"):
                look(str(path), STREAM, "basic")
        else:
            assert len(read([path])[0]) == 40


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ETHUSDT-1h.csv", "ETHUSDT candles by its name, and the session records BTCUSDT"),
        ("candles_BTCUSDT_1d.csv", "1d candles by its name, and the session records 1h"),
    ],
)
def test_a_name_of_another_stream_is_refused(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        look(str(write(tmp_path / name, [candle(0)])), STREAM, "basic")


@pytest.mark.parametrize(("step", "told"), [(MINUTE_MS, "1m"), (DAY_MS, "1d"), (HOUR_MS * 4, "4h")])
@pytest.mark.parametrize("name", ["export.csv", "BTCUSDT-1h.csv"])
def test_rows_of_another_step_are_refused(tmp_path: Path, name: str, step: int, told: str) -> None:
    path = write(tmp_path / name, [candle(at, step=step) for at in range(200)])
    words = f"{told} candles by its rows, and the session records 1h"
    with pytest.raises(InputError, match=words):
        look(str(path), STREAM, "basic")


def test_a_shuffled_file_tells_its_step_all_the_same(tmp_path: Path) -> None:
    for step in (HOUR_MS, DAY_MS):
        whole = [candle(at, step=step) for at in range(900)]
        mixed = random.Random(2).sample(whole, len(whole))
        path = write(tmp_path / "export.csv", mixed)
        if step == HOUR_MS:
            assert read([path])[0] == whole
        else:
            with pytest.raises(InputError, match="by its rows"):
                look(str(path), STREAM, "basic")


def test_few_rows_are_taken_at_the_word_of_the_name(tmp_path: Path) -> None:
    rows = [candle(0), candle(24), candle(49)]
    assert read([write(tmp_path / "BTCUSDT-1h.csv", rows)])[0] == rows
    with pytest.raises(InputError, match="by its rows"):
        look(str(write(tmp_path / "x.csv", rows)), STREAM, "basic")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no candle in it"),
        (f"{HEADER}\n", "no candle in it"),
        (f"{HEADER}\ntorn,1\n", "none of its lines"),
        ("my,own,table\n1,2,3\n", "not a candle file"),
        ("time,open,high,low,close\n2026-01-05,1,1,1,1\n", "no volume in it"),
        (f"{HEADER}\n2026-01-05T00:30:00Z,1,1,1,1,1\n", "no row opens on the 1h grid"),
    ],
)
def test_a_file_without_candles_of_the_stream_is_an_error(
    path: Path, content: str, words: str
) -> None:
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        look(str(path), STREAM, "basic")


def test_a_calendar_of_another_zone_is_another_grid(tmp_path: Path) -> None:
    stream = Stream("BTCUSDT", parse("1d@+08:00"))
    path = write(tmp_path / "x.csv", [candle(at, step=DAY_MS) for at in range(20)])
    with pytest.raises(InputError, match=r"no row opens on the 1d@\+08:00 grid"):
        look(str(path), stream, "basic")


def test_a_file_that_is_rewritten_meanwhile_is_not_believed(path: Path) -> None:
    whole = [candle(hour, "1" * 30) for hour in range(5000)]
    write(path, whole)
    export = look(str(path), STREAM, "basic")
    candles = Joined([export], STREAM, "basic", LATER * 2, lambda _: None).candles()
    assert next(candles) == whole[0]
    write(path, whole[1:])
    with pytest.raises(InputError, match="rewritten"):
        list(candles)


def test_a_file_that_grows_meanwhile_is_read_to_its_new_end(path: Path) -> None:
    whole = [candle(hour, "1" * 30) for hour in range(5000)]
    write(path, whole[:4000])
    export = look(str(path), STREAM, "basic")
    candles = Joined([export], STREAM, "basic", LATER * 2, lambda _: None).candles()
    found = [next(candles)]
    with path.open("ab") as file:
        file.write(b"".join(one.row() for one in whole[4000:]))
    assert [*found, *candles] == whole


def test_many_files_are_not_open_at_once(tmp_path: Path) -> None:
    whole = [candle(hour) for hour in range(2001)]
    paths = [
        write(tmp_path / f"BTCUSDT-1h-{at:04}.csv", whole[2 * at : 2 * at + 3])
        for at in range(1000)
    ]
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, limits[1]))
    try:
        assert read(paths, now_ms=START * 2)[0] == whole
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
