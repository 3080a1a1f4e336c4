"""How much memory this process may hold before a fresh one takes over. The rule is pure.

Nothing here grows without a bound, as far as we know; libraries, and the allocator's fragments, may over
months. The kernel would end the process at the worst moment: a change of processes costs nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

#: A process that is over the limit sooner (s) after its start would be so again: no change helps.
MIN_UPTIME = 3600.0
_MB = 1 << 20


class MemoryLimit:
    """``limit`` in MB; None: any amount."""

    def __init__(self, limit: float | None, min_uptime: float = MIN_UPTIME) -> None:
        self.limit = limit
        self._min_uptime = min_uptime
        self._asked_at: float | None = None

    def is_over(self, megabytes: float, uptime: float) -> bool:
        """Is it time for a fresh process? At most once in ``min_uptime`` seconds."""
        if self.limit is None or megabytes <= self.limit or uptime < self._min_uptime:
            return False
        if self._asked_at is not None and uptime - self._asked_at < self._min_uptime:
            return False
        self._asked_at = uptime
        return True


def resident_megabytes() -> float:
    """What this process holds now (proc(5), ``/proc/self/statm``); 0 where that can not be told."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / _MB
