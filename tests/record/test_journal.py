"""The candle file on disks that are well, and that err and heal: whole, ordered, nothing lost."""

import errno
import random
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kline_ops.errors import JournalError
from kline_ops.market.span import Span
from kline_ops.record.contents import HEADER_LINE
from kline_ops.record.journal import Journal
from tests.support.disks import FailingDisk, ShortDisk
from tests.support.journals import (
    AFTER,
    BEFORE,
    HOUR,
    INTERVAL,
    SCRIPTS,
    START,
    Script,
    candle,
    fails,
    file_of,
    journal,
)

# -- healthy disks ----


@pytest.mark.parametrize("sync", [True, False])
def test_a_new_file_has_a_header_and_then_whole_rows(path: Path, sync: bool) -> None:
    with journal(path, sync=sync) as made:
        assert made.open().rows == 0
        assert path.read_bytes() == HEADER_LINE
        for hour in range(3):
            made.write([candle(hour)])
            assert path.read_bytes() == file_of(*range(hour + 1))
        made.write([])
        assert made.repaired is None
    assert path.read_bytes() == file_of(0, 1, 2)
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, path.name + ".lock"]


def test_a_file_that_is_opened_again_is_carried_on_and_its_holes_are_told(path: Path) -> None:
    with journal(path) as made:
        made.open()
        made.write([candle(0), candle(1), candle(4)])
    with journal(path) as made:
        found = made.open()
        assert (found.rows, found.first_ms, found.last_ms) == (3, START, START + 4 * HOUR)
        assert found.holes == [Span(START + 2 * HOUR, START + 4 * HOUR)]
        made.write([candle(5)])
    assert path.read_bytes() == file_of(0, 1, 4, 5)


def test_candles_that_are_there_already_are_passed_over_and_the_first_one_stays(path: Path) -> None:
    with journal(path) as made:
        made.open()
        made.write([candle(0), candle(1), candle(2)])
        made.write([candle(1, "99"), candle(2, "99"), candle(3)])
        made.write([candle(0, "99")])
    assert path.read_bytes() == file_of(0, 1, 2, 3)


def test_a_late_candle_is_merged_before_the_first_row_too(path: Path) -> None:
    with journal(path) as made:
        made.open()
        made.write([candle(5), candle(7)])
        made.write([candle(6), candle(1), candle(9)])
    assert path.read_bytes() == file_of(1, 5, 6, 7, 9)


