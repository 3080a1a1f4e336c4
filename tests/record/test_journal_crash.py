"""The process dies, or the power goes, at any call; and what a merge leaves behind then."""

from contextlib import suppress
from pathlib import Path

import pytest

from kline_ops.record.journal import Journal
from tests.support.disks import CountingDisk, Crash, CrashingDisk, PowerDisk
from tests.support.journals import (
    BEFORE,
    INTERVAL,
    SCRIPTS,
    Script,
    candle,
    check_after,
    file_of,
    hours_in,
    journal,
    leave_redo,
)


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
    for length in range(len(whole)):
        redo.write_bytes(whole[:length])
        with journal(path, sync=False) as made:
            assert made.open().rows == 10
        assert path.read_bytes() == old
        assert not redo.exists()


@pytest.mark.parametrize("batch", [[10], [3], [5, 10]], ids=["a row", "a merge", "both"])
def test_a_write_may_be_torn_at_any_byte(path: Path, batch: list[int]) -> None:
    """Of a row that is appended, of a redo file, and of the tail that it puts in place."""
    before = [0, 1, 4, 6, 7]
    path.write_bytes(file_of(*before))
    disk = CountingDisk()
    with journal(path, disk) as made:
        made.open()
        made.write([candle(hour) for hour in batch])
    writes = [at for at, name in enumerate(disk.names, 1) if name == "write"]
    # A row is one write; a merge three: the head of the redo file, its tail, the tail in its place.
    assert len(writes) == {10: 1, 3: 3, 5: 4}[batch[0]]
    for at in writes:
        for keep in range(1, 400):
            for old in path.parent.iterdir():
                old.unlink()
            path.write_bytes(file_of(*before))
            torn = CrashingDisk(at, keep)
            made = Journal(path, INTERVAL, owner="test", disk=torn)
            with suppress(Crash):
                made.open()
                made.write([candle(hour) for hour in batch])
            torn.close_all()
            with journal(path, sync=False) as made:
                made.open()
                assert set(before) <= set(hours_in(path)) <= {*before, *batch}
                made.write([candle(hour) for hour in batch])
            assert path.read_bytes() == file_of(*before, *batch)


def test_the_folder_is_synced_after_each_new_name_in_it(path: Path) -> None:
    leave_redo(path)
    path.unlink()
    disk = CountingDisk()
    with journal(path, disk) as made:
        made.open()
    assert disk.names[disk.names.index("rename") + 1] == "sync_folder"
    path.write_bytes(path.read_bytes() + b"torn")
    disk = CountingDisk()
    with journal(path, disk) as made:
        made.open()
    assert disk.names.index("sync_folder") < disk.names.index("truncate")


def test_the_bytes_of_a_torn_end_survive_a_power_loss_at_any_call(path: Path) -> None:
    for at in range(1, 100):
        for old in path.parent.iterdir():
            old.unlink()
        path.write_bytes(file_of(0, 1) + b"torn")
        disk = PowerDisk(path.parent, at)
        made = Journal(path, INTERVAL, owner="test", disk=disk)
        crashed = False
        try:
            made.open()
        except Crash:
            crashed = True
        disk.power_cut()
        aside = path.with_name(path.name + ".torn")
        kept = aside.read_bytes() if aside.exists() else b""
        assert path.read_bytes().endswith(b"torn") or kept.endswith(b"torn\n")
        if not crashed:
            return
    raise AssertionError("it never came through")
