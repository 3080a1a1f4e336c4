"""The plain system calls, on real files."""

import fcntl
import os
from pathlib import Path

import pytest

from kline_ops.record.disk import Disk


def test_what_is_written_is_read_back_at_its_place(tmp_path: Path) -> None:
    disk, path = Disk(), tmp_path / "file"
    fd = disk.open(path, os.O_RDWR | os.O_CREAT)
    try:
        assert disk.write(fd, b"hello world", 0) == 11
        assert disk.write(fd, b"W", 6) == 1
        assert disk.read(fd, 5, 6) == b"World"
        assert disk.read(fd, 50, 9) == b"ld"
        assert disk.read(fd, 5, 90) == b""
        assert disk.size(fd) == 11
        disk.truncate(fd, 5)
        disk.sync(fd)
        assert path.read_bytes() == b"hello"
        assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    finally:
        disk.close(fd)
    disk.unlink(path)
    disk.sync_folder(tmp_path)
    assert not path.exists()


def test_every_call_raises_as_the_system_does(tmp_path: Path) -> None:
    disk, closed = Disk(), 10**6
    for call in (
        lambda: disk.open(tmp_path / "no" / "file", os.O_RDWR | os.O_CREAT),
        lambda: disk.unlink(tmp_path / "none"),
        lambda: disk.sync_folder(tmp_path / "none"),
        lambda: disk.write(closed, b"x", 0),
        lambda: disk.read(closed, 1, 0),
        lambda: disk.size(closed),
        lambda: disk.truncate(closed, 0),
        lambda: disk.sync(closed),
        lambda: disk.close(closed),
    ):
        with pytest.raises(OSError, match="Errno"):
            call()


def test_a_full_device_is_an_error_of_write() -> None:
    disk = Disk()
    fd = disk.open(Path("/dev/full"), os.O_RDWR)
    try:
        with pytest.raises(OSError, match="No space left"):
            disk.write(fd, b"x", 0)
    finally:
        disk.close(fd)
