"""Lines of ``events.jsonl`` from a process that is no recorder: its supervisor."""

from __future__ import annotations

import os
from pathlib import Path

from kline_ops.clock import Clock
from kline_ops.events import Event
from kline_ops.observe.logs import event_line


def append_event(path: Path, event: Event, clock: Clock) -> None:
    """Add an event, in one piece. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, event_line(event, clock))
    finally:
        os.close(fd)
