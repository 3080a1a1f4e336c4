"""The candle file on real disks and on faulty ones: whole, ordered, and nothing lost that was done."""

import errno
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kline_ops.errors import JournalError
from kline_ops.market.candle import Candle
from kline_ops.market.interval import parse
from kline_ops.market.timestamp import to_ms
from kline_ops.record.contents import HEADER_LINE
from kline_ops.record.disk import Disk
from kline_ops.record.journal import Journal
from kline_ops.record.span import Span
from tests.support.disks import Crash, CrashingDisk, FailingDisk, PowerDisk, ShortDisk

HOUR = 3_600_000
INTERVAL = parse("1h")
START = to_ms("2026-01-27T00:00:00Z")


def candle(hour: int, price: str | None = None) -> Candle:
    # Rows of different lengths, so that a cut at a wrong place shows.
    price = price or f"{hour + 1}." + "5" * (hour % 7 + 1)
    return Candle(START + hour * HOUR, price, price, price, price, "0")


def file_of(*hours: int) -> bytes:
    return HEADER_LINE + b"".join(candle(hour).row() for hour in sorted(set(hours)))


@contextmanager
def journal(path: Path, disk: Disk | None = None, *, sync: bool = True) -> Iterator[Journal]:
    made = Journal(path, INTERVAL, owner="test", sync=sync, disk=disk)
    made.lock()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "candles_BTCUSDT_1h.csv"


# -- healthy disks ----------------------------------------------------------------------------------


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


# -- one recorder a file ----------------------------------------------------------------------------

HOLDER = """
import sys, time
from pathlib import Path
from kline_ops.market.interval import parse
from kline_ops.record.journal import Journal
journal = Journal(Path(sys.argv[1]), parse("1h"), owner="other")
journal.lock()
journal.open()
print("held", flush=True)
time.sleep(60)
"""


def test_a_recorder_in_another_process_is_named_and_the_file_untouched_until_it_is_killed(
    path: Path,
) -> None:
    path.write_bytes(file_of(0) + b"2026-01-27T01")
    argv = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        before, stat = path.read_bytes(), path.stat()
        made = Journal(path, INTERVAL, owner="test")
        with pytest.raises(JournalError, match=f"pid {holder.pid}"):
            made.lock()
        assert path.read_bytes() == before
        assert path.stat().st_mtime_ns == stat.st_mtime_ns
        holder.kill()
    made.lock()
    assert made.open().rows == 1
    made.close()


# -- torn ends --------------------------------------------------------------------------------------


def test_a_row_torn_at_any_byte_is_kept_aside_and_never_glued_on(path: Path) -> None:
    last, torn_file = candle(2).row(), path.with_name(path.name + ".torn")
    for length in range(1, len(last)):
        path.write_bytes(file_of(0, 1) + last[:length])
        torn_file.unlink(missing_ok=True)
        with journal(path, sync=False) as made:
            assert made.open().rows == 2
            assert made.repaired is not None
            assert made.repaired[1] == torn_file
            assert torn_file.read_bytes() == last[:length] + b"\n"
            made.write([candle(2)])
        assert path.read_bytes() == file_of(0, 1, 2)


NOTHING = [b"\0", b"\0" * 4_096, b"\n", b"\xff" * 9]


@pytest.mark.parametrize(
    ("rows", "junk"),
    [((), junk) for junk in NOTHING]
    + [((0, 1), junk) for junk in (*NOTHING, b"garbage\n", b"a,b\n" * 99, b"\0" * 99_999)],
)
def test_whatever_stands_behind_the_last_row_is_kept_aside(
    path: Path, junk: bytes, rows: tuple[int, ...]
) -> None:
    path.write_bytes(file_of(*rows) + junk)
    with journal(path) as made:
        assert made.open().rows == len(rows)
        assert path.read_bytes() == file_of(*rows)
        assert path.with_name(path.name + ".torn").read_bytes() == junk + b"\n"
    with journal(path) as made:
        made.open()
        assert made.repaired is None


@pytest.mark.parametrize("size", [1, 9, 37, 4096])
def test_a_new_file_that_a_power_loss_left_as_nuls_is_begun_again(path: Path, size: int) -> None:
    path.write_bytes(b"\0" * size)
    with journal(path) as made:
        assert made.open().rows == 0
        made.write([candle(0)])
    assert path.read_bytes() == file_of(0)
    assert path.with_name(path.name + ".torn").read_bytes() == b"\0" * size + b"\n"


def test_torn_ends_are_collected_one_after_another(path: Path) -> None:
    for torn in (b"one", b"two"):
        path.write_bytes(file_of(0) + torn)
        with journal(path) as made:
            made.open()
    assert path.with_name(path.name + ".torn").read_bytes() == b"one\ntwo\n"


