"""kline-ops records exchange candles for years and proves that none is missing.

The names below are the library; they are imported when they are first used, so that the command line
stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kline_ops.gaps import analyze_gaps
    from kline_ops.resilience import Backoff, CircuitBreaker, RateLimiter, TimeTrigger

__all__ = ["Backoff", "CircuitBreaker", "RateLimiter", "TimeTrigger", "analyze_gaps"]

_HOMES = {
    "Backoff": "kline_ops.resilience",
    "CircuitBreaker": "kline_ops.resilience",
    "RateLimiter": "kline_ops.resilience",
    "TimeTrigger": "kline_ops.resilience",
    "analyze_gaps": "kline_ops.gaps",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
