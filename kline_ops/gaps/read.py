"""Candle files as blocks of whole lines. Opens read-only, touches nothing.

* Plain, gzip and zip, told by name or by the first bytes. Each ``.csv`` of a zip is a member of
  its own, with its own header.
* Memory is bounded by the block. A line that is longer than any row can be (a run of NULs after a
  power cut) is shortened: it is a bad row either way.
* Our recorder merges late candles into the tail of a plain file, and keeps ``PATH.redo`` beside it
  while it does. What was read around a merge is not used: ``merging`` before, ``unchanged`` after.
  A file that only grew is unchanged.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from kline_ops.errors import InputError

#: Large enough that the work per block does not count, small enough for the processor's cache.
BLOCK = 1 << 17
_LONGEST_LINE = 1 << 16
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_CORRUPT = "corrupt or cut short"
_AGAIN = "copy or download it again"


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Source:
    """An open candle file; made by :func:`open_source`."""

    def __init__(self, path: str, stream: IO[bytes]) -> None:
        self.path = path
        self._stream = stream
        self._opened = os.fstat(stream.fileno())
        self._size = 0
        self._crc = 0
        self.kind = _kind(path, stream)

    def read(self, size: int, /) -> bytes:
        """Bytes of the plain file, remembered for :meth:`unchanged`."""
        chunk = self._stream.read(size)
        self._size += len(chunk)
        self._crc = zlib.crc32(chunk, self._crc)
        return chunk

    def members(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Name and blocks of each file in it; the name is empty if there is only one.

        Raises:
            InputError: the archive is corrupt, or holds no candle file.
        """
        if self.kind == "zip":
            yield from _zip_members(self.path, self._stream)
        elif self.kind == "gz":
            yield "", _gzip_blocks(self.path, self._stream)
        else:
            yield "", _readable(self.path, _blocks(self))

    def unchanged(self) -> bool:
        """False if a plain file was rewritten, in the part that was read, since it was opened."""
        if self.kind != "plain":
            return True
        if merging(self.path):
            return False
        now = os.fstat(self._stream.fileno())
        opened = self._opened
        if (now.st_size, now.st_mtime_ns) == (opened.st_size, opened.st_mtime_ns):
            return True
        if not self._stream.seekable():
            return True
        return self._crc_again() == self._crc

    def _crc_again(self) -> int | None:
        self._stream.seek(0)
        crc, left = 0, self._size
        while left:
            chunk = self._stream.read(min(left, BLOCK))
            if not chunk:
                return None
            crc = zlib.crc32(chunk, crc)
            left -= len(chunk)
        return crc


def merging(path: str) -> bool:
    """True while the recorder merges late candles into this file."""
    try:
        return Path(path + ".redo").exists()
    except (
        OSError
    ):  # a name that can not be: nor can the file's, and that is told when it is opened
        return False


@contextmanager
def open_source(path: str) -> Iterator[Source]:
    """Opens a candle file.

    Raises:
        InputError: there is no such file, it is a directory, or it may not be read.
    """
    try:
        stream = Path(path).open("rb")  # noqa: SIM115  closed below; only opening may fail here
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file", hint="check the path, or `kline-ops list`"
        ) from None
    except IsADirectoryError:
        raise InputError(
            f"{path}: a directory", hint=f"name the files in it: {path}/*.csv"
        ) from None
    except PermissionError:
        raise InputError(f"{path}: may not be read", hint=f"ls -l {path}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}", hint="check the path") from None
    with stream:
        mode = os.fstat(stream.fileno()).st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise InputError(f"{path}: a device", hint="name a candle file")
        yield Source(path, stream)


def _kind(path: str, stream: IO[bytes]) -> str:
    head = stream.peek(4)[:4] if hasattr(stream, "peek") else b""
    if path.endswith(".zip") or head == _ZIP:
        return "zip"
    if path.endswith(".gz") or head.startswith(_GZIP):
        return "gz"
    return "plain"


def _blocks(stream: _Readable) -> Iterator[bytes]:
    """Whole lines; only the very last block may lack its end of line."""
    rest = b""
    while chunk := stream.read(BLOCK):
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield rest + chunk[:cut]
            rest = chunk[cut:]
        else:
            rest = (rest + chunk)[:_LONGEST_LINE]
    if rest:
        yield rest


def _readable(path: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same blocks; what fails on the way names the file."""
    try:
        yield from blocks
    except (EOFError, zlib.error) as error:
        raise InputError(f"{path}: {_CORRUPT} ({error})", hint=_AGAIN) from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", hint=_AGAIN) from None


def _gzip_blocks(path: str, stream: IO[bytes]) -> Iterator[bytes]:
    # gzip and zipfile cost milliseconds that a plain file, the usual case, need not pay.
    import gzip  # noqa: PLC0415

    with gzip.open(stream, "rb") as unpacked:
        yield from _readable(path, _blocks(unpacked))


def _zip_members(path: str, stream: IO[bytes]) -> Iterator[tuple[str, Iterator[bytes]]]:
    import zipfile  # noqa: PLC0415

    try:
        with zipfile.ZipFile(stream) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith(".csv")]
            if not names:
                raise InputError(f"{path}: no .csv file in it", hint=f"unzip -l {path}")
            for name in names:
                with archive.open(name) as member:
                    yield name if len(names) > 1 else "", _zip_blocks(path, member)
    # OSError: a pipe, that can not be sought in. RuntimeError (NotImplementedError is one too): the
    # member is encrypted, or packed in a way that Python lacks.
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:
        raise InputError(f"{path}: {_CORRUPT} ({error})", hint=_AGAIN) from None


def _zip_blocks(path: str, member: IO[bytes]) -> Iterator[bytes]:
    import zipfile  # noqa: PLC0415

    try:
        yield from _readable(path, _blocks(member))
    except zipfile.BadZipFile as error:
        raise InputError(f"{path}: {_CORRUPT} ({error})", hint=_AGAIN) from None
