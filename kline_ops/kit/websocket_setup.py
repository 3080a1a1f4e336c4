"""What a managed connection is made with, checked. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from kline_ops.address import WEBSOCKET, is_address
from kline_ops.feed.connection import Options
from kline_ops.feed.plan import Timing
from kline_ops.kit.websocket_mailbox import Data
from kline_ops.resilience import Backoff, TimeTrigger
from kline_ops.secret import shown_url


@dataclass(frozen=True, slots=True)
class Setup:
    """Where to, and how patiently. ``margin`` in seconds.

    Raises:
        ValueError: says which argument of the manager can not be used.
    """

    urls: tuple[str, ...]
    connection: Options
    backoff: Backoff
    timing: Timing
    trigger: TimeTrigger | None
    margin: float
    subscribe: tuple[Data, ...]
    auto_reconnect: bool
    #: Whether both connections of an overlap are listened to.
    overlap: bool

    def __post_init__(self) -> None:
        for url in self.urls:
            _check(
                is_address(url, WEBSOCKET),
                f"{shown_url(url)!r} is no address such as wss://stream.binance.com:9443/ws",
            )
        for name, value in (
            ("ping_interval", self.connection.ping_interval),
            ("ping_timeout", self.connection.ping_timeout),
            ("connection_timeout", self.connection.open_timeout),
            ("stall_timeout", self.timing.stall),
        ):
            _check(value > 0, f"{name} is {value}: more than 0 seconds")
        for name, value in (
            ("reconnect_delay", self.backoff.delay),
            ("max_reconnect_delay", self.backoff.max_delay),
        ):
            _check(value >= 0, f"{name} is {value}: 0 seconds or more")
        _check(self.backoff.max_attempts >= 1, "max_reconnect_attempts is less than 1")
        if self.trigger is not None:
            half = self.trigger.period_ms / 2000
            _check(
                0 <= self.margin < half,
                f"margin is {self.margin}: 0 seconds or more, and less than half of restart_every",
            )


def _check(holds: bool, what: str) -> None:  # noqa: FBT001 - an assertion
    if not holds:
        raise ValueError(what)
