"""Single keys from the terminal, without Enter; nothing where there is none.

Only a process in the terminal's foreground group may touch it: one in the background would be
stopped by the kernel (SIGTTIN, SIGTTOU), and a stopped recorder records nothing.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Mapping

#: What terminals send for F10 (xterm, linux, tmux: terminfo kf10).
_F10 = b"\x1b[21~"


class Keys:
    """Calls back for each known key, on the event loop."""

    def __init__(self) -> None:
        self._fd: int | None = None
        self._before: list[object] = []
        self._calls: Mapping[str, Callable[[], None]] = {}

    def listen(self, calls: Mapping[str, Callable[[], None]]) -> None:
        """Begin, if there is a terminal that is ours. Ctrl+C stays a signal."""
        try:
            fd = sys.stdin.fileno()
            if not os.isatty(fd) or os.tcgetpgrp(fd) != os.getpgrp():
                return
            self._before = termios.tcgetattr(fd)
            tty.setcbreak(fd, termios.TCSANOW)
            _without_hold(fd)
        except (OSError, ValueError, AttributeError, termios.error):
            return
        # Put into the background later, we want an error from the terminal, not to be stopped.
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        self._calls = calls
        self._fd = fd
        asyncio.get_running_loop().add_reader(fd, self._read)

    def close(self) -> None:
        """Give the terminal back as it was."""
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        asyncio.get_running_loop().remove_reader(fd)
        try:
            termios.tcsetattr(fd, termios.TCSANOW, self._before)  # type: ignore[arg-type]
        except termios.error:
            return  # the terminal is gone

    def _read(self) -> None:
        if self._fd is None:
            return
        try:
            data = os.read(self._fd, 64)
        except OSError:
            data = b""
        if not data:
            self.close()
        elif data == _F10:
            self._press("F10")
        else:
            for key in data.decode("utf-8", "ignore"):
                self._press(key)

    def _press(self, key: str) -> None:
        if key in self._calls:
            self._calls[key]()


def _without_hold(fd: int) -> None:
    """Ctrl+S must not put the terminal on hold: whoever writes to it would wait for Ctrl+Q."""
    attributes = termios.tcgetattr(fd)
    attributes[0] &= ~termios.IXON
    termios.tcsetattr(fd, termios.TCSANOW, attributes)
