"""Stream names and the frames that they bring.

Source: Binance spot API, "WebSocket Streams": raw streams at ``/ws/<stream>``, combined streams at
``/stream?streams=<a>/<b>``, wrapped as ``{"stream": …, "data": …}``; "Kline/Candlestick Streams"
and the same with time zone offset; ``serverShutdown``; ``timeUnit=MICROSECOND`` in the URL.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from kline_ops.exchange.bar import Bar
from kline_ops.market import interval as intervals
from kline_ops.market.interval import Interval

#: The name under which the shutdown notice comes in combined form.
SHUTDOWN_STREAM = "!serverShutdown"

_KLINE = re.compile(r"([a-z0-9]+)@kline_([0-9]{1,2}[a-zA-Z](?:@\+08:00)?)")


class KlineStream(NamedTuple):
    """A stream that brings candles."""

    symbol: str
    interval: Interval


class Address(NamedTuple):
    """What a client asked for in the address of its handshake."""

    streams: tuple[str, ...]
    combined: bool
    microseconds: bool


class Frame(NamedTuple):
    """One event, before it is framed for a session."""

    stream: str
    event: str
    #: The candle that it is about and whether it closes it; None for other events.
    kline: tuple[str, str, int] | None = None
    closed: bool = False

    def text(self, *, combined: bool) -> str:
        """As it goes on the wire."""
        if combined:
            return f'{{"stream":"{self.stream}","data":{self.event}}}'
        return self.event


def parse_kline(name: str) -> KlineStream | None:
    """The candles that a stream of this name brings, or None: another kind, or no stream at all.

    Names are case-sensitive and symbols in them lower case; anything else is silent.
    """
    match = _KLINE.fullmatch(name)
    if match is None:
        return None
    try:
        return KlineStream(match[1].upper(), intervals.parse(match[2]))
    except ValueError:
        return None


def parse_address(target: str) -> Address | None:
    """The streams of a request target such as ``/ws/btcusdt@kline_1m``; None: no stream address."""
    path, _, query = target.partition("?")
    # Not parse_qs: the plus of "@+08:00" is a plus here, and no space.
    fields = dict(pair.partition("=")[::2] for pair in query.split("&"))
    head, _, rest = path.lstrip("/").partition("/")
    if head not in {"ws", "stream"}:
        return None
    names = [unquote(name) for name in rest.split("/")]
    if head == "stream":
        names += unquote(fields.get("streams", "")).split("/")
    return Address(
        tuple(dict.fromkeys(filter(None, names))),
        combined=head == "stream",
        microseconds=fields.get("timeUnit", "").upper() == "MICROSECOND",
    )


def kline_frame(
    name: str, stream: KlineStream, bar: Bar, event_ms: int, *, closed: bool, micro: bool = False
) -> Frame:
    """The update of a candle with all the fields that the exchange sends."""
    symbol, code = stream.symbol, stream.interval.code
    scale, rest = (1000, 999) if micro else (1, 0)
    event = (
        f'{{"e":"kline","E":{event_ms * scale},"s":"{symbol}","k":{{'
        f'"t":{bar.open_ms * scale},"T":{bar.close_ms * scale + rest},"s":"{symbol}","i":"{code}",'
        f'"f":{bar.first_trade_id},"L":{bar.last_trade_id},'
        f'"o":"{bar.open}","c":"{bar.close}","h":"{bar.high}","l":"{bar.low}",'
        f'"v":"{bar.volume}","n":{bar.trades},"x":{"true" if closed else "false"},'
        f'"q":"{bar.quote_volume}","V":"{bar.taker_volume}","Q":"{bar.taker_quote_volume}",'
        f'"B":"0"}}}}'
    )
    return Frame(name, event, (symbol, stream.interval.name, bar.open_ms), closed)


def shutdown_frame(event_ms: int) -> Frame:
    """The notice that the server is about to go away."""
    return Frame(SHUTDOWN_STREAM, f'{{"e":"serverShutdown","E":{event_ms}}}')
