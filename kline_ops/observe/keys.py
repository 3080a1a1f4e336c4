"""Single keys from the terminal, without Enter; nothing where there is none.

Only a process in the terminal's foreground group may touch it: one in the background would be
stopped by the kernel (SIGTTIN, SIGTTOU), and a stopped recorder records nothing.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import termios
import tty
from collections.abc import Callable, Mapping

#: What terminals send for F10 (xterm, linux, tmux: terminfo kf10).
_F10 = "\x1b[21~"
#: A key of its own that is sent as several characters, or a single one ("ECMA-48", 5.4; xterm, SS3).
_KEY = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO?.|.", re.DOTALL)
#: Seconds before and after a press in which nothing else comes. A key that is held down comes again
#: after some tenths of a second, and then more often than that (xset(1), "r rate"; kbdrate(8)).
_ALONE = 0.15


class Keys:
    """Calls back for each known key, on the event loop: a character by itself, or ``F10``.

    Only a press by itself counts. What comes in quick succession was pasted, or is a key held down by
    something that lies on it: neither may end a recording.
    """

    def __init__(self) -> None:
        self._last = float("-inf")
        self._pending: asyncio.TimerHandle | None = None
        self._fd: int | None = None
        self._before: list[object] = []
        self._calls: Mapping[str, Callable[[], None]] = {}

    @property
    def listening(self) -> bool:
        """Is there a terminal that is ours?"""
        return self._fd is not None

    def listen(self, calls: Mapping[str, Callable[[], None]]) -> None:
        """Begin, if there is a terminal that is ours. Ctrl+C stays a signal; Ctrl+Z is no key."""
        try:
            fd = sys.stdin.fileno()
            if not os.isatty(fd) or os.tcgetpgrp(fd) != os.getpgrp():
                return
            self._before = termios.tcgetattr(fd)
            tty.setcbreak(fd, termios.TCSANOW)
            _without_traps(fd)
        except (OSError, ValueError, AttributeError, termios.error):
            return
        # Put into the background later, we want an error from the terminal, not to be stopped.
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        self._calls = calls
        self._fd = fd
        asyncio.get_running_loop().add_reader(fd, self._read)

    def close(self) -> None:
        """Give the terminal back as it was; one that another process has by now is left alone."""
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        if self._pending is not None:
            self._pending.cancel()
        asyncio.get_running_loop().remove_reader(fd)
        try:
            if os.tcgetpgrp(fd) == os.getpgrp():
                termios.tcsetattr(fd, termios.TCSANOW, self._before)  # type: ignore[arg-type]
        except (OSError, termios.error):
            return  # the terminal is gone

    def _read(self) -> None:
        if self._fd is None:
            return
        try:
            data = os.read(self._fd, 4096)
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        keys = _KEY.findall(data.decode("utf-8", "ignore"))
        key = keys[0] if len(keys) == 1 else ""
        self.take("F10" if key == _F10 else key)

    def take(self, key: str) -> None:
        """Take in a press, also one that came as a signal; it counts if nothing else comes just then."""
        loop = asyncio.get_running_loop()
        before, self._last = self._last, loop.time()
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        if key and self._last - before >= _ALONE:
            self._pending = loop.call_later(_ALONE, self._press, key)

    def _press(self, key: str) -> None:
        if key in self._calls:
            self._calls[key]()


def _without_traps(fd: int) -> None:
    """Ctrl+S must not put the terminal on hold, nor Ctrl+Z suspend us: nothing would be recorded."""
    attributes = termios.tcgetattr(fd)
    attributes[0] &= ~termios.IXON
    attributes[6][termios.VSUSP] = os.fpathconf(fd, "PC_VDISABLE").to_bytes(1, "big")
    termios.tcsetattr(fd, termios.TCSANOW, attributes)
