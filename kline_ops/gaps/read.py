"""Candle files as blocks of whole lines. Opens read-only, touches nothing.

* Plain, gzip and zip, JSON, Parquet and Feather (``tables.py``), told by the first bytes; ``-`` is
  stdin. Each ``.csv`` of a zip is a member of its own, with its own header.
* Memory is bounded by the block. A line that is longer than any row can be (a run of NULs after a
  power cut) is shortened: it is a bad row either way.
* An archive that is cut short is read as far as it goes; :attr:`Source.cut_short` says why it ended.
* Our recorder merges late candles into the tail of a plain file, and keeps ``PATH.redo`` beside it
  while it does. What was read around a merge is not used: ``merging`` before, ``unchanged`` after.
  A merge, or whoever else rewrites a file, moves all that follows: a few bytes of each block that was
  read tell. A file that only grew is unchanged.
"""

from __future__ import annotations

import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kline_ops.errors import InputError

#: Large enough that the work per block does not count, small enough for the processor's cache.
BLOCK = 1 << 17
#: Standard input, as an argument.
STDIN = "-"
_LONGEST_LINE = 1 << 16
#: Bytes at the end of each block by which it is known again; a row's time and some more.
_NOTED = 64
#: The kinds of files, by their first bytes.
_MAGIC = (
    (b"\x1f\x8b", "gz"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PAR1", "arrow"),
    (b"ARROW1", "arrow"),
)
_CORRUPT = "corrupt or cut short"
_AGAIN = "copy or download it again"

Member = tuple[str, Iterator[bytes]]


class Source:
    """An open candle file; made by :func:`open_source`.

    Args:
        path: for messages, and for what lies beside it.
        stream: buffered, at its beginning.
    """

    def __init__(self, path: str, stream: IO[bytes]) -> None:
        self.path = path
        self._stream = stream
        self._opened = os.fstat(stream.fileno())
        #: Where what was read of a plain file has ended, again and again, and how.
        self._ends: list[tuple[int, bytes]] = []
        self.kind = _kind(stream)
        #: Hears how many more bytes of a plain file were read.
        self.on_read: Callable[[int], None] | None = None
        #: Why the file ended before its end; None where it did not, or was not read so far yet.
        self.cut_short: str | None = None

    @property
    def size(self) -> int:
        """In bytes, when it was opened; 0 of a pipe."""
        return self._opened.st_size if stat.S_ISREG(self._opened.st_mode) else 0

    def members(self) -> Iterator[Member]:
        """Name and blocks of each file in it; the name is empty if there is only one.

        Raises:
            InputError: it can not be read at all.
        """
        if self.kind == "zip":
            yield from self._zip_members()
        elif self.kind == "gz":
            yield "", self._gzip_blocks()
        elif self.kind == "plain":
            yield "", self._readable(blocks(self._noted(0, sys.maxsize)))
        else:
            from kline_ops.gaps import tables  # noqa: PLC0415 - for files that need it

            rows = tables.from_arrow if self.kind == "arrow" else tables.from_json
            yield "", rows(self.path, self._stream)

    def rewind(self) -> None:
        """Read a plain file from its beginning once more."""
        self._stream.seek(0)
        self._ends.clear()

    def part(self, start: int, end: int) -> Iterator[bytes]:
        """The blocks of whole lines between two places of a plain file, each a line's beginning."""
        self._stream.seek(start)
        return self._readable(blocks(self._noted(start, end)))

    def line_at(self, place: int) -> int:
        """Where the first line begins that begins at ``place`` or later in a plain file."""
        if place <= 0:
            return 0
        self._stream.seek(place - 1)
        return place - 1 + len(self._stream.readline())

    def unchanged(self) -> bool:
        """False if a plain file was rewritten, in the part that was read, since it was opened."""
        if self.kind != "plain":
            return True
        if merging(self.path):
            return False
        now, opened = os.fstat(self._stream.fileno()), self._opened
        if (now.st_size, now.st_mtime_ns) == (opened.st_size, opened.st_mtime_ns):
            return True
        if not self._stream.seekable():
            return True
        return now.st_size >= opened.st_size and all(self._is_as_read(*end) for end in self._ends)

    def _noted(self, start: int, end: int) -> Callable[[int], bytes]:
        """Reads up to ``end``, and remembers what :meth:`unchanged` asks for."""
        at = start

        def read(size: int) -> bytes:
            nonlocal at
            # To the end of a line: a block need not be put together from two pieces then.
            chunk = self._stream.read(min(size, end - at))
            chunk += self._stream.readline(min(_LONGEST_LINE, end - at - len(chunk)))
            at += len(chunk)
            self._ends.append((at, chunk[-_NOTED:]))
            if self.on_read is not None:
                self.on_read(len(chunk))
            return chunk

        return read

    def _is_as_read(self, end: int, tail: bytes) -> bool:
        return os.pread(self._stream.fileno(), len(tail), end - len(tail)) == tail

    def _readable(self, found: Iterator[bytes]) -> Iterator[bytes]:
        """The same blocks; what fails on the way ends them, and is told."""
        try:
            yield from found
        except (EOFError, zlib.error) as error:
            self.cut_short = f"{_CORRUPT} ({error})"
        except OSError as error:
            self.cut_short = error.strerror or f"{_CORRUPT} ({error})"

    def _gzip_blocks(self) -> Iterator[bytes]:
        # gzip and zipfile cost milliseconds that a plain file, the usual case, need not pay.
        import gzip  # noqa: PLC0415

        with gzip.open(self._stream, "rb") as unpacked:
            # In one piece each: what a block holds is kept where the next one can not be unpacked.
            yield from self._readable(blocks(unpacked.read1))

    def _zip_members(self) -> Iterator[Member]:
        import zipfile  # noqa: PLC0415

        try:
            with zipfile.ZipFile(self._stream) as archive:
                names = [name for name in archive.namelist() if name.lower().endswith(".csv")]
                if not names:
                    raise InputError(
                        f"{self.path}: no .csv file in it", hint=f"unzip -l {self.path}"
                    )
                for name in names:
                    with archive.open(name) as member:
                        yield name if len(names) > 1 else "", self._zip_blocks(member)
        # OSError: a pipe, that can not be sought in. RuntimeError (NotImplementedError is one too): the
        # member is encrypted, or packed in a way that Python lacks.
        except (zipfile.BadZipFile, OSError, RuntimeError) as error:
            raise InputError(f"{self.path}: {_CORRUPT} ({error})", hint=_AGAIN) from None

    def _zip_blocks(self, member: IO[bytes]) -> Iterator[bytes]:
        import zipfile  # noqa: PLC0415

        try:
            yield from self._readable(blocks(member.read))
        except zipfile.BadZipFile as error:
            self.cut_short = f"{_CORRUPT} ({error})"


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
    """Opens a candle file, or stdin.

    Raises:
        InputError: there is no such file, it is a directory, or it may not be read.
    """
    if path == STDIN:
        if sys.stdin is None or sys.stdin.isatty():
            raise InputError(
                "stdin is a terminal", hint="cat candles.csv | kline-ops analyze-gaps -"
            )
        yield Source(path, sys.stdin.buffer)
        return
    with _open(path) as stream:
        mode = os.fstat(stream.fileno()).st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise InputError(f"{path}: a device", hint="name a candle file")
        yield Source(path, stream)


def _open(path: str) -> IO[bytes]:
    try:
        return Path(path).open("rb")
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


def blocks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Whole lines; only the very last block may lack its end of line.

    What was read before ``read`` fails is given out before that is raised.
    """
    rest = b""
    while True:
        try:
            chunk = read(BLOCK)
        except Exception:
            if rest:
                yield rest
            raise
        if not chunk:
            break
        cut = chunk.rfind(b"\n") + 1
        if cut == len(chunk) and not rest:
            yield chunk
        elif cut:
            yield rest + chunk[:cut]
            rest = chunk[cut:]
        else:
            rest = (rest + chunk)[:_LONGEST_LINE]
    if rest:
        yield rest


def _kind(stream: IO[bytes]) -> str:
    head: bytes = stream.peek(8)[:8] if hasattr(stream, "peek") else b""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    return "json" if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in {b"[", b"{"} else "plain"
