"""The price walk: integer hashes in, integer candles out. No state, no I/O, no floats.

A day's open is ``price(day)`` and its close ``price(day + 1)``; each level of the tree (day,
hour, minute, second) splits its parent so that

* children chain (a close is the next open) and touch the parent's high and low exactly,
* trades, volumes and quote volumes add up to the parent's exactly,
* a child without trades has no volume and does not move.

So every aligned range is a sum of nodes, and all intervals agree. Integers only, and a hash with
one meaning everywhere, so that a seed gives the same market on every machine.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from kline_ops.exchange.symbols import UNIT, Symbol

_HASH_MAX = 1 << 32

#: Octaves of the daily walk: period in days, amplitude in thousandths of the base price. Their
#: sum stays below a half, so that no price falls under half its base.
_OCTAVES = ((1, 15), (7, 40), (30, 80), (180, 140), (720, 200))


class Node(NamedTuple):
    """One aligned stretch of time. Prices in ticks, volumes in lots, quote in 0.00000001."""

    open: int
    high: int
    low: int
    close: int
    trades: int
    volume: int
    quote: int
    taker: int
    taker_quote: int
    #: The id of its first trade, or of the next one where it has none.
    first_id: int


def draw(key: str, count: int) -> tuple[int, ...]:
    """``count`` numbers in [0, 2**32) that depend on nothing but the key."""
    digest = hashlib.shake_128(key.encode()).digest(4 * count)
    return struct.unpack(f"<{count}I", digest)


def _price(seed: int, symbol: Symbol, day: int) -> int:
    """The price in ticks at the start of this day (days since the epoch)."""
    move = 0
    for period, amplitude in _OCTAVES:
        index, into = divmod(day, period)
        left, right = (
            draw(f"{seed}/{symbol.name}/price/{period}/{i}", 1)[0] for i in (index, index + 1)
        )
        mixed = (left * (period - into) + right * into) // period
        move += amplitude * (2 * mixed - _HASH_MAX)
    return max(1, symbol.price_ticks + symbol.price_ticks * move // (1000 * _HASH_MAX))


def _trades_before(seed: int, symbol: Symbol, day: int) -> int:
    """How many trades there were before this day: ids run on over days without a sum."""
    noise = draw(f"{seed}/{symbol.name}/trades/{day}", 1)[0]
    return day * symbol.trades_per_day + noise * (symbol.trades_per_day // 2) // _HASH_MAX


def day_node(seed: int, symbol: Symbol, day: int) -> Node:
    """The whole of one UTC day (days since the epoch)."""
    opened, closed = _price(seed, symbol, day), _price(seed, symbol, day + 1)
    first_id = _trades_before(seed, symbol, day)
    trades = _trades_before(seed, symbol, day + 1) - first_id
    up, down, size, taken = draw(f"{seed}/{symbol.name}/day/{day}", 4)
    reach = max(1, opened // 40)
    high = max(opened, closed) + up * reach // _HASH_MAX
    low = max(1, min(opened, closed) - down * reach // _HASH_MAX)
    lots = symbol.lots_per_trade
    volume = trades + trades * (lots // 2 + size * lots // _HASH_MAX)
    quote = volume * (opened + closed) * symbol.tick * symbol.lot // (2 * UNIT)
    taker_share = _HASH_MAX * 2 // 5 + taken // 5
    taker, taker_quote = (total * taker_share // _HASH_MAX for total in (volume, quote))
    return Node(opened, high, low, closed, trades, volume, quote, taker, taker_quote, first_id)


def split(parent: Node, count: int, key: str) -> tuple[Node, ...]:
    """The parent's ``count`` children of equal length, in order."""
    numbers = draw(key, 5 * count)
    # Between half and one and a half of an equal share, so that no child is much of an outlier.
    weights = [_HASH_MAX // 2 + n for n in numbers[:count]]
    trades = _shares(parent.trades, weights)
    extra = _shares(
        parent.volume - parent.trades,
        [n * (_HASH_MAX // 4 + w) for n, w in zip(trades, numbers[count:], strict=False)],
    )
    volume = [a + b for a, b in zip(trades, extra, strict=True)]
    prices = _prices(parent, [n > 0 for n in trades], numbers[2 * count :])
    quote = _shares(
        parent.quote, [v * (o + h + w + c) for v, (o, h, w, c) in zip(volume, prices, strict=True)]
    )
    taker = _shares(parent.taker, volume)
    taker_quote = _shares(parent.taker_quote, quote)
    first_ids = accumulate(trades[:-1], initial=parent.first_id)
    columns = zip(trades, volume, quote, taker, taker_quote, first_ids, strict=True)
    return tuple(Node._make((*p, *rest)) for p, rest in zip(prices, columns, strict=True))


def join(nodes: Iterable[Node]) -> Node | None:
    """The candle of consecutive nodes, or None where there is none."""
    several = list(nodes)
    if not several:
        return None
    first, last = several[0], several[-1]
    _, highs, lows, _, trades, volumes, quotes, takers, taker_quotes, _ = zip(*several, strict=True)
    return Node(
        open=first.open,
        high=max(highs),
        low=min(lows),
        close=last.close,
        trades=sum(trades),
        volume=sum(volumes),
        quote=sum(quotes),
        taker=sum(takers),
        taker_quote=sum(taker_quotes),
        first_id=first.first_id,
    )


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    """Integers in proportion to the weights that add up to the total; none where a weight is 0."""
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    shares, before, seen = [], 0, 0
    for weight in weights:
        seen += weight
        upto = total * seen // whole
        shares.append(upto - before)
        before = upto
    return shares


def _prices(
    parent: Node, active: Sequence[bool], numbers: Sequence[int]
) -> list[tuple[int, int, int, int]]:
    """Open, high, low and close of each child; only children with trades move."""
    moving = [i for i, is_active in enumerate(active) if is_active]
    if not moving:
        return [(parent.open,) * 4] * len(active)
    closes = _bridge(parent, len(moving), numbers)
    opens = [parent.open, *closes[:-1]]
    reach = max(1, (parent.high - parent.low) // 8)
    count = len(active)
    highs = [
        min(parent.high, max(o, c) + n * reach // _HASH_MAX)
        for o, c, n in zip(opens, closes, numbers[count:], strict=False)
    ]
    lows = [
        max(parent.low, min(o, c) - n * reach // _HASH_MAX)
        for o, c, n in zip(opens, closes, numbers[2 * count :], strict=False)
    ]
    highs[highs.index(max(highs))] = parent.high
    lows[lows.index(min(lows))] = parent.low
    moves = iter(zip(opens, highs, lows, closes, strict=True))
    prices, at = [], parent.open
    for is_active in active:
        price = next(moves) if is_active else (at, at, at, at)
        at = price[3]
        prices.append(price)
    return prices


def _bridge(parent: Node, steps: int, numbers: Sequence[int]) -> list[int]:
    """The closes of a random path from the parent's open to its close, within low and high."""
    walked = list(accumulate(2 * n - _HASH_MAX for n in numbers[:steps]))
    end = walked[-1]
    # The walk strays about half of sqrt(steps / 3): so the path rarely meets its limits.
    spread = parent.high - parent.low
    scale = _HASH_MAX * max(2, int((steps * 4) ** 0.5))
    closes = []
    for step, place in enumerate(walked, start=1):
        line = parent.open + (parent.close - parent.open) * step // steps
        stray = spread * (place - end * step // steps) // scale
        closes.append(min(parent.high, max(parent.low, line + stray)))
    closes[-1] = parent.close
    return closes
