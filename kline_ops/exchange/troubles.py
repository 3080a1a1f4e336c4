"""How faults are carried out: the table, and what each line of it does.

The kinds, and those that are asked about while they last, are in :mod:`kline_ops.exchange.faults`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from urllib.parse import parse_qsl

from kline_ops.errors import InputError
from kline_ops.exchange import strange
from kline_ops.exchange.altered import AlteredMarket
from kline_ops.exchange.core import ExchangeCore, end_session
from kline_ops.exchange.faults import Fault, FaultKind
from kline_ops.exchange.parameters import PARAMETERS, fault_text, parse_fault
from kline_ops.exchange.session import Session
from kline_ops.exchange.streams import Frame, KlineStream, parse_kline, shutdown_frame
from kline_ops.market import interval as intervals

_Strange = Callable[[str, KlineStream, AlteredMarket, int, int], Iterator[Frame]]


class TroubledExchange(ExchangeCore):
    """An exchange that things go wrong with."""

    #: How often all was made well.
    _heals = 0

    def apply(self, fault: Fault) -> None:
        """Let a fault happen, or begin."""
        actions: dict[FaultKind, Callable[[Fault], None]] = {
            FaultKind.CUT: self._cut,
            FaultKind.CLOSE: self._close,
            FaultKind.SHUTDOWN: self._shutdown,
            FaultKind.INJECT: self._inject,
            FaultKind.GARBAGE: self._garbage,
            FaultKind.FOREIGN: lambda fault: self._strange(fault, strange.foreign),
            FaultKind.IMPOSSIBLE: lambda fault: self._strange(fault, strange.impossible),
            FaultKind.DEAD_STREAM: self._dead_stream,
            FaultKind.WITHHOLD: self._withhold,
            FaultKind.AMEND: self._amend,
            FaultKind.MAINTENANCE: self._maintenance,
            FaultKind.QUIET: self._quiet,
        }
        self._log(f"fault: {fault_text(fault)}")
        # What has come due by now goes as if nothing were wrong.
        self._publisher.pump()
        actions.get(fault.kind, self._begin)(fault)
        self._settle()
        self._wake.set()

    def heal(self) -> None:
        """End the faults that last. What has become of candles stays: it is history.

        Sessions that were told of a shutdown stay open; a plan that is played goes on.
        """
        self._log("healed")
        self._heals += 1
        self._publisher.pump()
        self._faults.end()
        self._altered.settle(self._clock.wall_ms())
        self._gate.release()
        self._delivery.flush()
        self._settle()
        self._wake.set()

    def play(self, plan: Iterable[tuple[float, Fault]]) -> None:
        """Let these faults happen, each so many seconds from now; in order, and be it without end.

        See :func:`kline_ops.exchange.chaos.schedule` and
        :func:`kline_ops.exchange.parameters.parse_script`.
        """
        begun, entries = self._clock.monotonic(), iter(plan)

        def wait_for_next() -> None:
            if (entry := next(entries, None)) is not None:
                delay = max(0.0, begun + entry[0] - self._clock.monotonic())
                self._later(delay, lambda: happen(entry[1]))

        def happen(fault: Fault) -> None:
            self.apply(fault)
            wait_for_next()

        wait_for_next()

    # At once

    def _hit(self, fault: Fault) -> list[Session]:
        return [session for id_, session in self._live.items() if fault.hits(id_)]

    def _cut(self, fault: Fault) -> None:
        for session in self._hit(fault):
            session.cut()

    def _close(self, fault: Fault) -> None:
        for session in self._hit(fault):
            end_session(session, fault.code)

    def _shutdown(self, fault: Fault) -> None:
        told = self._hit(fault)
        frame = shutdown_frame(self._event_ms())
        for session in told:
            self._deliver(session, frame, frame.text(combined=session.subscriptions.combined))
        if told and math.isfinite(fault.seconds):
            ids = tuple(session.record.id for session in told)
            close = Fault(FaultKind.CLOSE, code=fault.code, sessions=ids)
            heals = self._heals
            self._later(fault.seconds, lambda: self.apply(close) if heals == self._heals else None)

    def _inject(self, fault: Fault) -> None:
        for session in self._hit(fault):
            session.send(fault.text)

    def _garbage(self, fault: Fault) -> None:
        for session in self._hit(fault):
            for text in strange.GARBAGE:
                session.send(text)

    def _strange(self, fault: Fault, frames: _Strange) -> None:
        now_ms, event_ms = self._clock.wall_ms(), self._event_ms()
        for session in self._hit(fault):
            for name, stream in self._listened([session]).items():
                for frame in frames(name, stream, self._altered, now_ms, event_ms):
                    session.send(frame.text(combined=session.subscriptions.combined))

    # What lasts

    def _begin(self, fault: Fault) -> None:
        self._faults.begin(fault, self._clock.monotonic())

    def _dead_stream(self, fault: Fault) -> None:
        for session in self._hit(fault):
            stream = fault.stream or next(iter(session.subscriptions.streams), "")
            self._begin(replace(fault, stream=stream, sessions=(session.record.id,)))

    def _withhold(self, fault: Fault) -> None:
        for candle in self._candles(fault):
            self._begin(replace(fault, candle=candle))

    # The market

    def _amend(self, fault: Fault) -> None:
        for symbol, interval, open_ms in self._candles(fault):
            self._altered.amend(symbol, intervals.parse(interval), open_ms)

    def _maintenance(self, fault: Fault) -> None:
        start, end = self._span(fault)
        self._altered.remove(start, end, fault.symbol)

    def _quiet(self, fault: Fault) -> None:
        start, end = self._span(fault)
        self._altered.hush(start, end, fault.symbol, closes=fault.closes)

    def _span(self, fault: Fault) -> tuple[int, int]:
        now_ms = self._clock.wall_ms()
        span = fault.span or (now_ms, now_ms + round(fault.seconds * 1000))
        # It is among what lasts, so that one can see it.
        self._begin(replace(fault, seconds=max(0, span[1] - now_ms) / 1000, span=span))
        return span

    def _candles(self, fault: Fault) -> list[tuple[str, str, int]]:
        """The candle that a fault names, or those that form now."""
        if fault.candle is not None:
            return [fault.candle]
        now_ms = self._clock.wall_ms()
        return [
            (stream.symbol, stream.interval.name, stream.interval.floor(now_ms))
            for name, stream in self._listened(self._hit(fault)).items()
            if fault.stream in {"", name}
        ]

    def _listened(self, sessions: Iterable[Session]) -> dict[str, KlineStream]:
        """The streams with candles that these sessions listen to, by name."""
        names = (name for session in sessions for name in session.subscriptions.streams)
        streams = {name: parse_kline(name) for name in names}
        return {
            name: stream
            for name, stream in streams.items()
            if stream is not None and stream.symbol in self._altered.symbols
        }

    # By HTTP

    def _desk(self, target: str) -> tuple[int, object]:
        """``/faults``, ``/faults/apply?kind=…`` and ``/faults/heal``."""
        path, _, query = target.partition("?")
        if path == "/faults":
            return 200, {"kinds": _kinds(), "lasting": self._lasting()}
        if path == "/faults/heal":
            self.heal()
            return 200, {"lasting": self._lasting()}
        if path != "/faults/apply":
            return 404, {"error": "no such page", "pages": ["/faults", "/faults/apply?kind=…"]}
        given = dict(parse_qsl(query.replace("+", "%2B"), keep_blank_values=True))
        try:
            self.apply(parse_fault(given.pop("kind", ""), given))
        except InputError as error:
            return 400, {"error": error.one_line()}
        return 200, {"lasting": self._lasting()}

    def _lasting(self) -> list[dict[str, object]]:
        return [
            {"fault": fault_text(fault), "seconds_left": None if math.isinf(left) else left}
            for left, fault in self._faults.lasting(self._clock.monotonic())
        ]


def _kinds() -> dict[str, object]:
    return {
        kind: {"required": required, "optional": [*optional]}
        for kind, (required, optional) in PARAMETERS.items()
    }
