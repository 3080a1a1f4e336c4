"""REST market data: what to ask and what the answers mean. No I/O.

Source: Binance spot API, "Kline/Candlestick data" (``GET /api/v3/klines``, at most 1000 rows),
"Check server time", "Exchange information", "Error codes".
"""

from __future__ import annotations

import msgspec

from kline_ops.market.candle import Candle
from kline_ops.market.interval import HOUR_MS, Interval

PAGE = 1000
KLINES = "/api/v3/klines"
TIME = "/api/v3/time"
EXCHANGE_INFO = "/api/v3/exchangeInfo"
#: The status of a symbol that trades ("Exchange information", "Enums": Symbol status).
TRADING = "TRADING"
#: What a request costs of the address's weight a minute (each endpoint's "Weight").
WEIGHTS = {KLINES: 2, TIME: 1, "/api/v3/ping": 1, EXCHANGE_INFO: 20}
#: The header with the weight used in this minute ("IP Limits"), by all behind our address.
USED_WEIGHT = "x-mbx-used-weight-1m"

#: Open time, open, high, low, close, volume, close time, quote volume, trades, taker base, taker
#: quote, unused.
_Row = tuple[int, str, str, str, str, str, int, str, int, str, str, str]


class _Error(msgspec.Struct):
    code: int
    msg: str


class _ServerTime(msgspec.Struct):
    serverTime: int  # noqa: N815 - the exchange's own key


class _Symbol(msgspec.Struct):
    symbol: str
    status: str


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_Symbol]


_NOT_JSON = (msgspec.DecodeError, UnicodeError, RecursionError)

_rows = msgspec.json.Decoder(list[_Row])
_error = msgspec.json.Decoder(_Error)
_time = msgspec.json.Decoder(_ServerTime)
_info = msgspec.json.Decoder(_ExchangeInfo)


def klines_query(
    symbol: str, interval: Interval, first_ms: int, last_ms: int, limit: int = PAGE
) -> dict[str, str]:
    """Parameters for the candles that open in ``[first, last]``, at most ``limit`` of them."""
    query = {
        "symbol": symbol,
        "interval": interval.code,
        "startTime": str(first_ms),
        "endTime": str(last_ms),
        "limit": str(limit),
    }
    if interval.zone_ms:
        query["timeZone"] = str(interval.zone_ms // HOUR_MS)
    return query


def decode_klines(body: bytes) -> list[Candle]:
    """The candles of an answer, in the exchange's order; the last one may still be forming.

    Raises:
        ValueError: the body is not a list of kline rows.
    """
    try:
        rows = _rows.decode(body)
    except _NOT_JSON as error:
        raise ValueError(f"klines answer not as documented: {error}") from None
    return [Candle(*r[:6], r[8], r[6], r[7], r[9], r[10]) for r in rows]


def decode_time(body: bytes) -> int:
    """The server's time in milliseconds.

    Raises:
        ValueError: the body is not a server time.
    """
    try:
        return _time.decode(body).serverTime
    except _NOT_JSON as error:
        raise ValueError(f"time answer not as documented: {error}") from None


def decode_status(body: bytes, symbol: str) -> str:
    """What the exchange information says of a symbol: ``TRADING``, ``BREAK`` …

    Raises:
        ValueError: the body is no exchange information, or none of this symbol.
    """
    try:
        told = {each.symbol: each.status for each in _info.decode(body).symbols}
        return told[symbol]
    except _NOT_JSON as error:
        raise ValueError(f"exchange information not as documented: {error}") from None
    except KeyError:
        raise ValueError(f"exchange information without {symbol}") from None


def decode_error(body: bytes) -> tuple[int, str] | None:
    """``(code, message)`` of an error body such as ``{"code": -1121, "msg": …}``, or None."""
    try:
        error = _error.decode(body)
    except _NOT_JSON:
        return None
    return error.code, error.msg
