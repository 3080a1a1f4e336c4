"""The resilience kit: pure rules that take ``now`` and answer what to do. No I/O, no clock."""

from kline_ops.resilience.backoff import Backoff
from kline_ops.resilience.circuit_breaker import Breaker, BreakerState
from kline_ops.resilience.rate_limiter import RateLimiter
from kline_ops.resilience.time_trigger import TimeTrigger

__all__ = ["Backoff", "Breaker", "BreakerState", "RateLimiter", "TimeTrigger"]
