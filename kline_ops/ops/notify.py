"""Tells the service manager how a session is: sd_notify(3), without its library.

``READY=1`` when the candle file is open, or is tried again (a full disk): not when data comes, for an
exchange in maintenance at boot must not get the session killed. ``STATUS=`` is the session's word and
reason. ``WATCHDOG=1`` is sent while the event loop turns *and* every owed candle is on disk or being
pursued; ``STOPPING=1`` at the end. It never raises and never waits: where nobody listens, so be it.

Source: sd_notify(3), sd_watchdog_enabled(3). A name that begins with ``@`` is an abstract socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Collection, Mapping

from kline_ops import events
from kline_ops.events import Event

#: Seconds between two looks, where the watchdog does not ask for more.
_LONGEST = 5.0
#: The manager shows one line; a datagram must stay small.
_STATUS_LENGTH = 400


def watchdog_seconds(environ: Mapping[str, str], pids: Collection[str]) -> float | None:
    """How often the manager wants to hear ``WATCHDOG=1``; None where it does not.

    ``pids``: who may answer for the service: this process, and the supervisor that it is a child of
    (``WATCHDOG_PID`` names the service's first process).
    """
    told, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (told.isascii() and told.isdecimal()) or int(told) == 0:
        return None
    if pid and pid not in pids:
        return None  # meant for somebody whose environment we were given
    return int(told) / 1e6


class Notifier:
    """A session's line to the service manager; without one, every call does nothing."""

    def __init__(self, environ: Mapping[str, str], pids: Collection[str]) -> None:
        name = environ.get("NOTIFY_SOCKET", "")
        self._address: bytes | None = None
        if name.startswith(("/", "@")):
            raw = os.fsencode(name)
            self._address = b"\0" + raw[1:] if name.startswith("@") else raw
        self._watchdog = watchdog_seconds(environ, pids)
        self._is_ready = False
        self._status = ""
        self._task: asyncio.Task[None] | None = None

    def hear(self, event: Event) -> None:
        """Listener: the begin and the end of the session. A hand-over is no end."""
        match event:
            case events.SessionStarted() | events.DiskFull() if not self._is_ready:
                self._is_ready = True
                self._send("READY=1")
            case events.SessionStopped():
                self._send("STOPPING=1")

    def start(self, is_sound: Callable[[], bool], describe: Callable[[], str]) -> None:
        """Keep the manager informed from now on, in a task of the running loop."""
        if self._address is not None:
            self._task = asyncio.create_task(self._run(is_sound, describe), name="notify")

    def close(self) -> None:
        """Say nothing more."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self, is_sound: Callable[[], bool], describe: Callable[[], str]) -> None:
        pause = _LONGEST if self._watchdog is None else min(self._watchdog / 2, _LONGEST)
        while True:
            told = []
            if self._watchdog is not None and is_sound():
                told.append("WATCHDOG=1")
            status = " ".join(describe().split())[:_STATUS_LENGTH]
            if status != self._status:
                self._status = status
                told.append(f"STATUS={status}")
            if told:
                self._send("\n".join(told))
            await asyncio.sleep(pause)

    def _send(self, text: str) -> None:
        if self._address is None:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        # A manager that is away or busy: the next word may get through.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as line:
            line.sendto(text.encode("utf-8", "replace"), socket.MSG_DONTWAIT, self._address)
