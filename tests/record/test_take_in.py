"""Candles from elsewhere into a file: appended, merged, or the file written anew."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.errors import JournalError
from kline_ops.market.candle import Candle
from kline_ops.market.span import Span
from kline_ops.record import take_in as module
from kline_ops.record.contents import HEADER_LINE, Contents
from kline_ops.record.disk import Disk
from kline_ops.record.rebuild import Rebuild
from kline_ops.record.rows import RowReader
from kline_ops.record.take_in import Taken, look_at, merges_suffice, take_in
from tests.support.disks import CountingDisk, Crash, CrashingDisk, FailingDisk, PowerDisk, ShortDisk
from tests.support.journals import HOUR, INTERVAL, START, candle, file_of, hours_in, journal


def take(path: Path, candles: list[Candle]) -> Taken:
    taken = Taken()
    spans = [Span(one.open_ms, one.open_ms + HOUR) for one in candles]
    with journal(path, sync=False) as made:
        take_in(made, candles, spans, taken)
    return taken


@pytest.fixture(params=["merged", "anew"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether late candles are merged into the file, or the file is written anew."""
    monkeypatch.setattr(module, "_REWRITTEN", 10**9 if request.param == "merged" else -1)
    monkeypatch.setattr(module, "_BATCH", 7)
    return str(request.param)


@pytest.mark.parametrize(
    ("there", "brought"),
    [
        ([], range(50)),
        (range(20), range(20, 50)),
        (range(30, 50), range(30)),
        ([*range(10), *range(40, 50)], range(50)),
        ([0, 49], range(50)),
        (range(0, 50, 2), range(1, 50, 2)),
        ([25], [0, 1, 24, 26, 49]),
        (range(50), range(50)),
        ([3], []),
    ],
)
def test_both_are_in_the_file_in_order(
    path: Path, way: str, there: list[int], brought: list[int]
) -> None:
    if there:
        path.write_bytes(file_of(*there))
    taken = take(path, [candle(hour) for hour in brought])
    assert path.read_bytes() == file_of(*there, *brought)
    assert (taken.new, taken.there, taken.conflicts) == (
        len(set(brought) - set(there)), len(set(brought) & set(there)), 0,
    )  # fmt: skip
    assert not path.with_name(path.name + ".import").exists()


@given(st.sets(st.integers(0, 59)), st.sets(st.integers(0, 59)), st.booleans())
def test_any_rows_into_any_file(
    tmp_path_factory: pytest.TempPathFactory, there: set[int], brought: set[int], anew: bool
) -> None:
    path = tmp_path_factory.mktemp("x") / "candles_BTCUSDT_1h.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_REWRITTEN", -1 if anew else 10**9)
        patch.setattr(module, "_BATCH", 5)
        if there:
            path.write_bytes(file_of(*there))
        for count in (len(brought - there), 0):
            taken = take(path, [candle(hour) for hour in sorted(brought)])
            assert taken.new == count
            assert not (there or brought) or hours_in(path) == sorted(there | brought)


def test_a_row_that_is_there_stays_and_is_told(path: Path, way: str) -> None:
    path.write_bytes(file_of(*range(5, 25)))
    others = [candle(hour, "7.5" if hour > 9 else None) for hour in range(20)]
    taken = take(path, others)
    assert path.read_bytes() == file_of(*range(25))
    assert (taken.new, taken.there, taken.conflicts) == (5, 5, 10)
    assert [both.kept for both in taken.told] == [candle(hour) for hour in range(10, 15)]
    assert taken.told[0].seen == others[10]


def test_numbers_are_compared_as_numbers(path: Path) -> None:
    path.write_bytes(HEADER_LINE + candle(0, "1.50").row())
    taken = take(path, [candle(0, "1.5"), candle(1)])
    assert (taken.new, taken.there, taken.conflicts) == (1, 1, 0)
    assert path.read_bytes() == HEADER_LINE + candle(0, "1.50").row() + candle(1).row()


def test_rows_beside_the_grid_stay_where_they_are(path: Path, way: str) -> None:
    beside = [
        Candle(START + at, "1", "1", "1", "1", "1").row() for at in (-1_000, 30_000, HOUR * 9)
    ]
    old = [beside[0], candle(0).row(), beside[1], candle(5).row(), beside[2]]
    path.write_bytes(HEADER_LINE + b"".join(old))
    take(path, [candle(hour) for hour in (*range(-3, 5), 8, 10)])
    rows = [*beside, *(candle(hour).row() for hour in (*range(-3, 6), 8, 10))]
    assert path.read_bytes() == HEADER_LINE + b"".join(sorted(rows))


def test_a_torn_file_is_put_right_before(path: Path, way: str) -> None:
    path.write_bytes(file_of(5, 6, 8) + b"2026-01-27T09:00:00Z,1.5")
    take(path, [candle(hour) for hour in range(10)])
    assert path.read_bytes() == file_of(*range(10))


def test_looking_writes_nothing(path: Path) -> None:
    taken = Taken()
    with journal(path) as made:
        look_at(made, [candle(hour) for hour in range(9)], taken)
        assert (taken.new, path.exists()) == (9, False)
        path.write_bytes(file_of(2, 3))
        look_at(made, [candle(2), candle(3, "9"), candle(4)], taken)
    assert (taken.new, taken.there, taken.conflicts) == (10, 1, 1)
    assert path.read_bytes() == file_of(2, 3)


