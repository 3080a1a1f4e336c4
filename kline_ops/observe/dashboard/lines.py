"""The log on its way to the terminal: plain lines, or the last of them kept for the dashboard."""

from __future__ import annotations

import logging
from collections import deque
from typing import NamedTuple, TextIO

from kline_ops.observe.logs import TextFormatter

#: Lines that are kept: more than the tallest pane shows.
_KEPT = 100


class Line(NamedTuple):
    """One record: seconds since the epoch, level, its text alone, and as it stands in a plain log."""

    created: float
    level: int
    text: str
    whole: str


class ConsoleLines(logging.StreamHandler[TextIO]):
    """Writes each record to the terminal, unless a dashboard has it; remembers the last ones."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.setFormatter(TextFormatter())
        self._last: deque[Line] = deque(maxlen=_KEPT)
        #: While a dashboard is on the terminal.
        self.muted = False

    def emit(self, record: logging.LogRecord) -> None:
        """Remember a record, and write it where nothing else is drawn."""
        whole = self.format(record)
        self._last.append(Line(record.created, record.levelno, record.getMessage(), whole))
        if not self.muted:
            super().emit(record)

    def last(self) -> list[Line]:
        """The last lines, oldest first; from any thread."""
        return list(self._last)