def test_a_header_torn_at_any_byte_is_written_anew(path: Path) -> None:
    for length in range(len(HEADER_LINE)):
        path.write_bytes(HEADER_LINE[:length])
        with journal(path, sync=False) as made:
            assert made.open().rows == 0
            made.write([candle(0)])
        assert path.read_bytes() == file_of(0)


#: The header is a common one; whole lines by the thousand are no torn write.
OTHER_TIMES = HEADER_LINE + b"1700000000000,1,2,0.5,1,3\n" * 5_000


@pytest.mark.parametrize(
    "data",
    [b"time,price\n1,2\n", b"x" * 99, HEADER_LINE[:-1] + b"\r\n", OTHER_TIMES],
    ids=["another header", "no header", "crlf", "our header and another kind of rows"],
)
@pytest.mark.parametrize("redo", [False, True])
def test_a_file_that_is_not_ours_is_refused_and_stays_as_it_is(
    path: Path, data: bytes, redo: bool
) -> None:
    if redo and data.startswith(HEADER_LINE):
        pytest.skip("the redo file is for a file that begins so")
    if redo:
        leave_redo(path)
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))
    with journal(path) as made:
        with pytest.raises(JournalError) as caught:
            made.open()
        assert not caught.value.transient
        assert caught.value.hint
        assert path.read_bytes() == data
        assert path.stat().st_mtime_ns == 1


def leave_redo(path: Path) -> None:
    """Die between the two steps of a merge: a whole redo file stays."""
    redo = path.with_name(path.name + ".redo")
    for at in range(1, 40):
        path.write_bytes(file_of(*range(9), 10))
        redo.unlink(missing_ok=True)
        disk = CrashingDisk(at)
        made = Journal(path, INTERVAL, owner="test", disk=disk)
        try:
            made.open()
            made.write([candle(9)])
        except Crash:
            disk.close_all()
            if disk.names.count("sync_folder") == 1:
                break
    assert redo.exists()


def test_a_redo_file_of_a_file_that_is_gone_brings_no_bytes_into_a_new_one(path: Path) -> None:
    leave_redo(path)
    path.unlink()
    with journal(path) as made:
        made.open()
        made.write([candle(20)])
    assert path.read_bytes() == file_of(20)


def test_a_redo_file_torn_at_any_byte_is_thrown_away(path: Path) -> None:
    leave_redo(path)
    redo = path.with_name(path.name + ".redo")
    whole, old = redo.read_bytes(), file_of(*range(9), 10)
    for length in range(0, len(whole), 3):
        redo.write_bytes(whole[:length])
        with journal(path, sync=False) as made:
            assert made.open().rows == 10
        assert path.read_bytes() == old
        assert not redo.exists()


# -- the process dies -------------------------------------------------------------------------------

Script = Callable[[Journal, set[int]], None]


def appending(made: Journal, done: set[int]) -> None:
    for batch in ([3], [4, 5], [9]):
        made.write([candle(hour) for hour in batch])
        done.update(batch)


def merging(made: Journal, done: set[int]) -> None:
    for batch in ([4], [1], [2, 0, 6], [3, 5]):
        made.write([candle(hour) for hour in batch])
        done.update(batch)


SCRIPTS = pytest.mark.parametrize("script", [appending, merging])
BEFORE = {appending: [0, 1], merging: [7]}
AFTER = {appending: {0, 1, 3, 4, 5, 9}, merging: set(range(8))}


def check_after(path: Path, script: Script, done: set[int]) -> None:
    """Open with a healthy disk: whole rows, in order, and everything that was reported as done."""
    with journal(path, sync=False) as made:
        made.open()
        rows = set(hours_in(path))
        assert done <= rows <= AFTER[script]
        made.write([candle(hour) for hour in AFTER[script]])
    assert path.read_bytes() == file_of(*AFTER[script])


def hours_in(path: Path) -> list[int]:
    """The rows of the file, each checked to be one that was written, in strict order."""
    data = path.read_bytes()
    assert data.startswith(HEADER_LINE)
    by_row = {candle(hour).row(): hour for hour in range(60)}
    hours = [by_row[line] for line in data[len(HEADER_LINE) :].splitlines(keepends=True)]
    assert hours == sorted(set(hours))
    return hours


@SCRIPTS
@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("keep", [0, 17])
def test_the_process_may_die_at_any_call(
    path: Path, script: Script, keep: int, fresh: bool
) -> None:
    for at in range(1, 500):
        for old in path.parent.iterdir():
            old.unlink()
        done: set[int] = set()
        if not fresh:
            path.write_bytes(file_of(*BEFORE[script]))
            done.update(BEFORE[script])
        disk = CrashingDisk(at, keep)
        made = Journal(path, INTERVAL, owner="test", disk=disk)
        try:
            made.open()
            script(made, done)
            return
        except Crash:
            disk.close_all()
        check_after(path, script, done)
    raise AssertionError("it never came through")


