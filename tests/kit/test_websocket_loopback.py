"""A managed connection in real time: threads that block, servers that break the protocol, sockets."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from kline_ops.clock import SystemClock
from kline_ops.errors import VenueError
from kline_ops.exchange import tls
from kline_ops.exchange.embedded import embedded
from kline_ops.exchange.market import Market
from kline_ops.exchange.server import ExchangeServer
from kline_ops.kit.heartbeat import Heartbeat
from kline_ops.kit.websocket_manager import DisconnectReason, WebSocketManager

Answer = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def serving(answer: Answer, **options: Any) -> AsyncIterator[str]:
    """A server that does this with each connection."""
    async with serve(answer, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until something holds; fails after so many seconds."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.005)


def test_text_and_binary_messages_arrive_as_they_were_sent() -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def main() -> list[object]:
        async with serving(echo) as url, WebSocketManager(url) as manager:
            for message in ("text ü", b"\x00\xff"):
                await manager.send(message)
            got: list[object] = [await anext(manager), await anext(manager)]
            stats = manager.stats
            assert (stats.messages_sent, stats.messages_received) == (2, 2)
            assert (stats.bytes_sent, stats.bytes_received) == (9, 9)
            return got

    assert asyncio.run(main()) == ["text ü", b"\x00\xff"]


@pytest.mark.parametrize("fault", ["no UTF-8", "too big", "code 1002"])
def test_a_broken_protocol_is_named(fault: str) -> None:
    reasons: list[DisconnectReason] = []

    async def fail(connection: ServerConnection) -> None:
        if fault == "no UTF-8":
            await connection.send(b"\xff\xfe", text=True)
        elif fault == "too big":
            await connection.send("x" * (1 << 21))
        else:
            await connection.close(1002)
        await connection.wait_closed()

    async def main() -> None:
        async with serving(fail) as url, WebSocketManager(url, on_disconnect=reasons.append):
            await until(lambda: reasons)

    asyncio.run(main())
    assert reasons[0] is DisconnectReason.PROTOCOL_ERROR


@pytest.mark.parametrize("name", ["on_connect", "on_disconnect", "on_message", "on_alert"])
def test_a_plain_function_that_blocks_delays_no_reconnect(name: str) -> None:
    free = threading.Event()

    def block(*_: object) -> None:
        free.wait(20)

    async def main() -> None:
        async with embedded(SystemClock()) as exchange:
            subscribe = ['{"method": "SUBSCRIBE", "params": ["btcusdt@kline_1s"], "id": 1}']
            given: dict[str, Any] = {name: block}
            manager = WebSocketManager(exchange.ws_url, subscribe=subscribe, queue_size=1, **given)
            async with manager:
                # The messages that on_alert is to be told of are lost by then, where it is that.
                for number in (2, 3, 4):
                    await manager.send(f'{{"method": "LIST_SUBSCRIPTIONS", "id": {number}}}')
                await until(lambda: manager.stats.messages_received >= 4)
                for count in (2, 3):
                    # One that has not lasted is followed by a wait of half a second at most.
                    await until(lambda: manager.is_connected)
                    exchange.cut()
                    await until(lambda count=count: manager.stats.connects >= count, 2.5)
                began = time.monotonic()
            assert time.monotonic() - began < 4.5

    try:
        asyncio.run(main())
    finally:
        free.set()


def test_killed_it_leaves_no_socket_open() -> None:
    ended: list[DisconnectReason] = []

    async def main() -> None:
        async with embedded(SystemClock()) as exchange:
            manager = WebSocketManager(exchange.ws_url, on_disconnect=ended.append)
            await manager.connect()
            (session,) = exchange.sessions
            began = time.monotonic()
            await manager.kill()
            await until(lambda: session.closed_ms is not None, 1.0)
            assert time.monotonic() - began < 0.5
            assert manager.is_dead
            await manager.close()

    asyncio.run(main())
    assert ended == [DisconnectReason.KILLED]


@pytest.mark.parametrize("in_thread", [False, True], ids=["task", "thread"])
def test_a_heartbeat_connects_a_dead_one_again(in_thread: bool) -> None:
    async def main() -> None:
        async with (
            embedded(SystemClock()) as exchange,
            WebSocketManager(exchange.ws_url) as manager,
        ):
            heartbeat = Heartbeat(interval=0.05, target=manager, on_target_dead=manager.connect)
            if in_thread:
                heartbeat.start()
            else:
                await heartbeat.astart()
            try:
                await manager.kill()
                await until(lambda: manager.stats.connects == 2 and manager.is_connected)
                await asyncio.sleep(0.2)
                assert manager.is_connected
                assert len(exchange.sessions) == 2
            finally:
                if in_thread:
                    await asyncio.to_thread(heartbeat.stop)
                else:
                    await heartbeat.astop()

    asyncio.run(main())


def test_closed_it_says_good_bye() -> None:
    codes: list[object] = []

    async def wait(connection: ServerConnection) -> None:
        await connection.wait_closed()
        codes.append(connection.close_code)

    async def main() -> None:
        async with serving(wait) as url:
            async with WebSocketManager(url):
                pass
            await until(lambda: codes)

    asyncio.run(main())
    assert codes == [1000]


def test_a_manager_whose_loop_has_ended_is_dead() -> None:
    async def main() -> WebSocketManager:
        async with embedded(SystemClock()) as exchange:
            manager = WebSocketManager(exchange.ws_url)
            await manager.connect()
            return manager

    manager = asyncio.run(main())
    assert manager.is_dead


def test_it_can_be_looked_at_from_another_thread() -> None:
    async def main() -> None:
        async with (
            embedded(SystemClock()) as exchange,
            WebSocketManager(exchange.ws_url) as manager,
        ):
            seen = await asyncio.to_thread(lambda: (manager.is_dead, manager.state.name))
            assert seen == (False, "CONNECTED")

    asyncio.run(main())


def test_a_cancelled_connect_in_a_with_statement_leaves_nothing_behind() -> None:
    async def main() -> set[str]:
        manager = WebSocketManager("ws://127.0.0.1:9")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), manager:
                pass
        await asyncio.sleep(0)
        return {
            task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()
        }

    assert asyncio.run(main()) == set()


def test_no_secret_of_an_address_is_told(caplog: pytest.LogCaptureFixture) -> None:
    told: list[object] = []

    async def main() -> None:
        url = "ws://me:hunter2@127.0.0.1:9/ws?token=swordfish"
        manager = WebSocketManager(
            url, max_reconnect_attempts=1, on_alert=lambda *given: told.extend(given)
        )
        try:
            with pytest.raises(VenueError) as raised:
                await manager.connect(0.3)
            told.extend((str(raised.value), manager.stats, manager.stats.last_detail))
        finally:
            await manager.close()

    with caplog.at_level(logging.DEBUG):
        asyncio.run(main())
    text = f"{told} {caplog.text}"
    assert "no connection" in text
    assert "127.0.0.1:9/ws?token=…" in text
    assert "hunter2" not in text
    assert "swordfish" not in text


def test_over_tls_a_certificate_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = tls.make_authority(tmp_path)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)

    async def main() -> None:
        async with ExchangeServer(Market(), SystemClock(), ssl=authority.good()) as exchange:
            with pytest.raises(VenueError, match="certificate is not valid"):
                await WebSocketManager(exchange.ws_url, auto_reconnect=False).connect()
            monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
            async with WebSocketManager(exchange.ws_url) as manager:
                assert manager.is_connected

    asyncio.run(main())
