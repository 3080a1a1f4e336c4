"""The terminal that a relay runs in, if there is one: its size, its keys, and what it shows."""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import struct
import termios
import time
import tty

#: Seconds that a supervisor may take to lend us its terminal.
_LENT_WITHIN = 1.0
_POLL = 0.01
_PIECE = 65_536
#: Output that may wait for a terminal on hold; the log has all of it.
_SHOWN_LATER = 1 << 20
#: Lines and columns where there is no terminal to ask.
_SIZE = struct.pack("HHHH", 24, 80, 0, 0)


class Window:
    """Descriptors 0 and 1 of this process."""

    def __init__(self) -> None:
        self._attributes: list[object] | None = None
        self._waiting = b""
        #: It is there, and its keys are ours.
        self.is_terminal = _is_lent()
        self._screen: int | None = 1
        with contextlib.suppress(OSError):
            # Opened anew, since "do not wait" holds for all who share an open file: the supervisor.
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            self._screen = os.open(os.ttyname(1), flags)

    def copy_size(self, controller: int) -> None:
        """Make the command's terminal as large as ours; it is told so (SIGWINCH)."""
        size = _SIZE
        with contextlib.suppress(OSError):
            size = fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(len(_SIZE)))
        with contextlib.suppress(OSError):
            fcntl.ioctl(controller, termios.TIOCSWINSZ, size if any(size) else _SIZE)

    def make_raw(self) -> None:
        """Every key goes to the command, Ctrl+C too; its own terminal knows what they mean."""
        if self.is_terminal:
            with contextlib.suppress(termios.error):
                attributes = termios.tcgetattr(0)
                tty.setraw(0)
                self._attributes = attributes

    def restore(self) -> None:
        """As it was."""
        if self._attributes is not None:
            with contextlib.suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(0, termios.TCSADRAIN, self._attributes)  # type: ignore[arg-type]

    def show(self, data: bytes, selector: selectors.BaseSelector) -> None:
        """Now, or as soon as the terminal takes it."""
        self._waiting += data
        if len(self._waiting) > _SHOWN_LATER:
            self._waiting = self._waiting[-_PIECE:]
        if self._screen is None:
            return
        self._write()
        registered = self._screen in selector.get_map()
        if self._waiting and not registered:
            selector.register(self._screen, selectors.EVENT_WRITE, lambda: self.show(b"", selector))
        elif not self._waiting and registered:
            selector.unregister(self._screen)

    def flush(self, seconds: float) -> None:
        """Show the rest, if it is taken within so many seconds."""
        deadline = time.monotonic() + seconds
        while self._waiting and self._screen is not None and time.monotonic() < deadline:
            with selectors.PollSelector() as waiting:
                waiting.register(self._screen, selectors.EVENT_WRITE)
                waiting.select(deadline - time.monotonic())
            self._write()

    def _write(self) -> None:
        try:
            while self._waiting and self._screen is not None:
                self._waiting = self._waiting[os.write(self._screen, self._waiting) :]
        except BlockingIOError:
            return
        except OSError:
            self._waiting = b""  # the terminal, or who reads, is gone


def _is_lent() -> bool:
    """Are we in the foreground? In the background, setting the terminal would stop us (tcsetattr(3)).

    The supervisor makes it so, just after it has started us.
    """
    deadline = time.monotonic() + _LENT_WITHIN
    try:
        while (foreground := os.tcgetpgrp(0)) != os.getpgrp():
            if foreground != os.getpgid(os.getppid()) or time.monotonic() >= deadline:
                return False
            time.sleep(_POLL)
    except OSError:
        return False
    return True
