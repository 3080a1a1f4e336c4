"""REST market data: a request target in, a status and a body out. No I/O, no clock.

Source: Binance spot API, "General endpoints", "Kline/Candlestick data", "Error codes".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote

from kline_ops.exchange.bar import Bar, MarketData
from kline_ops.exchange.exchange_info import exchange_info
from kline_ops.exchange.symbols import Symbol
from kline_ops.market import interval as intervals
from kline_ops.market.interval import HOUR_MS, MINUTE_MS, Interval

#: The end of year 8999: the calendar reaches further.
_MAX_MS = 221_845_392_000_000
DEFAULT_LIMIT = 500
MAX_LIMIT = 1000

_SYMBOL = re.compile(r"[A-Z0-9-_.]{1,20}")
#: As the exchange words it; the list itself is read as JSON.
_SYMBOLS = r'^\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\]$'
_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)
_ZONE = re.compile(r"([+-]?)([0-9]{1,2})(?::([0-9]{2}))?", re.ASCII)
_ZONE_RANGE_MS = range(-12 * HOUR_MS, 14 * HOUR_MS + 1)


class Answer(NamedTuple):
    """An HTTP answer: the status and the JSON body."""

    status: int
    body: bytes


class _ApiError(Exception):
    """A request that the exchange refuses with status 400; ``code`` is its own error code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Lag(NamedTuple):
    """How far the answers are behind the market, in milliseconds."""

    #: A candle is left out for so long after its close.
    hidden_ms: int = 0
    #: Candles are as they were so long ago.
    stale_ms: int = 0
    #: What the server's clock is off by, as ``/time`` tells it.
    skew_ms: int = 0


NO_LAG = Lag()


class _Moment(NamedTuple):
    now_ms: int
    lag: Lag


class _Endpoint(NamedTuple):
    weight: int
    parameters: frozenset[str]
    answer: Callable[[Mapping[str, str], _Moment], object]


class RestApi:
    """The read-only endpoints.

    Args:
        market: where the candles come from.
        weight_per_minute: what ``exchangeInfo`` tells clients to keep to.
    """

    def __init__(self, market: MarketData, weight_per_minute: int) -> None:
        self._market = market
        self._weight_per_minute = weight_per_minute
        klines = frozenset({"symbol", "interval", "startTime", "endTime", "timeZone", "limit"})
        info = frozenset({"symbol", "symbols", "permissions", "showPermissionSets", "symbolStatus"})
        self._endpoints = {
            "/api/v3/ping": _Endpoint(1, frozenset(), lambda _fields, _moment: {}),
            "/api/v3/time": _Endpoint(1, frozenset(), _time),
            "/api/v3/exchangeInfo": _Endpoint(20, info, self._exchange_info),
            "/api/v3/klines": _Endpoint(2, klines, self._klines),
            "/api/v3/uiKlines": _Endpoint(2, klines, self._klines),
        }

    def weight(self, path: str) -> int | None:
        """What a request of this path costs; None where there is no such endpoint."""
        endpoint = self._endpoints.get(path)
        return None if endpoint is None else endpoint.weight

    def answer(self, path: str, query: str, now_ms: int, lag: Lag = NO_LAG) -> Answer:
        """Answer a request for a known path at the time ``now_ms``."""
        endpoint = self._endpoints[path]
        try:
            fields = _fields(query, endpoint.parameters)
            result = endpoint.answer(fields, _Moment(now_ms, lag))
        except _ApiError as error:
            return Answer(400, error_body(error.code, str(error)))
        return Answer(200, _dump(result))

    def _exchange_info(self, fields: Mapping[str, str], moment: _Moment) -> object:
        if "symbol" in fields and "symbols" in fields:
            raise _ApiError(-1128, "Combination of optional parameters invalid.")
        if "symbol" in fields:
            chosen = [self._symbol(fields["symbol"], "symbol")]
        elif "symbols" in fields:
            chosen = [self._symbol(name, "symbols") for name in _names(fields["symbols"])]
        else:
            chosen = list(self._market.symbols.values())
        now_ms = moment.now_ms + moment.lag.skew_ms
        return exchange_info(chosen, now_ms, self._weight_per_minute)

    def _klines(self, fields: Mapping[str, str], moment: _Moment) -> object:
        symbol = self._symbol(_mandatory(fields, "symbol"), "symbol").name
        interval = _interval(_mandatory(fields, "interval"), fields.get("timeZone", "0"))
        limit = min(_number(fields, "limit", DEFAULT_LIMIT), MAX_LIMIT)
        if limit == 0:
            raise _ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
        now_ms = moment.now_ms - moment.lag.stale_ms
        last = interval.floor(min(_number(fields, "endTime", now_ms), now_ms))
        if "startTime" in fields:
            opens = self._forward(interval, _number(fields, "startTime", 0), last)
        else:
            opens = self._backward(interval, last)
        shown = (opened for opened in opens if self._shows(symbol, interval, opened, moment))
        return [
            _kline(self._market.bar(symbol, interval, opened, now_ms))
            for opened in sorted(islice(shown, limit))
        ]

    def _forward(self, interval: Interval, start_ms: int, last: int) -> Iterator[int]:
        opened = max(self._market.first_open(interval), interval.ceil(start_ms))
        while opened <= last:
            yield opened
            opened = interval.after(opened)

    def _backward(self, interval: Interval, last: int) -> Iterator[int]:
        first, opened = self._market.first_open(interval), last
        while opened >= first:
            yield opened
            opened = interval.shift(opened, -1)

    def _shows(self, symbol: str, interval: Interval, opened: int, moment: _Moment) -> bool:
        closed_for = moment.now_ms - interval.after(opened)
        return self._market.exists(symbol, interval, opened) and not (
            0 <= closed_for < moment.lag.hidden_ms
        )

    def _symbol(self, name: str, parameter: str) -> Symbol:
        if _SYMBOL.fullmatch(name) is None:
            raise _illegal(parameter, f"^{_SYMBOL.pattern}$")
        listed = self._market.symbols.get(name)
        if listed is None:
            raise _ApiError(-1121, "Invalid symbol.")
        return listed


