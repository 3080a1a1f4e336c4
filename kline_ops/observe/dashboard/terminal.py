"""The terminal as something to write to that never makes anybody wait for long.

It is opened anew, so that writing without blocking is ours alone: the flag belongs to the open file,
which is shared with the shell and the supervisor otherwise.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable

#: Alternate screen, no cursor, no wrapping at the last column (xterm, "Private modes").
ENTER = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[0m\x1b[2J"
#: Back to what was there before. CAN first: a sequence may have been cut off in the middle.
LEAVE = b"\x18\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"

#: Seconds between two looks whether to go on waiting for a terminal on hold.
_LOOK = 0.2


class Terminal:
    """The controlling terminal.

    Raises:
        OSError: there is none.
    """

    def __init__(self) -> None:
        self._fd = os.open("/dev/tty", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)

    def is_ours(self) -> bool:
        """Are we in its foreground? What is behind another process must not draw."""
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            return False

    def size(self) -> tuple[int, int]:
        """Columns and rows; 80 and 24 where it does not say. Raises OSError."""
        columns, rows = os.get_terminal_size(self._fd)
        return columns or 80, rows or 24

    def write(self, data: bytes, go_on: Callable[[], bool]) -> bool:
        """Write all of it, however long that takes; False where ``go_on`` said no before the end.

        Raises:
            OSError: the terminal is gone.
        """
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                if not go_on():
                    return False
                select.select([], [self._fd], [], _LOOK)
        return True

    def try_write(self, data: bytes) -> None:
        """As much as it takes at once; the rest is given up."""
        with contextlib.suppress(OSError):
            os.write(self._fd, data)

    def close(self) -> None:
        """Let go of it."""
        with contextlib.suppress(OSError):
            os.close(self._fd)
