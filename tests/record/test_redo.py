"""Replacing a tail: either the old one or the new one, wherever it stops."""

import os
from pathlib import Path

import pytest

from kline_ops.record import redo
from kline_ops.record.disk import Disk
from tests.support.disks import Crash, CrashingDisk, FailingDisk, ShortDisk

OLD = b"header\nrow 1\nrow 3\n"
TAIL = b"row 2\nrow 3\n"
OFFSET = OLD.index(b"row 3")
NEW = OLD[:OFFSET] + TAIL


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "candles.csv"
    path.write_bytes(OLD)
    return path


def apply(path: Path, disk: Disk | None = None) -> bool:
    fd = os.open(path, os.O_RDWR)
    try:
        return redo.apply(disk or Disk(), path, fd) is redo.Outcome.APPLIED
    finally:
        os.close(fd)


def prepare(path: Path, offset: int, tail: bytes, disk: Disk | None = None) -> None:
    fd = os.open(path, os.O_RDWR)
    try:
        redo.prepare(disk or Disk(), path, fd, offset, tail)
    finally:
        os.close(fd)


def test_preparing_leaves_the_file_alone_and_applying_brings_the_new_tail(path: Path) -> None:
    prepare(path, OFFSET, TAIL)
    assert path.read_bytes() == OLD
    assert apply(path)
    assert path.read_bytes() == NEW
    assert not redo.redo_path(path).exists()
    assert not apply(path)
    assert path.read_bytes() == NEW


def test_a_shorter_tail_cuts_the_file(path: Path) -> None:
    prepare(path, OFFSET, b"x\n")
    assert apply(path)
    assert path.read_bytes() == OLD[:OFFSET] + b"x\n"


def test_a_redo_file_torn_at_any_byte_is_thrown_away(path: Path) -> None:
    prepare(path, OFFSET, TAIL)
    whole = redo.redo_path(path).read_bytes()
    for length in range(len(whole)):
        redo.redo_path(path).write_bytes(whole[:length])
        assert not apply(path)
        assert path.read_bytes() == OLD
        assert not redo.redo_path(path).exists()


def test_a_redo_file_with_any_byte_changed_is_thrown_away(path: Path) -> None:
    prepare(path, OFFSET, TAIL)
    whole = redo.redo_path(path).read_bytes()
    for place in range(whole.index(b"\n") + 1, len(whole)):
        redo.redo_path(path).write_bytes(whole[:place] + b"\0" + whole[place + 1 :])
        assert not apply(path)
        assert path.read_bytes() == OLD


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b"\x00" * 99,
        b"5\nx",
        b"\xff\n",
        b'{"length":0}\n',
        b'{"offset": null, "length": 0, "crc": 0}\n',
        b'{"offset": -5, "length": 0, "crc": 0}\n',
    ],
)
def test_what_is_no_redo_file_is_thrown_away(path: Path, content: bytes) -> None:
    redo.redo_path(path).write_bytes(content)
    assert not apply(path)
    assert path.read_bytes() == OLD


def test_a_tail_that_would_begin_behind_the_end_of_the_file_is_not_for_this_file(
    path: Path,
) -> None:
    prepare(path, 10_000, TAIL)
    apply(path)
    assert path.read_bytes() == OLD


@pytest.mark.parametrize("keep", [0, 1, 30, 5_000])
def test_it_may_stop_at_any_call_and_be_done_again(path: Path, keep: int) -> None:
    at = 0
    while True:
        at += 1
        path.write_bytes(OLD)
        disk = CrashingDisk(at, keep)
        prepared = False
        try:
            prepare(path, OFFSET, TAIL, disk)
            prepared = True
            apply(path, disk)
        except Crash:
            disk.close_all()
            apply(path)
            assert path.read_bytes() in ({NEW} if prepared else {OLD, NEW})
            assert not redo.redo_path(path).exists()
            continue
        assert at > 8
        return


def test_an_error_at_any_call_leaves_the_old_or_the_new_tail_after_another_try(path: Path) -> None:
    for at in range(1, 13):
        path.write_bytes(OLD)
        disk = FailingDisk()
        disk.fail(at)
        try:
            prepare(path, OFFSET, TAIL, disk)
            apply(path, disk)
        except OSError:
            disk.heal()
            apply(path, disk)
        assert path.read_bytes() in {OLD, NEW}
        assert not disk.opened


@pytest.mark.parametrize("most", [1, 7])
def test_short_writes_are_carried_on(path: Path, most: int) -> None:
    disk = ShortDisk(most)
    prepare(path, OFFSET, TAIL, disk)
    assert apply(path, disk)
    assert path.read_bytes() == NEW


def test_a_write_that_takes_nothing_is_an_error_and_not_a_loop(path: Path) -> None:
    with pytest.raises(OSError, match="short write"):
        prepare(path, OFFSET, TAIL, ShortDisk(0))
    assert path.read_bytes() == OLD


def test_a_redo_file_for_another_content_is_put_aside(path: Path) -> None:
    """After a crash somebody puts a fuller copy in the file's place: it must not be cut short."""
    prepare(path, OFFSET, TAIL)
    fuller = b"header\nrow 0\nrow 1\nrow 2\nrow 3\nrow 4\n"
    path.write_bytes(fuller)
    assert not apply(path)
    assert path.read_bytes() == fuller
    assert not redo.redo_path(path).exists()
    assert redo.stale_path(path).exists()
