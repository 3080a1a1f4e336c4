"""kline-ops records exchange candles for years and proves that none is missing.

The names below are the library; they are imported when they are first used, so that the command line
stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kline_ops.alerts import Level, Message, SlackChannel
    from kline_ops.alerts.manager import AlertManager
    from kline_ops.gaps import analyze_gaps
    from kline_ops.gaps import report as gap_report
    from kline_ops.kit.breaker import CircuitBreaker, CircuitOpenError
    from kline_ops.kit.heartbeat import Heartbeat, HeartbeatTarget
    from kline_ops.kit.shutdown import GracefulShutdown
    from kline_ops.kit.watchdog import Watchdog
    from kline_ops.kit.websocket_manager import WebSocketManager
    from kline_ops.resilience import Backoff, RateLimiter, TimeTrigger

__all__ = [
    "AlertManager",
    "Backoff",
    "CircuitBreaker",
    "CircuitOpenError",
    "GracefulShutdown",
    "Heartbeat",
    "HeartbeatTarget",
    "Level",
    "Message",
    "RateLimiter",
    "SlackChannel",
    "TimeTrigger",
    "Watchdog",
    "WebSocketManager",
    "analyze_gaps",
    "gap_report",
]

#: The module, and the name in it.
_HOMES = {
    "AlertManager": ("kline_ops.alerts.manager", "AlertManager"),
    "Backoff": ("kline_ops.resilience", "Backoff"),
    "CircuitBreaker": ("kline_ops.kit.breaker", "CircuitBreaker"),
    "CircuitOpenError": ("kline_ops.kit.breaker", "CircuitOpenError"),
    "GracefulShutdown": ("kline_ops.kit.shutdown", "GracefulShutdown"),
    "Heartbeat": ("kline_ops.kit.heartbeat", "Heartbeat"),
    "HeartbeatTarget": ("kline_ops.kit.heartbeat", "HeartbeatTarget"),
    "Level": ("kline_ops.alerts", "Level"),
    "Message": ("kline_ops.alerts", "Message"),
    "RateLimiter": ("kline_ops.resilience", "RateLimiter"),
    "SlackChannel": ("kline_ops.alerts", "SlackChannel"),
    "TimeTrigger": ("kline_ops.resilience", "TimeTrigger"),
    "Watchdog": ("kline_ops.kit.watchdog", "Watchdog"),
    "WebSocketManager": ("kline_ops.kit.websocket_manager", "WebSocketManager"),
    "analyze_gaps": ("kline_ops.gaps", "analyze_gaps"),
    "gap_report": ("kline_ops.gaps", "report"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, its_name = _HOMES[name]
    return getattr(import_module(module), its_name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