def test_merging_is_left_where_it_would_rewrite_too_much() -> None:
    def contents(first: int, last: int, *holes: tuple[int, int]) -> Contents:
        at = [Span(START + a * HOUR, START + b * HOUR) for a, b in holes]
        return Contents(1, START + first * HOUR, START + last * HOUR, at)

    def suffices(there: Contents, *spans: tuple[int, int]) -> bool:
        parts = [Span(START + a * HOUR, START + b * HOUR) for a, b in spans]
        return merges_suffice(there, INTERVAL, parts)

    many, older = 1_000_000, -400_000
    assert suffices(Contents(), (0, many))
    assert suffices(contents(0, many), (many + 1, 2 * many))
    assert suffices(contents(0, many), (0, many)), "nothing of it is new"
    assert suffices(contents(0, 100), (older, 0)), "a short tail"
    assert suffices(contents(0, many, (many - 9, many - 8)), (0, many)), "a hole near the end"
    assert not suffices(contents(0, many), (older, 0))
    assert not suffices(contents(0, 50_000), (older, 0))
    assert not suffices(contents(0, many, (9, 10)), (0, many))
    holes = [(at, at + 1) for at in range(0, 200_000, 2)]
    assert suffices(contents(-1, 200_000, *holes), *((a + 1, b + 1) for a, b in holes))
    assert not suffices(contents(-1, 200_000, *holes), *((a, b + 1) for a, b in holes))


def rebuilt(path: Path, disk: Disk | None = None) -> None:
    """Hours 0 to 9 where 3, 5 and 8 were."""
    rebuild = Rebuild(path, "basic", disk)
    try:
        rebuild.write([candle(0), candle(1), candle(2)])
        rebuild.write([candle(4), candle(6), candle(7), candle(9)])
        rebuild.finish()
    finally:
        rebuild.close()


@pytest.mark.parametrize("keep", [0, 17])
@pytest.mark.parametrize("make", [CrashingDisk, PowerDisk], ids=["process", "power"])
def test_the_process_may_die_or_the_power_go_while_the_file_is_written_anew(
    path: Path, make: Callable[..., CrashingDisk], keep: int
) -> None:
    old, new = file_of(3, 5, 8), file_of(*range(10))
    for at in range(1, 100):
        for left in path.parent.iterdir():
            left.unlink()
        path.write_bytes(old)
        disk = make(path.parent, at) if make is PowerDisk else make(at, keep)
        done = False
        with suppress(Crash):
            rebuilt(path, disk)
            done = True
        disk.power_cut() if isinstance(disk, PowerDisk) else disk.close_all()
        assert path.read_bytes() in ({new} if done else {old, new})
        take(path, [candle(hour) for hour in range(10)])
        assert path.read_bytes() == new
        assert not path.with_name(path.name + ".import").exists()
        if done:
            return
    raise AssertionError("it never came through")


def test_a_call_that_fails_leaves_the_old_file(path: Path) -> None:
    old, new = file_of(3, 5, 8), file_of(*range(10))
    path.write_bytes(old)
    counting = CountingDisk()
    rebuilt(path, counting)
    renamed = counting.names.index("rename") + 1
    for at in range(1, renamed + 2):
        path.write_bytes(old)
        disk = FailingDisk()
        disk.fail(at, errno.ENOSPC, keep=5)
        with pytest.raises(JournalError, match="No space left") as raised:
            rebuilt(path, disk)
        assert raised.value.transient
        assert "free space" in raised.value.hint
        assert path.read_bytes() == (old if at <= renamed else new)
        assert not path.with_name(path.name + ".import").exists()


def test_short_writes_are_gone_on_with(path: Path) -> None:
    path.write_bytes(file_of(3, 5, 8))
    rebuilt(path, ShortDisk(11))
    assert path.read_bytes() == file_of(*range(10))


def test_the_new_file_is_as_the_old_one_was_and_a_link_stays_one(
    path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    real = tmp_path_factory.mktemp("disk") / "big.csv"
    real.write_bytes(file_of(3, 5, 8))
    real.chmod(0o640)
    path.symlink_to(real)
    rebuilt(path)
    assert path.is_symlink()
    assert real.read_bytes() == file_of(*range(10))
    assert real.stat().st_mode & 0o777 == 0o640
    assert [found.name for found in real.parent.iterdir()] == ["big.csv"]


def test_nobody_else_gets_the_new_file_while_it_is_written(path: Path) -> None:
    path.write_bytes(file_of(3))
    rebuild = Rebuild(path, "basic")
    rebuild.write([candle(0)])
    with pytest.raises(JournalError, match="recorded by"):
        Rebuild(path, "basic").write([candle(0)])
    rebuild.close()


def test_a_file_of_several_blocks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a block of old rows before, between and behind what comes."""
    whole = [candle(hour).row() for hour in range(60_000)]
    late = [hour for hour in range(60_000) if hour < 5 or 29_990 < hour < 30_010 or hour > 59_990]
    old = HEADER_LINE + b"".join(row for at, row in enumerate(whole) if at not in late)
    for ways in (10**9, -1):
        monkeypatch.setattr(module, "_REWRITTEN", ways)
        path.write_bytes(old)
        assert take(path, [candle(hour) for hour in late]).new == len(late)
        assert path.read_bytes() == HEADER_LINE + b"".join(whole)
    assert RowReader(path).contents(INTERVAL).rows == 60_000
