"""The processes that a supervisor has started: in a group of their own, on the terminal, and reaped.

Whatever they start in turn is ours to end, too: what leaves its group (``setsid``) comes back to us as
its parents die, since we are a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import termios
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kline_ops.observe.dashboard.terminal import LEAVE
from kline_ops.ops.voice import Voice
from kline_ops.watch.process import children_of

_PR_SET_CHILD_SUBREAPER = 36


class Reaped(NamedTuple):
    """A process that has ended; ``code`` is minus the number of a signal."""

    pid: int
    code: int


def adopt_orphans() -> None:
    """From now on a grandchild whose parent dies is our child. No harm where that can not be."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def spawn(
    command: Sequence[str],
    environ: Mapping[str, str],
    keep: Sequence[int] = (),
    terminal: Terminal | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own, with its errors to be read. Raises OSError.

    ``terminal``: lent to it before it begins. Lent a moment later, it would be stopped if it was
    quick to ask for it (SIGTTOU).
    """
    return subprocess.Popen(
        command,
        env=environ,
        stderr=subprocess.PIPE,
        process_group=0,
        pass_fds=keep,
        # There is no other thread here whose locks it could wait for.
        preexec_fn=None if terminal is None else lambda: terminal.lend(os.getpid()),  # noqa: PLW1509
    )


def reap() -> list[Reaped]:
    """Whoever has ended, adopted ones included; nobody stays a zombie."""
    ended: list[Reaped] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append(Reaped(pid, os.waitstatus_to_exitcode(status)))


def send(group: int, number: signal.Signals) -> None:
    """To all of a group; a suspended process hears it only once it goes on."""
    for each in (number, signal.SIGCONT):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, each)


def end_what_is_left() -> None:
    """Kill all children, adopted ones and their descendants included, and reap them."""
    while children := children_of(os.getpid()):
        for pid in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


class Terminal:
    """The terminal we run in, if there is one; lent to whoever is the recorder."""

    def __init__(self) -> None:
        self._attributes: list[object] | None = None
        self._voice = Voice(1)
        try:
            attributes = termios.tcgetattr(0)
            # Ctrl+S must not put it, and us, on hold, nor Ctrl+Z suspend the recorder.
            attributes[0] &= ~termios.IXON
            attributes[6][termios.VSUSP] = os.fpathconf(0, "PC_VDISABLE").to_bytes(1, "big")
            self._attributes = attributes
            self._is_ours = os.tcgetpgrp(0) == os.getpgrp()
        except (OSError, termios.error):
            self._is_ours = False
            return
        if self._is_ours:
            self.restore()

    def lend(self, group: int) -> None:
        """Make this group the one that reads it and gets its keys."""
        if not self._is_ours:
            return
        # From the background, setting it would stop us (tcsetpgrp(3)).
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        try:
            os.tcsetpgrp(0, group)
        except OSError:
            return  # the terminal, or the group, is gone
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def restore(self) -> None:
        """As it is to be after each run, whatever a killed process has left it like."""
        if self._attributes is None or not self._is_ours:
            return
        self.lend(os.getpgrp())
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(0, termios.TCSANOW, self._attributes)  # type: ignore[arg-type]

    def clear(self) -> None:
        """Show what was on it before, with its cursor: a process that was killed has not done it."""
        if self._attributes is not None and self._is_ours and os.isatty(1):
            self._voice.write(LEAVE)
