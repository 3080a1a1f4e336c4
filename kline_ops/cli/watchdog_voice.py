"""How ``kline-ops watchdog`` speaks: a line of log for each word, and the session's alert channels."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING

import typer

from kline_ops.errors import KlineOpsError

if TYPE_CHECKING:
    from kline_ops.alerts.manager import AlertManager
    from kline_ops.alerts.message import Message
    from kline_ops.cli.watched import Watched

#: So many messages wait for a channel that could not be spoken to.
_WAITING = 100
NO_CONFIG = "its config can not be used, so no channel is told"


class Voice:
    """Of one watchdog: :meth:`begin`, :meth:`tell`, :meth:`close`. It never raises."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._channels: AlertManager | None = None
        self._problem = watched.problem
        self._untold: deque[Message] = deque(maxlen=_WAITING)
        #: How many messages it was given.
        self.told = 0

    def begin(self) -> None:
        """Say what is watched, how, and who will be told."""
        watched = self._watched
        if self._problem:
            self.log("WARNING", f"{NO_CONFIG}: {self._problem}")
        self._open(watched)
        told = "its alert channel" if self._channels else "this log only: there is no channel"
        how = f"every {watched.interval:g} s, no heartbeat older than {watched.max_age:g} s"
        self.log("INFO", f"watching {watched.name}: {watched.state_file}, {how}; tells {told}")

    def try_again(self) -> None:
        """A config that could not be used may be put right, or its key may be there by now."""
        if self._untold:
            waiting, self._untold = self._untold, deque(maxlen=_WAITING)
            for message in waiting:
                self._send(message)
        if not self._problem:
            return
        try:
            now = self._watched.again()
        except Exception as error:  # noqa: BLE001 - a boundary: its entry may be gone, and come again
            self._have(error)
            return
        if not now.problem and self._open(now):
            self._problem = ""
            told = "its alert channel is told" if self._channels else "there is no channel"
            self.log("INFO", f"its config can be used again: {told}")

    def tell(self, message: Message) -> None:
        """To this log and to the channels; waits for neither."""
        self.told += 1
        self.log(message.level.name, text(message))
        self._send(message)

    def log(self, level: str, what: str) -> None:
        """A line. The disk that it goes to may be the full one that there is something to tell of."""
        with contextlib.suppress(Exception):
            typer.echo(line(level, what))

    def close(self, timeout: float) -> None:
        """Let what waits be sent, for so many seconds."""
        left = len(self._untold)
        with contextlib.suppress(Exception):
            left += self._channels.close(timeout) if self._channels is not None else 0
        if left:
            self.log("WARNING", f"{left} message(s) were not delivered")

    def _open(self, watched: Watched) -> bool:
        """False where its channels can not be made, which is told."""
        config = watched.config
        if config is None or not (config.credentials or config.alerts.urls):
            return True
        from kline_ops.alerts.routes import new_manager

        try:
            self._channels = new_manager(config, session=watched.name, on_failed=self._hear_failed)
        except Exception as error:  # noqa: BLE001 - a boundary: it is told, and tried again
            self._have(error)
            return False
        return True

    def _have(self, error: Exception) -> None:
        """A problem with the config, told where it is another one than before."""
        problem = f"{type(error).__name__}: {error}"
        if isinstance(error, KlineOpsError):
            problem = error.one_line()
        if problem != self._problem:
            self.log("WARNING", f"{NO_CONFIG}: {problem}")
        self._problem = problem

    def _send(self, message: Message) -> None:
        from kline_ops.alerts.routes import WATCHDOG

        if self._channels is None:
            return
        try:
            self._channels.send(message, key=WATCHDOG)
        except Exception as error:  # noqa: BLE001 - a boundary: it is told, and tried again
            self._untold.append(message)
            self.log("WARNING", f"its alert channel failed: {type(error).__name__}: {error}")

    def _hear_failed(self, host: str, reason: str, lost: int) -> None:
        also = f"; {lost} message(s) are lost" if lost else ""
        self.log("WARNING", f"{host}: a message was not delivered: {reason}{also}")


def text(message: Message) -> str:
    """A message in one line."""
    return f"{message.title}: {message.text}" if message.text else message.title


def line(level: str, what: str) -> str:
    """``2026-11-30T20:00:00Z WARNING …``, with no secret in it."""
    from kline_ops.clock import SystemClock
    from kline_ops.market import timestamp

    now_ms = SystemClock().wall_ms() // 1000 * 1000
    return f"{timestamp.to_text(now_ms)} {level} {shown(what)}"


def shown(what: str) -> str:
    """In one line, with no secret in it."""
    from kline_ops.plain import visible
    from kline_ops.secret import redacted

    return visible(redacted(what))
