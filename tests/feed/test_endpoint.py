"""Where to connect to."""

import pytest

from kline_ops.feed.endpoint import is_loopback, stream_url

HOST = "wss://stream.binance.com:9443"


@pytest.mark.parametrize("base", ["", "/", "/ws", "/ws/", "/stream", "/stream/"])
def test_one_stream_is_subscribed_to_by_its_path(base: str) -> None:
    assert stream_url(HOST + base, ["btcusdt@kline_1h"]) == f"{HOST}/ws/btcusdt@kline_1h"


@pytest.mark.parametrize("base", ["", "/", "/ws", "/stream"])
def test_several_streams_are_combined(base: str) -> None:
    url = stream_url(HOST + base, ["btcusdt@kline_1h", "ethusdt@kline_1M"])
    assert url == f"{HOST}/stream?streams=btcusdt@kline_1h/ethusdt@kline_1M"


def test_a_query_stays_a_query() -> None:
    assert stream_url("ws://h/ws?token=a/b", ["x"]) == "ws://h/ws/x?token=a/b"
    assert stream_url("ws://h/ws?token=a", ["x", "y"]) == "ws://h/stream?streams=x/y&token=a"


def test_a_host_and_a_path_that_only_end_alike_are_left_alone() -> None:
    assert stream_url("wss://news", ["a@kline_1m"]) == "wss://news/ws/a@kline_1m"
    assert stream_url("wss://x/binance/ws", ["a"]) == "wss://x/binance/ws/a"


@pytest.mark.parametrize(
    "url",
    [
        "ws://127.0.0.1:8765/ws",
        "ws://127.9.9.9",
        "ws://localhost/ws",
        "ws://LOCALHOST:1",
        "ws://[::1]:9/ws",
    ],
)
def test_this_machine_is_known(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url",
    [
        HOST,
        "ws://10.0.0.1/ws",
        "ws://0.0.0.0/ws",
        "ws://localhost.example.com/ws",
        "ws://127.0.0.1.example.com",
        "ws://example.com/127.0.0.1",
        "ws://127.0.0.1@example.com/ws",
        "ws://[2001:db8::1]/ws",
        "",
        "nonsense",
    ],
)
def test_other_machines_are_not_taken_for_this_one(url: str) -> None:
    assert not is_loopback(url)