@SCRIPTS
def test_the_power_may_go_at_any_call(path: Path, script: Script) -> None:
    for at in range(1, 500):
        for old in path.parent.iterdir():
            old.unlink()
        path.write_bytes(file_of(*BEFORE[script]))
        done = set(BEFORE[script])
        disk = PowerDisk(path.parent, at)
        made = Journal(path, INTERVAL, owner="test", disk=disk)
        try:
            made.open()
            script(made, done)
            disk.power_cut()
            check_after(path, script, done)
            return
        except Crash:
            disk.power_cut()
        check_after(path, script, done)
    raise AssertionError("it never came through")


def fails(call: Callable[[], object]) -> bool:
    """True where it failed in the way that heals, and says what to do."""
    failure: JournalError | None = None
    try:
        call()
    except JournalError as error:
        failure = error
    assert failure is None or (failure.transient and failure.hint)
    return failure is not None


# -- the disk errs, and heals -----------------------------------------------------------------------


@SCRIPTS
@pytest.mark.parametrize(
    ("code", "times", "keep", "after"),
    [
        (errno.ENOSPC, 1, 0, False),
        (errno.EIO, 3, 0, False),
        (errno.ENOSPC, 1, 20, False),
        (errno.EIO, 1, 0, True),
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


def test_a_broken_line_in_the_midst_never_brings_another_error(path: Path) -> None:
    path.write_bytes(HEADER_LINE + candle(0).row() + b"\0" * 40 + b"\n" + candle(2).row())
    try:
        with journal(path) as made:
            made.open()
            made.write([candle(1)])
            made.write([candle(3)])
    except JournalError:
        return
    lines = path.read_bytes().splitlines(keepends=True)
    assert [line for line in lines if b"\0" not in line] == file_of(0, 1, 2, 3).splitlines(
        keepends=True
    )


# -- the file is taken away -------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["moved", "removed", "replaced"])
def test_a_file_that_is_taken_away_while_recording_is_begun_anew(path: Path, how: str) -> None:
    away = path.with_name("away.csv")
    with journal(path) as made:
        made.open()
        made.write([candle(0)])
        if how == "removed":
            path.unlink()
        else:
            path.rename(away)
        if how == "replaced":
            path.write_bytes(file_of(5, 7))
        made.write([candle(6), candle(8)])
        assert made.repaired is not None
        made.write([candle(9)])
    assert path.read_bytes() == file_of(*([5, 7] if how == "replaced" else []), 6, 8, 9)
    assert how == "removed" or away.read_bytes() == file_of(0)


@pytest.mark.parametrize("after", [False, True])
def test_a_file_that_is_taken_away_while_the_disk_errs_is_begun_anew_once_it_heals(
    path: Path, after: bool
) -> None:
    for at in range(1, 60):
        path.unlink(missing_ok=True)
        disk = FailingDisk()
        with journal(path, disk) as made:
            made.open()
            made.write([candle(hour) for hour in range(9)])
            path.rename(path.with_name("away.csv"))
            disk.fail(at, after=after)
            failed = fails(partial(made.write, [candle(9)]))
            disk.heal()
            made.write([candle(9), candle(10)])
        assert path.read_bytes() == file_of(9, 10)
        if not failed:
            return
    raise AssertionError("it never came through")


def test_a_file_that_was_replaced_by_a_foreign_one_is_never_written_to(path: Path) -> None:
    foreign = b"a,b,c\n1,2,3\n"
    with journal(path) as made:
        made.open()
        made.write([candle(0)])
        path.rename(path.with_name("away.csv"))
        path.write_bytes(foreign)
        for _ in range(3):
            with pytest.raises(JournalError):
                made.write([candle(1)])
            assert path.read_bytes() == foreign
        path.unlink()
        made.write([candle(1)])
    assert path.read_bytes() == file_of(1)


def test_a_folder_that_vanished_is_written_to_again(path: Path) -> None:
    folder = path.parent / "data"
    folder.mkdir()
    inner = folder / path.name
    with journal(inner) as made:
        made.open()
        made.write([candle(0)])
        folder.rename(path.parent / "away")
        if fails(partial(made.write, [candle(1)])):
            folder.mkdir()
            made.write([candle(1)])
    assert inner.read_bytes() == file_of(1)


def test_a_folder_that_can_not_be_made_again_is_told_and_the_candles_wait(path: Path) -> None:
    folder = path.parent / "data"
    folder.mkdir()
    inner = folder / path.name
    with journal(inner) as made:
        made.open()
        made.write([candle(0)])
        folder.rename(path.parent / "away")
        folder.write_text("in the way")
        for _ in range(2):
            with pytest.raises(JournalError) as caught:
                made.write([candle(1)])
            assert caught.value.transient
        folder.unlink()
        folder.mkdir()
        made.write([candle(1)])
    assert inner.read_bytes() == file_of(1)
