"""What a supervisor says on its terminal, where somebody looks, and never waits for it.

A terminal on hold, or one that nobody reads (a tmux server that hangs, a link that is gone), would hold
up whoever writes to it, and no crash would be answered any more.
"""

from __future__ import annotations

import contextlib
import os


class Voice:
    """Writes to a descriptor, opened anew so that not waiting is ours alone (open(2), O_NONBLOCK)."""

    def __init__(self, descriptor: int) -> None:
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            self._fd = os.open(f"/proc/self/fd/{descriptor}", flags)
        except OSError:
            self._fd = -1  # a socket, or closed: nobody to talk to

    def say(self, text: str) -> None:
        """A line; lost where it is not taken at once."""
        self.write(f"{text}\n".encode("utf-8", "backslashreplace"))

    def write(self, data: bytes) -> None:
        """The same for bytes as they are."""
        with contextlib.suppress(OSError):
            os.write(self._fd, data)
