"""kline-ops records exchange candles for years and proves that none is missing.

The names below are the library; they are imported when they are first used, so that the command line
stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kline_ops.gaps import analyze_gaps
    from kline_ops.gaps import report as gap_report
    from kline_ops.resilience import Backoff, CircuitBreaker, RateLimiter, TimeTrigger

__all__ = [
    "Backoff",
    "CircuitBreaker",
    "RateLimiter",
    "TimeTrigger",
    "analyze_gaps",
    "gap_report",
]

#: The module, and the name in it.
_HOMES = {
    "Backoff": ("kline_ops.resilience", "Backoff"),
    "CircuitBreaker": ("kline_ops.resilience", "CircuitBreaker"),
    "RateLimiter": ("kline_ops.resilience", "RateLimiter"),
    "TimeTrigger": ("kline_ops.resilience", "TimeTrigger"),
    "analyze_gaps": ("kline_ops.gaps", "analyze_gaps"),
    "gap_report": ("kline_ops.gaps", "report"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, its_name = _HOMES[name]
    return getattr(import_module(module), its_name)
