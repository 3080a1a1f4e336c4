"""Event logs by hand: an hour of 1m candles from ``T0`` on; times are seconds after it."""

from __future__ import annotations

import json
from typing import Any

from kline_ops.gaps.history import History, history_of
from kline_ops.gaps.model import Gap
from kline_ops.market.interval import parse
from kline_ops.market.timestamp import to_ms, to_text

T0 = to_ms("2026-01-27T14:00:00Z")
MINUTE = parse("1m")


def ms(seconds: float) -> int:
    return T0 + round(seconds * 1000)


def line(second: float, kind: str, **fields: Any) -> bytes:
    return json.dumps({"ts": to_text(ms(second)), "kind": kind, **fields}).encode() + b"\n"


def started(second: float = -90.0) -> bytes:
    return line(
        second, "session_started", name="x", pid=1, symbol="BTCUSDT", interval="1m", csv="c"
    )


def stopped(second: float, **fields: Any) -> bytes:
    return line(second, "session_stopped", **{"reason": "SIGTERM", "unwritten": 0, **fields})


def live(second: float, connection: int = 1) -> bytes:
    return line(second, "live", connection=connection, endpoint="ws://x", seconds=0.4)


def ended(second: float, connection: int = 1, **fields: Any) -> bytes:
    given = {"code": 1006, "reason": "reset by peer", "seconds": 60.0, "endpoint": "ws://x"}
    return line(second, "disconnected", connection=connection, **{**given, **fields})


def refused(second: float, connection: int, reason: str) -> bytes:
    return ended(second, connection, code=None, reason=reason, seconds=None)


def hole(second: float, first: int, last: int, kind: str = "hole_found", **fields: Any) -> bytes:
    """Of the candles that open in these minutes."""
    texts = {"first": to_text(ms(60 * first)), "last": to_text(ms(60 * last))}
    return line(second, kind, **{**texts, "candles": last - first + 1, **fields})


def filled(second: float, first: int, last: int, **fields: Any) -> bytes:
    return hole(second, first, last, "hole_filled", **{"source": "rest", **fields})


def confirmed(second: float, first: int, last: int) -> bytes:
    return hole(second, first, last, "hole_confirmed")


#: A session that was live long before the first candle here.
WELL = (started(), live(-89))


def told(*lines: bytes) -> History:
    return history_of([*WELL, *lines])


def gap(first: int, last: int | None = None, *, before: bool = True, after: bool = True) -> Gap:
    """The candles of these minutes are missing."""
    last = first if last is None else last
    return Gap(
        before_ms=ms(60 * (first - 1)) if before else None,
        after_ms=ms(60 * (last + 1)) if after else None,
        first_missing_ms=ms(60 * first),
        last_missing_ms=ms(60 * last),
        missing=last - first + 1,
        seconds=60 * (last - first + 2),
    )
