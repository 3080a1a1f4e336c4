"""Frames that a client has to survive: no message at all, of another stream, or impossible."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from kline_ops.exchange import symbols as listing
from kline_ops.exchange.altered import AlteredMarket
from kline_ops.exchange.bar import Bar
from kline_ops.exchange.streams import Frame, KlineStream, kline_frame
from kline_ops.market import interval as intervals
from kline_ops.market.interval import DAY_MS

#: Texts that are no message of the exchange: no JSON, JSON of another shape, events without a body.
GARBAGE = (
    "",
    "<html><body>502 Bad Gateway</body></html>",
    "null",
    "[]",
    "{}",
    '{"e":"kline"}',
    '{"e":"kline","E":"now","k":{}}',
    '{"stream":"btcusdt@kline_1m","data":null}',
    '{"e":"kline","k":' + 64 * "[",
    "\x00\ufffd\U0001f4a9",
)


def foreign(
    name: str, stream: KlineStream, market: AlteredMarket, now_ms: int, event_ms: int
) -> Iterator[Frame]:
    """Closing frames under this stream's name: of another symbol, and of another interval."""
    symbol = next(other for other in market.symbols if other != stream.symbol)
    interval = intervals.parse("1h" if stream.interval.code != "1h" else "4h")
    for other in (KlineStream(symbol, stream.interval), KlineStream(stream.symbol, interval)):
        bar = _last(other, market, now_ms)
        yield kline_frame(name, other, bar, event_ms, closed=True)


def impossible(
    name: str, stream: KlineStream, market: AlteredMarket, now_ms: int, event_ms: int
) -> Iterator[Frame]:
    """Closing frames of the stream's own candle: high below low, a negative volume, a price that
    is no number, a time off the grid, a time years ahead.
    """
    bar = _last(stream, market, now_ms)
    below = listing.text(int(Decimal(bar.low).scaleb(listing.DECIMALS)) - 1)
    for wrong in (
        bar._replace(high=below),
        bar._replace(volume="-1.00000000"),
        bar._replace(close="NaN"),
        bar._replace(open_ms=bar.open_ms + 1, close_ms=bar.close_ms + 1),
        bar._replace(
            open_ms=bar.open_ms + 36_500 * DAY_MS, close_ms=bar.close_ms + 36_500 * DAY_MS
        ),
    ):
        yield kline_frame(name, stream, wrong, event_ms, closed=True)


def _last(stream: KlineStream, market: AlteredMarket, now_ms: int) -> Bar:
    """The candle that has closed last."""
    opened = stream.interval.shift(stream.interval.floor(now_ms), -1)
    return market.bar(stream.symbol, stream.interval, opened)
