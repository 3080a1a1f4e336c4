"""The price walk: what each split must keep."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kline_ops.exchange import walk
from kline_ops.exchange.symbols import LISTED
from kline_ops.exchange.walk import Node

SYMBOLS = st.sampled_from(list(LISTED.values()))
DAYS = st.integers(17_200, 40_000)


@st.composite
def nodes(draw: st.DrawFn) -> Node:
    """Any parent that can be: few trades or many, flat or wide."""
    low = draw(st.integers(1, 10**9))
    high = low + draw(st.integers(0, 10**6))
    opened, closed = (draw(st.integers(low, high)) for _ in range(2))
    trades = draw(st.integers(0, 500))
    if trades == 0:
        return Node(opened, opened, opened, opened, 0, 0, 0, 0, 0, 17)
    volume = trades + draw(st.integers(0, 10**12))
    quote = volume * low
    taker, taker_quote = draw(st.integers(0, volume)), draw(st.integers(0, quote))
    return Node(opened, high, low, closed, trades, volume, quote, taker, taker_quote, 17)


@settings(deadline=None)
@given(nodes(), st.sampled_from([24, 60]), st.integers())
def test_children_are_their_parent(parent: Node, count: int, key: int) -> None:
    children = walk.split(parent, count, str(key))
    assert len(children) == count
    assert walk.join(children) == parent


@settings(deadline=None)
@given(nodes(), st.sampled_from([24, 60]), st.integers())
def test_each_child_is_a_candle(parent: Node, count: int, key: int) -> None:
    before, next_id = parent.open, parent.first_id
    for child in walk.split(parent, count, str(key)):
        assert child.open == before
        assert child.first_id == next_id
        assert 1 <= child.low <= min(child.open, child.close)
        assert child.high >= max(child.open, child.close)
        assert 0 <= child.taker <= child.volume
        assert 0 <= child.taker_quote <= child.quote
        assert child.volume >= child.trades
        if child.trades == 0:
            assert (child.high, child.low, child.volume, child.quote) == (before, before, 0, 0)
        before, next_id = child.close, next_id + child.trades


@settings(deadline=None)
@given(st.integers(), SYMBOLS, DAYS)
def test_days_chain(seed: int, symbol, day: int) -> None:
    today, tomorrow = (walk.day_node(seed, symbol, n) for n in (day, day + 1))
    assert today.close == tomorrow.open
    assert today.first_id + today.trades == tomorrow.first_id
    assert 1 <= today.low <= min(today.open, today.close)
    assert today.high >= max(today.open, today.close)
    assert today.volume >= today.trades >= 1
    assert today.taker <= today.volume


def test_no_node_is_no_candle() -> None:
    assert walk.join([]) is None
