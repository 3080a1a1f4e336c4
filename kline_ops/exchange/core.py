"""What makes the exchange run: the port, the sessions and the one task that serves them.

Source: Binance spot API, "WebSocket Streams", "General API Information" and "LIMITS". One port
serves WebSocket (``/ws``, ``/stream``) and REST (``/api/v3``). One task wakes when a candle, a ping
or a deadline is due and serves all sessions. All time comes from the clock that is handed in and
from the event loop's timers, so that the exchange lives in virtual time as well.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from ssl import SSLContext
from types import TracebackType
from typing import Self, cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from kline_ops.clock import Clock
from kline_ops.exchange import http
from kline_ops.exchange.bar import MarketData
from kline_ops.exchange.faults import NO_HANDSHAKE, ActiveFaults, FaultKind
from kline_ops.exchange.http import HttpFront
from kline_ops.exchange.limits import SlidingLimit
from kline_ops.exchange.publisher import Publisher
from kline_ops.exchange.records import SessionRecord
from kline_ops.exchange.session import GOING_AWAY, Connection, ExchangeOptions, Session
from kline_ops.exchange.streams import Address, Frame, parse_address


def end_session(session: Session, code: int) -> None:
    """Close with this code; 1006, which can not be sent, is a cut."""
    if code == NO_HANDSHAKE:
        session.cut()
    else:
        session.close(code)


def _no_log(_line: str) -> None:
    pass


class ExchangeCore:
    """An exchange without faults, between ``async with`` and its end.

    Args:
        market: where the candles come from.
        clock: all that the exchange knows of time.
        host: the address to listen on.
        port: 0 for a free one; see :attr:`ws_url`.
        ssl: for ``wss`` and ``https``.
        options: limits and pace.
        log: takes a line for each session that opens or ends.

    Raises:
        OSError: from :meth:`start`, where the port can not be had.
    """

    def __init__(
        self,
        market: MarketData,
        clock: Clock,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl: SSLContext | None = None,
        options: ExchangeOptions | None = None,
        log: Callable[[str], None] = _no_log,
    ) -> None:
        self.market = market
        self.options = options or ExchangeOptions()
        self.host = host
        self.port = port
        #: Wall times in milliseconds of all handshakes that were tried, refused ones included.
        self.attempts: list[int] = []
        #: All sessions that there have been, in the order of their opening.
        self.sessions: list[SessionRecord] = []
        #: Requests by path, whatever came of them.
        self.rest_requests: Counter[str] = Counter()
        self._clock = clock
        self._ssl = ssl
        self._log = log
        self._faults = ActiveFaults()
        self._http = HttpFront(market, self.options)
        self._admission: dict[str, SlidingLimit] = {}
        self._publisher = Publisher(market, clock, self.options, self._deliver)
        self._live: dict[int, Session] = {}
        self._connections: set[Connection] = set()
        self._listener: Server | None = None
        self._retired: list[Server] = []
        self._runner: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._timers: set[asyncio.TimerHandle] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ws_url(self) -> str:
        """Where raw streams are: ``ws://127.0.0.1:PORT/ws``."""
        return f"{'wss' if self._ssl else 'ws'}://{self.host}:{self.port}/ws"

    @property
    def rest_url(self) -> str:
        """The base of REST: ``http://127.0.0.1:PORT``."""
        return f"{'https' if self._ssl else 'http'}://{self.host}:{self.port}"

    # Life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; returns when clients can connect."""
        await self._listen()
        self._runner = asyncio.create_task(self._run())

    async def stop(self, code: int = GOING_AWAY) -> None:
        """Close all sessions and the port; returns when nothing is left running."""
        for timer in self._timers:
            timer.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        listeners = [*self._retired, *([self._listener] if self._listener else [])]
        for listener in listeners:
            listener.close(close_connections=False)
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])
        for session in self._live.values():
            session.close(code)
        closing = [s.closing for s in self._live.values() if s.closing]
        if closing:
            await asyncio.wait(closing, timeout=self.options.close_seconds)
        for connection in list(self._connections):
            connection.transport.abort()
        for listener in listeners:
            await listener.wait_closed()

    async def _listen(self) -> None:
        self._listener = await serve(
            self._serve_session,
            self.host,
            self.port,
            ssl=self._ssl,
            process_request=self._route,
            create_connection=cast("type[ServerConnection]", self._connection),
            # Uncompressed, pinged by the sessions themselves, and no name in the answers.
            compression=None,
            ping_interval=None,
            server_header=None,
            close_timeout=self.options.close_seconds,
        )
        self.port = next(iter(self._listener.sockets)).getsockname()[1]

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close(close_connections=False)
            self._retired.append(self._listener)
            self._listener = None

    def _listen_again(self) -> None:
        if self._listener is None:
            task = asyncio.create_task(self._listen())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _later(self, seconds: float, action: Callable[[], object]) -> None:
        def act() -> None:
            self._timers.discard(timer)
            action()

        timer = asyncio.get_running_loop().call_later(seconds, act)
        self._timers.add(timer)

    def _connection(self, *args: object, **kwargs: object) -> Connection:
        connection = Connection(*args, **kwargs)  # type: ignore[arg-type]
        connection.everyone = self._connections
        return connection

    async def _run(self) -> None:
        """Send what is due, then sleep until the next thing is, or a subscription changes."""
        while True:
            self._wake.clear()
            self._publisher.pump()
            now = self._clock.monotonic()
            for session in list(self._live.values()):
                session.tick(now, silent=self._silent(session))
            waits = [s.deadline() - now for s in self._live.values() if s.live]
            due = self._publisher.seconds_to_next()
            wait = min([*waits, *([] if due is None else [due])], default=None)
            try:
                # Half a millisecond more, so as not to wake just before the clock ticks over.
                async with asyncio.timeout(None if wait is None else max(0.0, wait) + 0.0005):
                    await self._wake.wait()
            except TimeoutError:
                pass

    # Connections

    def _route(self, connection: ServerConnection, request: Request) -> Response | None:
        now_ms, now = self._clock.wall_ms(), self._clock.monotonic()
        client = str(connection.remote_address[0])
        address = parse_address(request.path)
        if address is None:
            self.rest_requests[request.path.partition("?")[0]] += 1
            down = self._faults.active(FaultKind.REST_DOWN, now)
            return http.unavailable(now_ms) if down else self._http.answer(request, client, now_ms)
        self.attempts.append(now_ms)
        if self._faults.active(FaultKind.REFUSE, now):
            return http.unavailable(now_ms)
        limit = self._admission.setdefault(
            client, SlidingLimit(self.options.attempts, self.options.attempts_window)
        )
        if not limit.admits(now):
            return http.too_many_attempts(now_ms, self.options.attempts_window)
        if len(address.streams) > self.options.max_streams:
            return http.too_many_streams(now_ms, self.options.max_streams)
        return None

    async def _serve_session(self, connection: ServerConnection) -> None:
        if not isinstance(connection, Connection) or connection.request is None:
            raise TypeError("not a connection of this server")
        path = connection.request.path
        record = SessionRecord(len(self.sessions) + 1, path, self._clock.wall_ms())
        address = parse_address(path) or Address((), combined=False, microseconds=False)
        session = Session(record, connection, address, self._clock, self.options)
        self.sessions.append(record)
        self._live[record.id] = session
        connection.session = session
        self._log(f"session {record.id} opened: {path}")
        self._changed(session)
        fault = self._faults.active(FaultKind.ACCEPT_CLOSE, self._clock.monotonic())
        if fault is not None:
            end_session(session, fault.code)
        try:
            async for message in connection:
                self._control(session, message)
        except ConnectionClosed:
            pass
        finally:
            session.finish()
            del self._live[record.id]
            self._publisher.follow(session)
            self._log(f"session {record.id} ended: {connection.close_code}")
        if session.closing is not None:
            await session.closing

    def _control(self, session: Session, message: str | bytes) -> None:
        # What was due before the change goes to those who listened then.
        self._publisher.pump()
        reply = session.subscriptions.answer(message)
        self._changed(session)
        if not self._silent(session):
            session.send(reply)

    def _changed(self, session: Session) -> None:
        self._publisher.pump()
        self._publisher.follow(session)
        self._wake.set()

    def _deliver(self, session: Session, frame: Frame, text: str) -> None:
        if self._faults.lets_pass(frame) and not self._silent(session):
            session.send(text)

    def _silent(self, session: Session) -> bool:
        now = self._clock.monotonic()
        return self._faults.active(FaultKind.SILENCE, now, session.record.id) is not None
