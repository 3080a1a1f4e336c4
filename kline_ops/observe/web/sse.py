"""The answer that does not end: server-sent events, over ASGI."""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kline_ops.observe.web.stream import PING, Stream

#: Seconds without anything to tell, after which a proxy might take the connection for dead.
_PING_EVERY = 15.0
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    # A proxy is to keep nothing back.
    (b"x-accel-buffering", b"no"),
]


class EventStream(Response):
    """Tells one client what happens, until it goes, falls behind, or the session ends."""

    def __init__(self, stream: Stream, since: str, first: bytes = b"") -> None:
        super().__init__()
        self._stream = stream
        self._since = since
        #: What it is told before all else.
        self._first = first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; returns when it is over."""
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await send({"type": "http.response.body", "body": b""})
            return
        woken = asyncio.Event()
        listener = self._stream.listen(woken.set, self._since)
        gone = asyncio.create_task(_gone(receive), name="listener")
        gone.add_done_callback(lambda _: woken.set())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await _tell(send, b"retry: 2000\n\n" + self._first)
            while not gone.done():
                if told := listener.take():
                    await _tell(send, told)
                    continue
                if listener.is_dropped or listener.is_over:
                    break
                woken.clear()
                if listener.is_empty:
                    await _woken(woken)
                    if not woken.is_set():
                        await _tell(send, PING)
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._stream.leave(listener)
            gone.cancel()


async def _gone(receive: Receive) -> None:
    """Wait until the client has gone; what it sends is no part of a GET."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _woken(woken: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_PING_EVERY):
            await woken.wait()
    except TimeoutError:
        return


async def _tell(send: Send, told: bytes) -> None:
    await send({"type": "http.response.body", "body": told, "more_body": True})
