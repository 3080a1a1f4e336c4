"""Who leads the session of a relay's command: it starts the command, tells of it, and stays.

When the leader of a session ends, the kernel hangs its terminal up and sends SIGHUP to the foreground
(setsid(2), credentials(7)). Were the command the leader, then a script that ends at SIGTERM would take
the program that it had called along, in the middle of what that does to end well.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

_PR_SET_PDEATHSIG = 1


class Leader(NamedTuple):
    """The leader's pid, that of the command, and where the command's end is told."""

    pid: int
    command: int
    told: int


def die_with_parent(number: signal.Signals) -> None:
    """Have the kernel send a signal to this process when its parent ends (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def start(
    terminal: int, command: Sequence[str], folder: Path, environ: Mapping[str, str]
) -> Leader:
    """Start a command in a session of its own, with this terminal. Raises OSError where it can not.

    Both end with this process. Signals that have a handler here do nothing to the leader.
    """
    # Packets: what is told at one time is heard at one time.
    told, tells = (end.detach() for end in socket.socketpair(type=socket.SOCK_SEQPACKET))
    relay = os.getpid()
    pid = os.fork()
    if pid == 0:
        _lead(relay, terminal, tells, command, folder, environ)
    os.close(tells)
    kind, number, name = _receive(told)
    if kind == "error":
        os.waitpid(pid, 0)
        os.close(told)
        raise OSError(number, os.strerror(number), name or command[0])
    # A command may kill its group, and so its leader, before that can say a word.
    return Leader(pid, number if kind else pid, told)


def exit_code(told: int) -> int | None:
    """How the command ended, once there is something to be read; None if the leader was killed."""
    kind, number, _ = _receive(told)
    os.close(told)
    return number if kind else None


def _receive(told: int) -> tuple[str, int, str]:
    """What the leader tells next: ``pid``, ``code`` or ``error``, and a number; empty if it is dead."""
    kind, _, rest = os.read(told, 8192).decode("utf-8", "surrogateescape").partition(" ")
    number, _, name = rest.partition(" ")
    return kind, int(number or 0), name


def _lead(
    relay: int,
    terminal: int,
    tells: int,
    command: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        die_with_parent(signal.SIGKILL)
        if os.getppid() != relay:
            os._exit(1)
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        for descriptor in (0, 1, 2):
            os.dup2(terminal, descriptor)
        for descriptor in {int(file.name) for file in Path("/proc/self/fd").iterdir()}:
            if descriptor not in {0, 1, 2, tells}:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        _run(tells, command, folder, environ)
    except OSError as error:
        named = f"error {error.errno or 0} {error.filename or ''}"
        os.write(tells, named.encode("utf-8", "surrogateescape"))
    finally:
        os._exit(1)


def _run(tells: int, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> NoReturn:
    # In our group: a command that has a shell's keys (Ctrl+Z) and no shell would be stopped for ever.
    child = subprocess.Popen(
        command,
        cwd=folder,
        env=environ,
        preexec_fn=lambda: die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - no threads
    )
    os.write(tells, f"pid {child.pid}".encode())
    os.write(tells, f"code {child.wait()}".encode())
    while True:
        signal.pause()
