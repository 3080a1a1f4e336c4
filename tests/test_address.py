"""What a whole address is."""

from __future__ import annotations

import pytest

from kline_ops.address import HTTP, WEBSOCKET, is_address


@pytest.mark.parametrize(
    "text",
    ["ws://h", "wss://h:9443/ws?a=b", "WSS://H", "ws://[::1]:80/", "ws://user:pw@h/ws"],
)
def test_an_address(text: str) -> None:
    assert is_address(text, WEBSOCKET)
    assert not is_address(text, HTTP)


@pytest.mark.parametrize(
    "text",
    ["", "h", "ws:", "ws://", "ws:///ws", "//h", "ws://h:0", "ws://h:99999", "ws://h:x", "ws://[h",
     "ws://a b", "ws://h/\n", " ws://h"],
)  # fmt: skip
def test_no_address(text: str) -> None:
    assert not is_address(text, WEBSOCKET)
