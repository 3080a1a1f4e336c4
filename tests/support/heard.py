"""What a session would tell people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kline_ops.alerts.message import Message
from kline_ops.alerts.outbox import Letter
from kline_ops.exchange.session import ExchangeOptions
from kline_ops.market.timestamp import to_ms

HOOK = {"sops_mainnet": "http://127.0.0.1:9/services/none"}
MINUTE: dict[str, Any] = {
    "binance__stream__timeframe": "1m",
    "start_ms": to_ms("2026-01-01T06:00:30Z"),
    "options": ExchangeOptions(update_ms=5_000),
}


class Heard:
    """A manager of channels that keeps what it is sent, instead of sending it."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.keys: list[str | None] = []
        self.on_failed: Callable[[str, str, int], None] = lambda *_: None
        self.has_channels = True

    def send(self, message: Message, *, key: str | None = None) -> None:
        self.messages.append(message)
        self.keys.append(key)

    def withdraw(self) -> dict[str, list[Letter]]:
        return {}

    def resume(self, withdrawn: dict[str, list[Letter]]) -> None:
        assert not withdrawn

    def close(self, timeout: float = 1.0) -> int:
        return 0

    @property
    def titles(self) -> list[str]:
        return [f"{message.level.name} {message.title}" for message in self.messages]

    def take(self) -> list[str]:
        """What it was told since the last call."""
        titles = self.titles
        self.messages.clear()
        return titles


def listen(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Every session tells this one from here on."""
    made = Heard()

    def new_manager(_config: object, **options: Any) -> Heard:
        made.on_failed = options["on_failed"]
        return made

    monkeypatch.setattr("kline_ops.alerts.routes.new_manager", new_manager)
    return made
