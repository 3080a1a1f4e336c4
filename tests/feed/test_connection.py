"""One connection against a real socket that answers otherwise than an exchange does."""

from __future__ import annotations

import asyncio

import pytest

from kline_ops.clock import SystemClock
from kline_ops.feed.connection import Connection, Ending, Options


def test_a_redirect_is_not_followed() -> None:
    async def main() -> tuple[Ending, int]:
        attempts = 0

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal attempts
            attempts += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: /ws/elsewhere\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            connection = Connection(
                f"ws://127.0.0.1:{port}/ws/btcusdt@kline_1m",
                Options(open_timeout=5.0),
                clock=SystemClock(),
                on_open=lambda: None,
                on_frame=lambda _frame: None,
            )
            return await connection.run(), attempts

    ending, attempts = asyncio.run(main())
    assert (ending.code, ending.status) == (None, 302)
    assert attempts == 1


def test_a_proxy_that_can_not_be_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://user:s3cret@proxy.example:notaport")
    monkeypatch.setenv("no_proxy", "")

    async def main() -> Ending:
        connection = Connection(
            "wss://exchange.example/ws/btcusdt@kline_1m",
            Options(open_timeout=5.0),
            clock=SystemClock(),
            on_open=lambda: None,
            on_frame=lambda _frame: None,
        )
        return await connection.run()

    ending = asyncio.run(main())
    assert "HTTPS_PROXY" in ending.reason
    assert "s3cret" not in ending.reason
