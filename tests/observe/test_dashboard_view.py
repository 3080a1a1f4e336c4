"""What the dashboard draws, for any size: pure, so that each frame can be read as text."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from rich.segment import Segment

from kline_ops.market.candle import Candle
from kline_ops.market.interval import parse
from kline_ops.market.messages import Kline
from kline_ops.observe.dashboard.chart import Row, chart
from kline_ops.observe.dashboard.lines import Line
from kline_ops.observe.dashboard.look import ASCII, UNICODE, Look
from kline_ops.observe.dashboard.view import Shown, frame
from kline_ops.observe.snapshot import Snapshot

NOW = 1_800_000_000_000
STATE: dict[str, Any] = {
    "heartbeat_sessions": 1,
    "websocket_reconnects": 7,
    "candles_received": 1_234,
    "status": "recording",
    "error": None,
    "metadata": {
        "session": "demo", "endpoint": "wss://stream.binance.com:9443/ws", "live": [3],
        "owed": 1_240, "on_disk": 1_238, "missing": 2,
    },
}  # fmt: skip
LOG = [
    Line(NOW / 1000 + number, 20 + 10 * (number % 3), f"line {number} " + "x" * number * 9, "")
    for number in range(30)
]
PROMPTS = ("press q again within 3 s to end the recording; Ctrl+B D leaves it running", "short")


def candle(
    number: int, opened: float, high: float, low: float, closed: float, volume: float = 1.0
) -> Candle:
    prices = (f"{price:.8f}" for price in (opened, high, low, closed))
    return Candle(NOW + number * 1000, *prices, f"{volume:.8f}")


def market(count: int, *, first: int = 0) -> list[Candle]:
    drawn = random.Random(7)
    price, candles = 100_000.0, []
    for number in range(first, first + count):
        closed = round(price + drawn.uniform(-20, 20), 2)
        high = max(price, closed) + round(drawn.uniform(0, 9), 2)
        low = min(price, closed) - round(drawn.uniform(0, 9), 2)
        candles.append(candle(number, price, high, low, closed, drawn.uniform(0, 5)))
        price = closed
    return candles


def snapshot(last: Candle | None = None, **state: Any) -> Snapshot:
    kline = None if last is None else Kline("BTCUSDT", "1s", NOW, False, last)
    return Snapshot(
        now_ms=NOW, state=STATE | state, symbol="BTCUSDT", interval=parse("1s"), csv=Path("x.csv"),
        uptime=11_000, next_due_ms=NOW + 900, next_restart_ms=NOW + 7_000_000, live_for=61,
        silent_for=0.1, last=kline,
    )  # fmt: skip


def text(rows: list[Row]) -> list[str]:
    return ["".join(segment.text for segment in row) for row in rows]


def drawn(width: int, height: int, look: Look = Look(UNICODE, colour=True), **more: Any) -> str:  # noqa: B008
    closed = more.pop("closed", market(200))
    newest = closed[-1].open_ms // 1000 - NOW // 1000 if closed else 0
    told = more.pop("snapshot", snapshot(market(1, first=newest + 1)[0]))
    rows = frame(Shown(told, closed, LOG, **more), width, height, look)
    assert len(rows) == height
    assert all(Segment.get_line_length(row) <= width for row in rows)
    return "\n".join(text(rows))


SIZES = [(80, 24), (120, 40), (40, 20), (100, 30), (200, 60), (60, 15), (59, 24), (40, 8), (20, 5),
         (10, 3), (1, 1), (300, 4), (30, 100)]  # fmt: skip


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("count", [0, 1, 200])
@pytest.mark.parametrize("prompts", [(), PROMPTS])
def test_every_frame_has_its_size(
    width: int, height: int, count: int, prompts: tuple[str, ...]
) -> None:
    drawn(width, height, closed=market(count), prompts=prompts)
    drawn(width, height, snapshot=snapshot(None, error="REST: " + "long " * 60), prompts=prompts)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_without_utf8_there_is_nothing_but_ascii(width: int, height: int) -> None:
    LOG.append(Line(NOW / 1000, 30, "größer … \x1b[2J", ""))
    try:
        assert drawn(width, height, Look(ASCII, colour=True)).isascii()
    finally:
        LOG.pop()


@pytest.mark.parametrize(("width", "height"), [(120, 40), (80, 24), (40, 20)])
def test_what_there_is_to_know_is_told_at_every_usual_size(width: int, height: int) -> None:
    shown = drawn(width, height)
    for told in (
        "HB:1 | WS:7 | CANDLES:1234", "BTCUSDT 1s", "RECORDING", "connection 3 live for 1 min 01 s",
        "next restart in 1 h 56 min", "owed 1,240 · on disk 1,238 · missing 2", "line 29",
        " d  disconnect", " r  renew", " q  end", "close", "╽",
    ):  # fmt: skip
        assert told in shown, told


def test_a_wide_one_has_the_whole_table_and_the_address() -> None:
    assert all(name in drawn(120, 40) for name in ("open", "high", "low", "close", "volume"))
    assert "wss://stream.binance.com:9443/ws" in drawn(120, 40)
    assert "volume" not in drawn(40, 20)


def test_the_table_ends_with_the_newest_candle() -> None:
    closed = market(50)
    forming = candle(50, 1.0, 2.0, 0.5, 1.5)
    lines = drawn(120, 40, closed=closed, snapshot=snapshot(forming)).splitlines()
    times = [line for line in lines if "08:00:" in line and "line" not in line]
    assert "08:00:50" in times[-2]  # the last one is the foot's clock
    assert "08:00:49" in times[-3]


def test_a_candle_that_is_on_disk_is_not_shown_as_forming_too() -> None:
    closed = market(5)
    shown = drawn(120, 40, closed=closed, snapshot=snapshot(closed[-1]))
    assert shown.count("08:00:04 ") - shown.count("08:00:04 WARNING") == 1


def test_candles_that_are_missing_are_told_where_they_would_be() -> None:
    closed = market(10) + market(5, first=17)
    shown = drawn(120, 40, closed=closed)
    assert "7 missing" in shown
    assert "┊" in shown


def test_a_question_takes_the_place_of_the_keys() -> None:
    assert PROMPTS[0] in drawn(120, 40, prompts=PROMPTS)
    narrow = drawn(40, 20, prompts=PROMPTS)
    assert narrow.splitlines()[-1] == " short "


def test_what_is_wrong_has_a_line_of_its_own() -> None:
    told = snapshot(
        None, status="stalled", error="REST: down", metadata=STATE["metadata"] | {"live": []}
    )
    shown = drawn(80, 24, snapshot=told)
    for words in ("STALLED", "REST: down", "not connected", "no price yet"):
        assert words in shown


# -- the chart ------------------------------------------------------------------------------------


def columns(rows: list[Row]) -> list[str]:
    lines = text(rows)
    width = max(map(len, lines))
    return ["".join(line.ljust(width)[at] for line in lines) for at in range(width)]


def test_a_rising_candle_is_hollow_and_a_falling_one_solid() -> None:
    rising, falling = candle(0, 2, 4, 0, 3), candle(1, 3, 4, 0, 2)
    up, down = columns(chart([rising, falling], 2, 4, 2, UNICODE))
    assert (up, down) == ("│║││", "│┃││")
    up, down = columns(chart([rising, falling], 2, 4, 2, ASCII))
    assert (up, down) == ("|O||", "|#||")


def test_halves_of_a_cell_are_drawn() -> None:
    candles = [candle(0, 3, 4, 0, 2), candle(1, 2, 4, 0, 1), candle(2, 4, 4, 0, 0)]
    assert columns(chart(candles, 3, 2, 2, UNICODE)) == ["╽│", "│╿", "┃┃"]


def test_a_market_that_stands_still_is_a_line() -> None:
    flat = [candle(number, 5, 5, 5, 5, 0) for number in range(3)]
    rows = text(chart(flat, 3, 5, 2, UNICODE))
    assert [row.strip() for row in rows] == ["", "", "║║║", "", ""]


def test_the_newest_candles_are_at_the_right_with_the_price_beside_them() -> None:
    candles = market(100)
    rows = text(chart(candles, 40, 12, 2, UNICODE))
    assert len(rows) == 12
    assert max(map(len, rows)) <= 40
    assert any(candles[-1].close[:-6] in row for row in rows)
    few = text(chart(candles[:3], 40, 12, 2, UNICODE))
    assert all(row.startswith(" " * 26) for row in few)


def test_a_chart_of_nothing_is_empty() -> None:
    assert text(chart([], 20, 3, 2, UNICODE)) == ["", "", ""]
    assert text(chart([None], 20, 2, 2, UNICODE)) == ["", ""]


def test_volume_is_drawn_where_there_is_room() -> None:
    volumes = [candle(n, 1, 2, 1, 2, volume) for n, volume in enumerate((0, 4, 8))]
    assert text(chart(volumes, 3, 7, 2, UNICODE))[-1] == "▁▅█"
