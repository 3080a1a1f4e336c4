"""The exchange that a session with ``exchange: {embedded: true}`` brings along."""

from __future__ import annotations

from kline_ops.clock import Clock
from kline_ops.exchange.market import Market
from kline_ops.exchange.server import ExchangeServer


def embedded(clock: Clock) -> ExchangeServer:
    """An exchange on a free port of loopback, to be entered with ``async with``.

    Its seed is fixed: candles are the same in every process, so what a restart missed is there.
    """
    return ExchangeServer(Market(), clock)
