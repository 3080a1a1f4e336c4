"""A terminal with a command in it: what it shows, and keys that are typed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import termios
from types import TracebackType
from typing import Self

from tests.support.machine import Machine, until


class Terminal:
    """Use as a context manager; the command is ``kline-ops ARGUMENTS…``."""

    def __init__(
        self, machine: Machine, *arguments: str, columns: int = 80, lines: int = 24
    ) -> None:
        self._controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.child = machine.begin(
            *arguments, stdin=terminal, stdout=terminal, start_new_session=True
        )
        os.close(terminal)
        self.shown = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._controller)

    def type(self, keys: bytes) -> None:
        """Press them once."""
        os.write(self._controller, keys)

    def wait_for(self, words: bytes) -> None:
        """Until it shows these words."""
        until(lambda: words in self.look())

    def look(self) -> bytes:
        """All that it has shown by now."""
        while select.select([self._controller], [], [], 0)[0]:
            try:
                self.shown += os.read(self._controller, 65536)
            except OSError:
                break
        return self.shown

    def detach(self) -> int:
        """Ctrl+B D, and again, as a person would who sees that nothing happens; the exit code."""
        looks = 0

        def gone() -> bool:
            nonlocal looks
            if self.child.poll() is None and looks % 40 == 0:
                self.type(b"\x02d")
            looks += 1
            self.look()
            return self.child.poll() is not None

        until(gone)
        return self.child.wait(1)

    def ends(self) -> int:
        """The exit code of the command; what it shows meanwhile is read."""
        with contextlib.suppress(OSError):
            until(lambda: (self.look() and False) or self.child.poll() is not None)
        return self.child.wait(1)
