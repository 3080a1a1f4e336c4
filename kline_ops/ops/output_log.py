"""What a command prints, line by line, in a file that is rotated: so that ``logs`` has it after the end.

It is written as it comes, colours included, but for the terminal's ends of lines (CR LF).
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
from pathlib import Path

_MAX_BYTES, _KEPT = 10_000_000, 5
#: A line that is longer is cut: a bar of progress may never end one.
_LONGEST = 65_536


class OutputLog:
    """Takes bytes as they come; :meth:`close` writes what has no end of line yet. Never raises."""

    def __init__(self, path: Path) -> None:
        self._file = _File(path)
        self._part = b""
        #: The last line that said something.
        self.last = ""

    def feed(self, data: bytes) -> None:
        """Take in some output."""
        whole, newline, self._part = (self._part + data).rpartition(b"\n")
        if newline:
            self._write(whole)
        if len(self._part) > _LONGEST:
            self._write(self._part)
            self._part = b""

    def close(self) -> None:
        """Write the rest."""
        if self._part:
            self._write(self._part)
            self._part = b""
        self._file.close()

    def _write(self, lines: bytes) -> None:
        text = lines.decode("utf-8", "backslashreplace").replace("\r\n", "\n").removesuffix("\r")
        self.last = next((line for line in reversed(text.split("\n")) if line.strip()), self.last)
        self._file.handle(logging.LogRecord("", logging.INFO, "", 0, text, None, None))


class _File(logging.handlers.RotatingFileHandler):
    """Rotates, and comes back where it was deleted or moved away. A full disk loses lines, no more."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=_MAX_BYTES, backupCount=_KEPT, encoding="utf-8", delay=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Write into the file that stands at the path now."""
        path = Path(self.baseFilename)
        try:
            in_place = self.stream is None or os.path.samestat(
                path.stat(), os.fstat(self.stream.fileno())
            )
        except OSError:
            in_place = False
        if not in_place and self.stream is not None:
            with contextlib.suppress(OSError):
                self.stream.close()
            self.stream = None
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Nothing: the command goes on, and its terminal has what it says."""

    def close(self) -> None:
        """Like the class's own; on a full disk, what it did not take is lost."""
        with contextlib.suppress(OSError):
            super().close()
