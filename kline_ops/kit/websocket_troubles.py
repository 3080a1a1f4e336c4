"""What a managed connection tells of its troubles: each once, again where it becomes critical, and once
more when it is over.
"""

from __future__ import annotations

import logging

from kline_ops import events
from kline_ops.events import Event
from kline_ops.kit.websocket_calls import Callback, Lane
from kline_ops.observe.describe import describe

#: What ``on_alert`` is called with first.
_CHANNEL = "websocket"
_LOST, _BROKEN, _DARK = "messages lost", "broken", "no connection"
_WARNING, _CRITICAL = "WARNING", "CRITICAL"
#: By what happened: the trouble, and how much it matters.
_TROUBLES: dict[type[Event], tuple[str, str]] = {
    events.AttemptsExhausted: (_DARK, _CRITICAL),
    events.Stalled: ("silence", _WARNING),
    events.Banned: ("refused", _WARNING),
}

_log = logging.getLogger(__name__)


class Troubles:
    """Logs all that happens, and calls ``on_alert(channel, text, context)`` for what matters."""

    def __init__(self, shown: str, on_alert: Callback | None) -> None:
        self._shown = shown
        self._on_alert = on_alert
        self._lane = Lane()
        #: What is not over, and how much of it was told.
        self._open: dict[str, str] = {}

    def hear(self, event: Event) -> None:
        """Something happened to a connection."""
        level, text = describe(event)
        text = text.replace("the exchange", "the server")  # it need not be one
        _log.log(level, "%s: %s", self._shown, text)
        if isinstance(event, events.Live):
            for trouble in self._open.keys() - {_LOST}:
                self._end(trouble, "messages come again")
        elif (known := _TROUBLES.get(type(event))) is not None:
            self._begin(*known, text)

    def dark(self, why: str) -> None:
        """There has been no connection for a while; attempts go on."""
        self._begin(_DARK, _WARNING, why)

    def broken(self) -> None:
        """A fault of ours: the connection that is open is the last one."""
        self._begin(_BROKEN, _CRITICAL, "it connects no more until connect() is called")

    def lost(self, waiting: int) -> None:
        """Messages are not taken in time."""
        text = f"{waiting} wait and are not taken: the oldest are dropped"
        _log.warning("%s: messages: %s", self._shown, text)
        self._begin(_LOST, _WARNING, text)

    def taken(self, lost: int) -> None:
        """All that waited was taken."""
        text = f"{lost} were dropped, all others were taken"
        _log.info("%s: messages: %s", self._shown, text)
        self._end(_LOST, text)

    async def close(self, seconds: float) -> None:
        """Give what is to be told so long."""
        await self._lane.close(seconds)

    def _begin(self, trouble: str, level: str, text: str) -> None:
        if self._open.get(trouble) not in {level, _CRITICAL}:
            self._open[trouble] = level
            self._tell(trouble, level, f"{self._shown}: {trouble}: {text}")

    def _end(self, trouble: str, text: str) -> None:
        self._open.pop(trouble, None)
        self._tell(trouble, "SUCCESS", f"{self._shown}: {trouble} is over: {text}")

    def _tell(self, trouble: str, level: str, text: str) -> None:
        context = {"url": self._shown, "event": trouble, "level": level}
        self._lane.call(self._on_alert, _CHANNEL, text, context)