@given(
    st.lists(st.sets(st.integers(0, 40), max_size=6).map(list), max_size=8),
    st.randoms(use_true_random=False),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_candles_in_any_order_and_number_come_out_sorted_and_unique(
    tmp_path: Path, batches: list[list[int]], shuffle: random.Random
) -> None:
    path = tmp_path / "x.csv"
    path.unlink(missing_ok=True)
    written: set[int] = set()
    with journal(path, sync=False) as made:
        made.open()
        for batch in batches:
            shuffle.shuffle(batch)
            made.write(iter([candle(hour) for hour in batch]))
            written |= set(batch)
            assert path.read_bytes() == file_of(*written)


def test_a_late_candle_finds_its_place_far_back_in_a_long_file(path: Path) -> None:
    hours = [hour for hour in range(3_000) if hour not in {3, 1_500, 2_990}]
    path.write_bytes(file_of(*hours))
    with journal(path) as made:
        made.open()
        for hour in (2_990, 1_500, 3):
            made.write([candle(hour)])
    assert path.read_bytes() == file_of(*range(3_000))


@pytest.mark.parametrize("most", [1, 5])
def test_a_disk_that_takes_a_few_bytes_at_a_time_is_given_the_rest(path: Path, most: int) -> None:
    with journal(path, ShortDisk(most)) as made:
        made.open()
        made.write([candle(0), candle(3)])
        made.write([candle(1)])
    assert path.read_bytes() == file_of(0, 1, 3)


# -- the disk errs, and heals ----


@SCRIPTS
@pytest.mark.parametrize(
    ("code", "times", "keep", "after"),
    [
        (errno.ENOSPC, 1, 0, False),
        (errno.EIO, 3, 0, False),
        (errno.ENOSPC, 1, 20, False),
        (errno.EIO, 1, 0, True),
        (errno.EROFS, 2, 0, False),
        (errno.EROFS, 1, 0, True),
    ],
)
def test_after_an_error_at_any_call_a_healthy_disk_makes_it_right(
    path: Path, script: Script, code: int, times: int, keep: int, after: bool
) -> None:
    for at in range(1, 500):
        for old in path.parent.iterdir():
            old.unlink()
        path.write_bytes(file_of(*BEFORE[script]))
        done, disk = set(BEFORE[script]), FailingDisk()
        with journal(path, disk) as made:
            made.open()
            disk.fail(at, code, times=times, keep=keep, after=after)
            failed = fails(partial(script, made, done))
            disk.heal()
            made.write([candle(hour) for hour in sorted(AFTER[script] - done)])
            assert path.read_bytes() == file_of(*AFTER[script])
        if not failed:
            return
    raise AssertionError("it never came through")


def test_a_disk_that_stays_full_loses_nothing_that_was_done(path: Path) -> None:
    disk = FailingDisk()
    with journal(path, disk) as made:
        made.open()
        made.write([candle(0)])
        disk.fail(1, errno.ENOSPC, times=10**6, keep=11)
        for _ in range(5):
            with pytest.raises(JournalError, match="No space left") as caught:
                made.write([candle(1), candle(2)])
            assert "free space" in caught.value.hint
        disk.heal()
        made.write([candle(1), candle(2), candle(3)])
    assert path.read_bytes() == file_of(0, 1, 2, 3)


def test_a_short_write_at_the_full_disk_leaves_nothing_behind(path: Path) -> None:
    disk = FailingDisk()
    with journal(path, disk) as made:
        made.open()
        made.write([candle(0)])
        disk.fail(1, errno.ENOSPC, keep=30)
        with pytest.raises(JournalError):
            made.write([candle(1)])
        made.write([candle(2)])
    assert path.read_bytes() == file_of(0, 2)


def test_an_error_at_any_call_of_open_is_told_and_opening_again_works(path: Path) -> None:
    for at in range(1, 60):
        path.write_bytes(file_of(0, 1) + b"torn")
        disk = FailingDisk()
        disk.fail(at)
        with journal(path, disk) as made:
            failed = fails(made.open)
            disk.heal()
            made.write([candle(2)])
        assert path.read_bytes() == file_of(0, 1, 2)
        if not failed:
            return
    raise AssertionError("it never came through")


def test_rows_whose_sync_failed_are_synced_before_they_count(path: Path) -> None:
    disk = FailingDisk()
    with journal(path, disk) as made:
        made.open()
        made.write([candle(0)])
        disk.names.clear()
        made.write([candle(1)])
        disk.fail(disk.names.index("sync") + 1)
        with pytest.raises(JournalError):
            made.write([candle(2)])
        disk.heal()
        disk.names.clear()
        made.write([candle(2)])
        assert "sync" in disk.names
    assert path.read_bytes() == file_of(0, 1, 2)


def test_a_new_file_whose_folder_could_not_be_synced_is_made_durable_before_it_counts(
    path: Path,
) -> None:
    disk = FailingDisk()
    with journal(path, disk) as made:
        made.open()
        at = disk.names.index("sync_folder") + 1
    path.unlink()
    disk = FailingDisk()
    with journal(path, disk) as made:
        disk.fail(at)
        with pytest.raises(JournalError):
            made.open()
        disk.heal()
        made.open()
        made.write([candle(0)])
        assert "sync_folder" in disk.names
    assert path.read_bytes() == file_of(0)


def test_a_disk_that_errs_when_closing_still_lets_go_of_the_lock(path: Path) -> None:
    disk = FailingDisk()
    made = Journal(path, INTERVAL, owner="test", disk=disk)
    made.lock()
    made.open()
    disk.fail(1)
    with suppress(JournalError):
        made.close()
    with journal(path) as other:
        other.open()