def _time(_fields: Mapping[str, str], moment: _Moment) -> object:
    return {"serverTime": moment.now_ms + moment.lag.skew_ms}


def error_body(code: int, message: str) -> bytes:
    """``{"code": …, "msg": …}``."""
    return _dump({"code": code, "msg": message})


def _kline(bar: Bar) -> list[int | str]:
    return [
        bar.open_ms,
        *bar[2:7],
        bar.close_ms,
        bar.quote_volume,
        bar.trades,
        bar.taker_volume,
        bar.taker_quote_volume,
        "0",
    ]


def _fields(query: str, known: frozenset[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    # Not parse_qsl: the plus of "+08:00" is a plus here, and no space.
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name in fields:
            raise _ApiError(-1101, f"Duplicate values for parameter '{name}' detected.")
        if not value:
            raise _ApiError(-1105, f"Parameter '{name}' was empty.")
        fields[name] = unquote(value)
    read = len(known & fields.keys())
    if read < len(fields):
        raise _ApiError(
            -1104,
            f"Not all sent parameters were read; read '{read}' parameter(s)"
            f" but was sent '{len(fields)}'.",
        )
    return fields


def _mandatory(fields: Mapping[str, str], name: str) -> str:
    if name not in fields:
        raise _ApiError(
            -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
        )
    return fields[name]


def _number(fields: Mapping[str, str], name: str, default: int) -> int:
    text = fields.get(name)
    if text is None:
        return default
    if _DIGITS.fullmatch(text) is None:
        raise _illegal(name, "^[0-9]{1,20}$")
    value = int(text)
    if value > _MAX_MS:
        raise _ApiError(-1108, f"Parameter '{name}' overflowed.")
    return value


def _interval(code: str, zone: str) -> Interval:
    if code not in intervals.NAMES:
        raise _ApiError(-1120, "Invalid interval.")
    match = _ZONE.fullmatch(zone)
    wrong = _ApiError(-1130, "Data sent for parameter 'timeZone' is not valid.")
    if match is None:
        raise wrong
    offset = int(match[2]) * HOUR_MS + int(match[3] or 0) * MINUTE_MS
    offset = -offset if match[1] == "-" else offset
    if offset not in _ZONE_RANGE_MS:
        raise wrong
    return Interval(code, offset)


def _names(text: str) -> list[str]:
    try:
        names = json.loads(text)
    except json.JSONDecodeError:
        raise _illegal("symbols", _SYMBOLS) from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _ApiError(-1130, "Data sent for parameter 'symbols' is not valid.")
    return names


def _illegal(parameter: str, legal: str) -> _ApiError:
    return _ApiError(
        -1100, f"Illegal characters found in parameter '{parameter}'; legal range is '{legal}'."
    )


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
