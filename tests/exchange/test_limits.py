"""Limits, exactly at their edges."""

from __future__ import annotations

from kline_ops.exchange.limits import Refusal, SlidingLimit, WeightLimit


def test_a_sliding_window() -> None:
    limit = SlidingLimit(5, 1.0)
    assert [limit.admits(0.1 * n) for n in range(6)] == [True] * 5 + [False]
    assert limit.admits(10.0)


def test_weight_comes_back_with_the_minute() -> None:
    limit = WeightLimit(10, patience=5)
    assert limit.charge(10, 119_000) is None
    assert limit.charge(1, 119_001) == Refusal(429, 1)
    assert limit.charge(1, 120_000) is None
    assert limit.used == 1


def test_who_goes_on_is_banned_and_longer_each_time() -> None:
    limit = WeightLimit(10, patience=2)
    now = 60_000
    lengths = []
    for _ in range(14):
        statuses = []
        while (refusal := limit.charge(11, now)) is not None:
            statuses.append(refusal.status)
            if refusal.status == 418:
                break
        assert statuses == [429, 429, 418]
        assert limit.charge(1, now + 1) is not None
        lengths.append(refusal.retry_after_s)
        now = refusal.banned_until_ms
    assert lengths[:3] == [120, 240, 480]
    assert lengths[-1] == 3 * 24 * 3600
