"""HTTP of one session: its app, its listener, its events. Imported where ``http.port`` is set."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import Callable
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import msgspec

from kline_ops import events
from kline_ops.config.notices import is_loopback
from kline_ops.errors import SessionError
from kline_ops.events import Event, without_secrets
from kline_ops.market.messages import Kline
from kline_ops.observe.logs import event_line
from kline_ops.observe.metrics.exposition import Metrics
from kline_ops.observe.snapshot import Snapshot
from kline_ops.observe.web.app import Sources, new_app
from kline_ops.observe.web.server import Server, bound
from kline_ops.observe.web.stream import Stream
from kline_ops.observe.worded import worded
from kline_ops.session.page_data import PageData
from kline_ops.session.parts import Common
from kline_ops.watch.registry import find_session
from kline_ops.watch.tail import Tail

#: Seconds between two tries of a port that somebody else has.
_AGAIN = 3.0
#: Seconds between two updates of a candle that is not closed, and turns of it between two of the status.
_EVERY, _TURNS = 0.25, 4

#: Seconds after which a thread that computes lets the loop have its turn; Python's own is 5 ms.
_TURN = 0.001

_log = logging.getLogger(__name__)


class Serving:
    """Of one session: :meth:`run` until it is cancelled, then :meth:`close`.

    Args:
        common: what all parts share.
        snapshot: how the session stands now.
        in_charge: are the files this process's to write?
        metrics: counts, and tells it.
    """

    def __init__(
        self,
        common: Common,
        snapshot: Callable[[], Snapshot],
        in_charge: Callable[[], bool],
        metrics: Metrics,
    ) -> None:
        http = common.settings.config.http
        self._common = common
        self._data = PageData(common, snapshot, in_charge)
        self._metrics = metrics
        self._host, self._port = http.host, http.port or 0
        self._stream = Stream(common.clock.wall_ms(), metrics.client_dropped)
        sources = Sources(
            session=common.settings.name,
            version=version("kline-ops"),
            snapshot=snapshot,
            status=self._data.status,
            counting=metrics,
            stream=self._stream,
            events_of=self._events_of,
            now=common.clock.monotonic,
            data=self._data.endpoints,
        )
        app = new_app(sources, http.token, local=is_loopback(http.host))
        self._server = Server(app, metrics.client_dropped)
        #: The newest update of a candle that nobody was told of yet, and the last one that closed.
        self._forming: Kline | None = None
        self._closed_ms = -1
        self._has_let_go = False

    def hear(self, event: Event) -> None:
        """Listener: tells whoever listens."""
        # The candle file has the candles: for who listens now they are news, and for nobody else.
        keep = not isinstance(event, events.Recorded)
        if keep or self._stream.listeners:
            bare = event_line(event, self._common.clock).rstrip()
            line = worded(bare, without_secrets(event)) or bare
            self._stream.tell(event.kind, line, keep=keep)

    def deliver(self, kline: Kline) -> None:
        """An update of a candle: told a few times a second; that it closed at once."""
        if not self._stream.listeners or kline.candle.open_ms <= self._closed_ms:
            return
        if kline.closed:
            self._closed_ms, self._forming = kline.candle.open_ms, None
            self._stream.tell("kline", _told(kline), keep=False)
        else:
            self._forming = kline

    async def run(self) -> None:
        """Take the port, as soon as it is free, and serve until cancelled."""
        is_told = False
        while not self._has_let_go:
            try:
                sock = bound(self._host, self._port)
            except OSError as error:
                if not is_told:
                    _log.warning("%s", self._refused(error))
                is_told = True
                await asyncio.sleep(_AGAIN)
            else:
                await self._serve(sock)

    async def _serve(self, sock: socket.socket) -> None:
        sys.setswitchinterval(_TURN)
        await self._server.listen(sock)
        host = f"[{self._host}]" if ":" in self._host else self._host
        _log.info("listens on http://%s:%d", host, self._port)
        await self._tell_how_it_stands()

    def let_go(self) -> None:
        """Of the port, for the process that takes over; whoever is connected comes back to that one."""
        self._has_let_go = True
        self._stream.close()
        self._server.let_go()

    async def close(self) -> None:
        """Let go of whoever is connected, within a moment."""
        self.let_go()
        await self._server.close()
        self._data.close()

    async def _tell_how_it_stands(self) -> None:
        """While anybody listens: the candle that is not closed yet, and each second the status."""
        loop, turn = asyncio.get_running_loop(), 0
        while True:
            due = loop.time() + _EVERY
            await asyncio.sleep(_EVERY)
            self._metrics.lag(max(0.0, loop.time() - due))
            self._metrics.clients(self._stream.listeners)
            turn = (turn + 1) % _TURNS
            if not self._stream.listeners:
                continue
            if self._forming is not None:
                self._stream.show("kline", _told(self._forming))
                self._forming = None
            if turn == 0:
                self._stream.show("status", msgspec.json.encode(self._data.status()))

    def _refused(self, error: OSError) -> str:
        remedy = "free it, or give http.port another one"
        if error.errno == errno.EADDRNOTAVAIL:
            remedy = "give http.host an address of this machine"
        return (
            f"http: {self._host}:{self._port} can not be had ({error.strerror}): recording goes on, and"
            f" it is tried again each {_AGAIN:g} s; {remedy}"
        )

    def _events_of(self, name: str, limit: int) -> list[bytes]:
        """The last lines of a session's event log. Raises OSError; LookupError: there is no such one."""
        settings = self._common.settings
        path = settings.events_file
        if name != settings.name:
            try:
                path = Path(find_session(name).events_file)
            except SessionError:
                raise LookupError(name) from None
        with Tail(path, whole=True) as tail:
            # A line that was torn by a crash would spoil the whole list.
            lines = (told for line in tail.backwards() if (told := worded(line.encode())))
            return list(islice(lines, limit))[::-1]


def _told(kline: Kline) -> bytes:
    candle = kline.candle
    told = {
        "open_ms": candle.open_ms,
        "o": candle.open,
        "h": candle.high,
        "l": candle.low,
        "c": candle.close,
        "v": candle.volume,
        "closed": kline.closed,
    }
    return msgspec.json.encode(told)
