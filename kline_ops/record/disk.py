"""The file calls that the journal makes: the seam at which tests put a faulty disk."""

from __future__ import annotations

import os
from pathlib import Path


class Disk:
    """Plain system calls. Each raises OSError as the system does; ``write`` may write less."""

    def open(self, path: Path, flags: int) -> int:
        """A file descriptor; a new file is readable by its owner and others."""
        return os.open(path, flags | os.O_CLOEXEC, 0o644)

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)

    def write(self, fd: int, data: bytes, offset: int) -> int:
        """Write at a place; answers how many bytes got there."""
        return os.pwrite(fd, data, offset)

    def read(self, fd: int, size: int, offset: int) -> bytes:
        """Read at a place; fewer bytes at the end of the file."""
        return os.pread(fd, size, offset)

    def size(self, fd: int) -> int:
        """The size of the file in bytes."""
        return os.fstat(fd).st_size

    def truncate(self, fd: int, size: int) -> None:
        """Cut the file to this size."""
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        """The data is on the device when this returns."""
        os.fdatasync(fd)

    def unlink(self, path: Path) -> None:
        """Remove a file that exists."""
        path.unlink()

    def rename(self, path: Path, target: Path) -> None:
        """Give a file another name."""
        path.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """Make the creation, rename or removal of a file in this folder durable."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
