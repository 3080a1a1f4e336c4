"""The head of the dashboard: what is recorded, how the connection stands, what is owed. Pure."""

from __future__ import annotations

from rich.segment import Segment

from kline_ops.market.candle import Candle
from kline_ops.observe.dashboard import styles
from kline_ops.observe.dashboard.chart import Row
from kline_ops.observe.dashboard.look import Glyphs
from kline_ops.observe.dashboard.numbers import clock, decimals_of, plain
from kline_ops.observe.dashboard.panel import spread, width_of
from kline_ops.observe.dashboard.text import clean
from kline_ops.observe.snapshot import Snapshot
from kline_ops.plain import duration

_WORDS = {"recording": styles.GOOD, "stalled": styles.BAD, "stopped": styles.BAD}


def head(snapshot: Snapshot, width: int, glyphs: Glyphs) -> list[Row]:
    """Four rows, and one more where something is wrong."""
    counts = _counts(snapshot)
    price = _price(snapshot, glyphs)
    rows = [spread(price, counts, width)]
    if width_of(price) + width_of(counts) >= width:
        rows.append(counts)
    rows += [
        spread(_connection(snapshot, width, glyphs), [], width),
        _next(snapshot, width, glyphs),
        _candles(snapshot, width, glyphs),
    ]
    error = snapshot.state["error"]
    if error:
        rows.append([Segment(clean(str(error), glyphs), styles.WARNING)])
    return rows


def status(snapshot: Snapshot, glyphs: Glyphs) -> Row:
    """``● RECORDING``."""
    word = str(snapshot.state["status"])
    style = _WORDS.get(word, styles.WARNING)
    return [Segment(f"{glyphs.dot} {word.upper()}", style)]


def _price(snapshot: Snapshot, glyphs: Glyphs) -> Row:
    row = [Segment(f"{snapshot.symbol} {snapshot.interval.name}  ", styles.STRONG)]
    if snapshot.last is None:
        return [*row, Segment("no price yet", styles.DIM)]
    candle = snapshot.last.candle
    decimals = decimals_of((candle.open, candle.high, candle.low, candle.close))
    return [
        *row,
        Segment(plain(candle.close, decimals), styles.STRONG),
        Segment(" ", styles.PLAIN),
        _change(candle, glyphs),
    ]


def _change(candle: Candle, glyphs: Glyphs) -> Segment:
    """Since the open of the candle that forms."""
    opened, closed = float(candle.open), float(candle.close)
    percent = (closed - opened) / opened * 100 if opened else 0.0
    if closed == opened:
        return Segment(f"{glyphs.same} {percent:.3f} %", styles.DIM)
    up = closed > opened
    return Segment(
        f"{glyphs.up if up else glyphs.down} {percent:+.3f} %", styles.UP if up else styles.DOWN
    )


def _counts(snapshot: Snapshot) -> Row:
    state = snapshot.state
    return [
        Segment(
            f"HB:{state['heartbeat_sessions']} | WS:{state['websocket_reconnects']}"
            f" | CANDLES:{state['candles_received']}",
            styles.STRONG,
        )
    ]


def _connection(snapshot: Snapshot, width: int, glyphs: Glyphs) -> Row:
    live = ", ".join(str(number) for number in snapshot.told["live"])
    if not live:
        return [Segment("not connected", styles.BAD)]
    # Of two, each has been so for a time of its own.
    known = snapshot.live_for is not None and "," not in live
    lasted = f" live for {duration(snapshot.live_for or 0.0)}" if known else " live"
    silent = snapshot.silent_for or 0.0
    noun = "connections" if "," in live else "connection"
    row = [Segment(f"{noun} {live}{lasted}", styles.PLAIN)]
    if silent >= 2:
        row.append(Segment(f"{glyphs.between}silent for {duration(silent)}", styles.WARNING))
    endpoint = clean(str(snapshot.told["endpoint"]), glyphs)
    if width_of(row) + len(glyphs.between) + len(endpoint) <= width:
        row.append(Segment(f"{glyphs.between}{endpoint}", styles.DIM))
    return row


def _next(snapshot: Snapshot, width: int, glyphs: Glyphs) -> Row:
    parts: list[Segment] = []
    if snapshot.next_restart_ms is None:
        parts.append(Segment("no planned restarts", styles.DIM))
    else:
        left = duration((snapshot.next_restart_ms - snapshot.now_ms) / 1000)
        parts.append(Segment(f"next restart in {left}", styles.PLAIN))
        at = f"{glyphs.between}{clock(snapshot.next_restart_ms)} UTC"
        if len(parts[0].text) + len(at) <= width:
            parts.append(Segment(at, styles.DIM))
    due: Row = []
    if snapshot.next_due_ms is not None:
        left = duration((snapshot.next_due_ms - snapshot.now_ms) / 1000)
        due = [Segment(f"next candle in {left}", styles.DIM)]
    return spread(parts, due, width)


def _candles(snapshot: Snapshot, width: int, glyphs: Glyphs) -> Row:
    told, between = snapshot.told, Segment(glyphs.between, styles.DIM)
    missing = told["missing"]
    row = [
        Segment(f"owed {told['owed']:,}", styles.PLAIN),
        between,
        Segment(f"on disk {told['on_disk']:,}", styles.PLAIN),
        between,
        Segment(f"missing {missing:,}", styles.BAD if missing else styles.GOOD),
    ]
    return spread(row, [Segment(f"up {duration(snapshot.uptime)}", styles.DIM)], width)
