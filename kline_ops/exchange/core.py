"""What makes the exchange run: the port, the sessions and the one task that serves them.

Source: Binance spot API, "WebSocket Streams", "General API Information" and "LIMITS". One port
serves WebSocket (``/ws``, ``/stream``) and REST (``/api/v3``). One task wakes when a candle, a ping
or a deadline is due and serves all sessions. All time comes from the clock that is handed in and
from the event loop's timers, so that the exchange lives in virtual time as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ssl import SSLContext
from types import TracebackType
from typing import Self

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from kline_ops.clock import Clock
from kline_ops.exchange.altered import AlteredMarket
from kline_ops.exchange.bar import MarketData
from kline_ops.exchange.delivery import Delivery
from kline_ops.exchange.faults import NO_HANDSHAKE, ActiveFaults, FaultKind
from kline_ops.exchange.gate import Gate
from kline_ops.exchange.port import Port
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
    """An exchange that keeps to its faults, between ``async with`` and its end.

    Args:
        market: where the candles come from. Exchanges may share one; with an
            :class:`~kline_ops.exchange.altered.AlteredMarket` they share what becomes of it, too.
        clock: all that the exchange knows of time.
        host: the address to listen on.
        port: 0 for a free one; see :attr:`ws_url`.
        ssl: for ``wss`` and ``https``.
        options: limits and pace.
        log: takes a line for each session that opens or ends, and for each fault.

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
        #: All sessions that there have been, in the order of their opening.
        self.sessions: list[SessionRecord] = []
        self._clock = clock
        self._secure = ssl is not None
        self._log = log
        self._faults = ActiveFaults()
        self._altered = market if isinstance(market, AlteredMarket) else AlteredMarket(market)
        self._gate = Gate(self._altered, clock, self.options, self._faults, self._desk)
        self.attempts = self._gate.attempts
        self.rest_requests = self._gate.rest_requests
        self._publisher = Publisher(
            self._altered, clock, self.options, self._deliver, self._event_ms
        )
        self._delivery = Delivery(self._faults, clock.monotonic, self._later, self._silent)
        self._port = Port(host, port, ssl, self.options, self._serve_session, self._gate.route)
        self._live: dict[int, Session] = {}
        self._runner: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def host(self) -> str:
        """The address that is listened on."""
        return self._port.host

    @property
    def port(self) -> int:
        """The port that is listened on; known after :meth:`start`."""
        return self._port.number

    @property
    def ws_url(self) -> str:
        """Where raw streams are: ``ws://127.0.0.1:PORT/ws``."""
        return f"{'wss' if self._secure else 'ws'}://{self.host}:{self.port}/ws"

    @property
    def rest_url(self) -> str:
        """The base of REST: ``http://127.0.0.1:PORT``."""
        return f"{'https' if self._secure else 'http'}://{self.host}:{self.port}"

    @property
    def rest_held(self) -> int:
        """How many REST requests wait for their answer at the moment, as a fault has it."""
        return self._gate.rest_held

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
        await self._port.listen()
        self._runner = asyncio.create_task(self._run())

    async def stop(self, code: int = GOING_AWAY) -> None:
        """Close all sessions and the port; returns when nothing is left running."""
        for timer in self._timers:
            timer.cancel()
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])
        await self._port.close()
        for session in self._live.values():
            session.freeze(frozen=False)
            session.close(code)
        closing = [s.closing for s in self._live.values() if s.closing]
        if closing:
            await asyncio.wait(closing, timeout=self.options.close_seconds)
        await self._port.wait_closed()

    def _later(self, seconds: float, action: Callable[[], object]) -> None:
        def act() -> None:
            self._timers.discard(timer)
            action()

        timer = asyncio.get_running_loop().call_later(seconds, act)
        self._timers.add(timer)

    async def _run(self) -> None:
        """Send what is due, then sleep until the next thing is, or a subscription changes."""
        while True:
            self._wake.clear()
            self._settle()
            self._publisher.pump()
            now = self._clock.monotonic()
            for session in list(self._live.values()):
                session.tick(now, silent=self._silent(session))
            deadlines = [s.deadline() for s in self._live.values() if s.live]
            waits = [deadline - now for deadline in deadlines if deadline is not None]
            due = [self._publisher.seconds_to_next(), self._faults.seconds_to_next_end(now)]
            wait = min([*waits, *(d for d in due if d is not None)], default=None)
            try:
                # Half a millisecond more, so as not to wake just before the clock ticks over.
                async with asyncio.timeout(None if wait is None else max(0.0, wait) + 0.0005):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _settle(self) -> None:
        """Bring about what the faults that last say now."""
        now = self._clock.monotonic()
        for session in self._live.values():
            frozen = self._faults.active(FaultKind.HALF_OPEN, now, session.record.id) is not None
            session.freeze(frozen=frozen)
        self._delivery.settle()
        if self._faults.active(FaultKind.REFUSE_TCP, now):
            self._port.refuse()
        else:
            self._port.listen_again(self._wake.set)

    # Connections

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
        self._faults.opens(record.id, self._clock.monotonic())
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
            self._delivery.forget(session)
            self._faults.closes(record.id)
            self._log(f"session {record.id} ended: {connection.close_code}")
        if session.closing is not None:
            await session.closing

    def _control(self, session: Session, message: str | bytes) -> None:
        # What was due before the change goes to those who listened then.
        self._publisher.pump()
        reply = session.subscriptions.answer(message)
        self._faults.subscribed(session.record.id, session.subscriptions.renewed)
        self._changed(session)
        if not self._silent(session):
            self._delivery.reply(session, reply)

    def _changed(self, session: Session) -> None:
        self._publisher.pump()
        self._publisher.follow(session)
        self._wake.set()

    def _deliver(self, session: Session, frame: Frame, text: str) -> None:
        now = self._clock.monotonic()
        passes = self._faults.lets_pass(frame, now, session.record.id)
        if passes and not self._silent(session):
            self._delivery.data(session, text)

    def _silent(self, session: Session) -> bool:
        now, id_ = self._clock.monotonic(), session.record.id
        kinds = (FaultKind.SILENCE, FaultKind.HALF_OPEN)
        return any(self._faults.active(kind, now, id_) for kind in kinds)

    def _event_ms(self) -> int:
        return self._clock.wall_ms() + self._gate.skew_ms()

    def _desk(self, target: str) -> tuple[int, object]:
        """What ``/faults`` answers: where faults are carried out."""
        raise NotImplementedError(target)
