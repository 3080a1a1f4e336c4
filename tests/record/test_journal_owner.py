"""One recorder a file, also when the file or its lock is taken away."""

import fcntl
import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from kline_ops.errors import JournalError
from kline_ops.record.contents import HEADER_LINE
from kline_ops.record.journal import Journal
from tests.support.disks import FailingDisk
from tests.support.journals import INTERVAL, candle, fails, file_of, journal

HOLDER = """
import sys, time
from pathlib import Path
from kline_ops.market.interval import parse
from kline_ops.record.contents import HEADER_LINE
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


@pytest.mark.parametrize("opened", [True, False])
def test_a_second_recorder_is_refused_though_the_lock_file_is_gone(
    path: Path, opened: bool
) -> None:
    """The lock of the candle file itself goes with the candles."""
    with journal(path) as made:
        made.open()
        made.write([candle(0)])
        lock = path.with_name(path.name + ".lock")
        second = Journal(path, INTERVAL, owner="second")
        if opened:  # it took the lock file while there was no candle file yet
            hidden = path.rename(path.with_name("hidden.csv"))
            lock.unlink()
            second.lock()
            hidden.rename(path)
        else:
            lock.unlink()
        for _ in range(2):
            with pytest.raises(JournalError, match="being recorded by") as caught:
                second.open() if opened else second.lock()
            assert not caught.value.transient
        assert path.read_bytes() == file_of(0)
        second.close()
        made.check()
        made.write([candle(1)])
        assert json.loads(lock.read_text())["session"] == "test"
    assert path.read_bytes() == file_of(0, 1)
    with journal(path) as after:
        assert after.open().rows == 2


def test_a_reader_is_blocked_by_no_lock(path: Path) -> None:
    with journal(path) as made:
        made.open()
        made.write([candle(0)])
        argv = ["flock", "-n", "-s", str(path), "cat", str(path)]
        assert subprocess.run(argv, check=False, capture_output=True).returncode == 1
        read = subprocess.run(["cat", str(path)], check=True, capture_output=True)
        assert read.stdout == file_of(0)


def test_nothing_is_written_while_somebody_else_was_quicker_to_take_the_lock(path: Path) -> None:
    with journal(path) as made:
        made.open()
        made.write([candle(0)])
        lock = path.with_name(path.name + ".lock")
        lock.unlink()
        with lock.open("w") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            for call in (made.check, made.check, partial(made.write, [candle(1)])):
                with pytest.raises(JournalError, match="being recorded by"):
                    call()
            assert path.read_bytes() == file_of(0)
        made.check()
        made.write([candle(1)])
    assert path.read_bytes() == file_of(0, 1)


def test_a_check_finds_nothing_to_do_while_all_is_well(path: Path) -> None:
    disk = FailingDisk()
    with journal(path, disk) as made:
        made.open()
        made.write([candle(0)])
        disk.names.clear()
        made.check()
        assert disk.names == ["size"]
        assert (made.reread, made.repaired) == (None, None)


def test_a_check_brings_back_lock_and_file_of_a_folder_that_was_deleted(path: Path) -> None:
    folder = path.parent / "data"
    folder.mkdir()
    inner = folder / path.name
    with journal(inner) as made:
        made.open()
        made.write([candle(0), candle(1)])
        shutil.rmtree(folder)
        made.check()
        assert inner.read_bytes() == HEADER_LINE
        assert inner.with_name(inner.name + ".lock").exists()
        assert made.reread is not None
        assert made.repaired is not None
        with pytest.raises(JournalError, match="being recorded by pid"):
            Journal(inner, INTERVAL, owner="second").lock()
        made.write([candle(1), candle(2)])
    assert inner.read_bytes() == file_of(1, 2)


# -- the file is taken away ----


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


def test_a_folder_that_vanished_is_made_again(path: Path) -> None:
    folder = path.parent / "data"
    folder.mkdir()
    inner = folder / path.name
    with journal(inner) as made:
        made.open()
        made.write([candle(0)])
        folder.rename(path.parent / "away")
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


def test_a_file_taken_away_is_told_though_it_could_not_be_begun_anew_at_once(path: Path) -> None:
    class Away(FailingDisk):
        away = False

        def open(self, path: Path, flags: int) -> int:
            if self.away:
                raise FileNotFoundError(2, "No such file or directory")
            return super().open(path, flags)

    disk = Away()
    with journal(path, disk) as made:
        made.open()
        made.write([candle(0)])
        path.unlink()
        disk.away = True
        with pytest.raises(JournalError):
            made.check()
        disk.away = False
        made.check()
        assert made.reread is not None
        assert made.repaired is not None
        assert "moved away" in made.repaired[0]
