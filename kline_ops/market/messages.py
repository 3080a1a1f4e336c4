"""Frames of the WebSocket market streams, decoded once into typed messages.

Source: Binance spot API, "WebSocket Streams": raw frames on ``/ws/<stream>``, combined frames
``{"stream": …, "data": …}`` on ``/stream?streams=``, answers to SUBSCRIBE (``{"result": null,
"id": 1}``), errors (``{"code": 2, "msg": …}``) and ``serverShutdown``.
"""

from __future__ import annotations

import msgspec

from kline_ops.market.candle import Candle
from kline_ops.market.interval import LATEST_MS, Interval


class FrameRejected(Exception):  # noqa: N818 - an answer about a frame, not a fault of ours
    """The frame can not be used. ``str()`` is the reason, short enough to count by."""


class Kline(msgspec.Struct, frozen=True):
    """One update of a candle; ``closed`` says that it is the last."""

    symbol: str
    interval: str
    event_ms: int
    closed: bool
    candle: Candle


class ServerShutdown(msgspec.Struct, frozen=True):
    """The server is about to go away; connect anew at once."""

    event_ms: int


class Reply(msgspec.Struct, frozen=True):
    """The answer to a control message, or an error that the exchange volunteers."""

    id: int | str | None
    error: str | None


Message = Kline | ServerShutdown | Reply


class _KlineBody(msgspec.Struct):
    t: int
    T: int
    s: str
    i: str
    o: str
    h: str
    l: str  # noqa: E741 - the exchange's own key
    c: str
    v: str
    n: int
    x: bool
    q: str
    V: str
    Q: str


class _ErrorBody(msgspec.Struct):
    code: int
    msg: str


class _Frame(msgspec.Struct):
    e: str | None = None
    E: int = 0
    k: _KlineBody | None = None
    data: _Frame | None = None
    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: _ErrorBody | None = None
    code: int | None = None
    msg: str | None = None


_decode = msgspec.json.Decoder(_Frame).decode


def decode(frame: bytes | str) -> Message:
    """The message in a frame, raw or combined.

    Raises:
        FrameRejected: no JSON object, half a frame, or of a kind that was not asked for.
    """
    try:
        outer = _decode(frame)
    except msgspec.ValidationError as error:
        raise FrameRejected(f"not as documented: {str(error)[:200]}") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise FrameRejected("not JSON") from None
    inner = outer.data or outer
    body = inner.k
    if inner.e == "kline" and body is not None:
        return Kline(body.s, body.i, inner.E, body.x, _candle(body))
    if inner.e == "serverShutdown":
        return ServerShutdown(inner.E)
    if outer.error is not None:
        return Reply(outer.id, f"{outer.error.msg[:200]} (code {outer.error.code})")
    if outer.code is not None:
        return Reply(outer.id, f"{(outer.msg or '')[:200]} (code {outer.code})")
    if outer.id is not None:
        return Reply(outer.id, None)
    raise FrameRejected(f"unasked event {inner.e[:40]!r}" if inner.e else "no event in it")


def control(method: str, streams: list[str], request_id: int) -> str:
    """A control message ("Live Subscribing/Unsubscribing to streams")."""
    return msgspec.json.encode({"method": method, "params": streams, "id": request_id}).decode()


def _candle(k: _KlineBody) -> Candle:
    return Candle(k.t, k.o, k.h, k.l, k.c, k.v, k.n, k.T, k.q, k.V, k.Q)


def check(kline: Kline, interval: Interval) -> None:
    """Raise where a kline is impossible: its numbers, or a time off its interval's grid.

    Raises:
        FrameRejected: says what is wrong with it.
    """
    if (reason := kline.candle.problem()) is not None:
        raise FrameRejected(reason)
    if not 0 <= kline.candle.open_ms < LATEST_MS:
        raise FrameRejected("open time out of all bounds")
    if not interval.is_open(kline.candle.open_ms):
        raise FrameRejected("open time off the grid")
