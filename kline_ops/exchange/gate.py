"""The way in: which handshakes are let through, and what REST answers.

Source: Binance spot API, "WebSocket Limits" (300 attempts in 5 minutes per IP, 1024 streams) and
"IP Limits".
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
from collections import Counter
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from kline_ops.clock import Clock
from kline_ops.exchange import http
from kline_ops.exchange.altered import AlteredMarket
from kline_ops.exchange.faults import ActiveFaults, Fault, FaultKind
from kline_ops.exchange.http import HttpFront
from kline_ops.exchange.limits import Refusal, SlidingLimit
from kline_ops.exchange.rest import Lag
from kline_ops.exchange.session import ExchangeOptions
from kline_ops.exchange.streams import parse_address

#: What a client is told to wait for where nothing says how long.
_RETRY_AFTER_SECONDS = 60.0

#: Takes a request target, answers with a status and what is to be told as JSON.
Desk = Callable[[str], tuple[int, object]]


class Gate:
    """Answers requests with HTTP, or lets them shake hands.

    Args:
        desk: answers what is about the exchange itself: ``/faults``.
    """

    def __init__(
        self,
        market: AlteredMarket,
        clock: Clock,
        options: ExchangeOptions,
        faults: ActiveFaults,
        desk: Desk,
    ) -> None:
        #: Wall times in milliseconds of all handshakes that were tried, refused ones included.
        self.attempts: list[int] = []
        #: Requests by path, whatever came of them.
        self.rest_requests: Counter[str] = Counter()
        self._clock = clock
        self._options = options
        self._faults = faults
        self._desk = desk
        self._http = HttpFront(market.rest, options)
        self._admission: dict[str, SlidingLimit] = {}
        #: REST requests that wait for their answer at the moment.
        self.rest_held = 0
        self._held: set[asyncio.Future[None]] = set()

    async def route(self, connection: ServerConnection, request: Request) -> Response | None:
        """The response to a request; None lets it shake hands."""
        client = str(connection.remote_address[0])
        path = request.path.partition("?")[0]
        if path == "/faults" or path.startswith("/faults/"):
            return self._at_the_desk(request.path, client)
        address = parse_address(request.path)
        if address is None:
            self.rest_requests[path] += 1
            return await self._rest(connection, request, client)
        now_ms = self._clock.wall_ms()
        self.attempts.append(now_ms)
        while (hang := self._active(FaultKind.HANG)) is not None:
            if not await self._hold(connection, self._left(hang)):
                return None
        if (refuse := self._active(FaultKind.REFUSE)) is not None:
            told = refuse.status == 429 or refuse.retry_after is not None
            retry_after = self._retry_after(refuse) if told else None
            return http.refusal(refuse.status, retry_after, now_ms)
        limit = self._admission.setdefault(
            client, SlidingLimit(self._options.attempts, self._options.attempts_window)
        )
        if not limit.admits(self._clock.monotonic()):
            return http.too_many_attempts(now_ms, self._options.attempts_window)
        if len(address.streams) > self._options.max_streams:
            return http.too_many_streams(now_ms, self._options.max_streams)
        return None

    def release(self) -> None:
        """Let go of all requests that are held."""
        for held in self._held:
            if not held.done():
                held.set_result(None)

    def skew_ms(self) -> int:
        """What the server's clock is off by."""
        skew = self._active(FaultKind.SKEW)
        return round(skew.offset * 1000) if skew else 0

    async def _rest(
        self, connection: ServerConnection, request: Request, client: str
    ) -> Response | None:
        if (slow := self._active(FaultKind.REST_SLOW)) is not None:
            self.rest_held += 1
            try:
                await self._hold(connection, slow.delay)
            finally:
                self.rest_held -= 1
        now_ms = self._clock.wall_ms()
        if (down := self._active(FaultKind.REST_DOWN)) is not None:
            return http.refusal(down.status, down.retry_after, now_ms)
        if (limited := self._active(FaultKind.REST_LIMITED)) is not None:
            retry_after = math.ceil(self._retry_after(limited))
            return self._http.refused(Refusal(429, retry_after), now_ms)
        if (banned := self._active(FaultKind.REST_BANNED)) is not None:
            wait = self._retry_after(banned)
            until_ms = now_ms + self.skew_ms() + round(wait * 1000)
            return self._http.refused(Refusal(418, math.ceil(wait), until_ms), now_ms)
        lagging, stale = self._active(FaultKind.REST_LAGGING), self._active(FaultKind.REST_STALE)
        lag = Lag(
            hidden_ms=round(lagging.delay * 1000) if lagging else 0,
            stale_ms=round(stale.delay * 1000) if stale else 0,
            skew_ms=self.skew_ms(),
        )
        return self._http.answer(request, client, now_ms, lag)

    async def _hold(self, connection: ServerConnection, seconds: float) -> bool:
        """Wait, or until :meth:`release`; False if the client has gone away meanwhile."""
        released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.add(released)
        gone = connection.connection_lost_waiter
        try:
            await asyncio.wait(
                [released, gone],
                timeout=None if math.isinf(seconds) else seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self._held.discard(released)
        return not gone.done()

    def _at_the_desk(self, target: str, client: str) -> Response:
        now_ms = self._clock.wall_ms()
        # An IPv4 client of an IPv6 socket is ::ffff:127.0.0.1, with a zone where it has one.
        address = ipaddress.ip_address(client.removeprefix("::ffff:").partition("%")[0])
        if not address.is_loopback:
            return http.page(403, {"error": "faults are for this machine alone"}, now_ms)
        status, content = self._desk(target)
        return http.page(status, content, now_ms)

    def _active(self, kind: FaultKind) -> Fault | None:
        return self._faults.active(kind, self._clock.monotonic())

    def _left(self, fault: Fault) -> float:
        return self._faults.remaining(fault, self._clock.monotonic())

    def _retry_after(self, fault: Fault) -> float:
        if fault.retry_after is not None:
            return fault.retry_after
        left = self._left(fault)
        return _RETRY_AFTER_SECONDS if math.isinf(left) else left
