"""A log file that is rotated, and comes back where somebody takes it away: for all that writes one."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
from io import TextIOWrapper
from pathlib import Path

#: Bytes of one file, and how many older ones are kept beside it.
MAX_BYTES, KEPT = 10_000_000, 5
#: What the log of a session may take on its disk.
LOG_BYTES = MAX_BYTES * (1 + KEPT)


class LogFile(logging.handlers.RotatingFileHandler):
    """Rotates, and does not go on writing into a file that nobody can see any more. Never raises."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8", delay=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record into the file that stands at the path now."""
        stream = self.stream
        if stream is not None and not self._is_in_place(stream):
            self.stream = None
            with contextlib.suppress(OSError):  # a full disk: what it did not take is lost
                stream.close()
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Nothing: what a full disk does not take is lost, and there is nobody to be told here."""

    def close(self) -> None:
        """Like the class's own; on a full disk, what it did not take is lost."""
        with contextlib.suppress(OSError):
            super().close()

    def _is_in_place(self, stream: TextIOWrapper) -> bool:
        try:
            return os.path.samestat(Path(self.baseFilename).stat(), os.fstat(stream.fileno()))
        except OSError:
            return False

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()
