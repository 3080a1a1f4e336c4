"""What a command prints, line by line, in a file that is rotated: so that ``logs`` has it after the end.

It is written as it comes, colours included, but for the terminal's ends of lines (CR LF).
"""

from __future__ import annotations

import logging
from pathlib import Path

from kline_ops.log_file import LogFile

#: A line that is longer is cut: a bar of progress may never end one.
_LONGEST = 65_536


class OutputLog:
    """Takes bytes as they come; :meth:`close` writes what has no end of line yet. Never raises."""

    def __init__(self, path: Path) -> None:
        self._file = LogFile(path)
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
