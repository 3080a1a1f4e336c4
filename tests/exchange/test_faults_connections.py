"""Connections that hang, freeze or are refused in all the ways there are."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from kline_ops.exchange.faults import Fault, FaultKind
from kline_ops.exchange.server import ExchangeServer
from tests.exchange.clients import SECOND, ask_rest, heard, klines


async def refusal(server: ExchangeServer) -> tuple[int, str | None]:
    with pytest.raises(InvalidStatus) as refused:
        await connect(server.ws_url)
    response = refused.value.response
    return response.status_code, response.headers.get("Retry-After")


@pytest.mark.parametrize(
    ("status", "retry_after", "told"),
    [(403, None, None), (451, None, None), (429, 17.0, "17"), (429, None, "30"), (503, 2.5, "3")],
)
def test_refused_with_any_status(play, status, retry_after, told) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        server.refuse(30, status=status, retry_after=retry_after)
        assert await refusal(server) == (status, told)
        server.heal()
        async with connect(server.ws_url):
            pass

    play(scenario)


def test_an_end_to_not_listening(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        server.refuse(5, tcp=True)
        server.refuse(60, tcp=True)
        await asyncio.sleep(10)
        with pytest.raises(ConnectionRefusedError):
            await connect(server.ws_url)
        server.heal()
        await asyncio.sleep(0.01)
        async with connect(server.ws_url):
            pass

    play(scenario)


def test_a_port_that_somebody_took_meanwhile(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        server.refuse(1, tcp=True)
        await asyncio.sleep(0.1)
        with socket.create_server((server.host, server.port)):
            await asyncio.sleep(3)
        await asyncio.sleep(1)
        async with connect(server.ws_url):
            pass
        server.refuse(1, tcp=True)
        await asyncio.sleep(0.1)
        with socket.create_server((server.host, server.port)):
            await asyncio.sleep(3)
            await server.stop()

    play(scenario)


def test_a_half_open_connection_answers_no_ping_and_sends_nothing(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        url = f"{server.ws_url}/{SECOND}"
        async with connect(url, ping_interval=None) as frozen, connect(url) as other:
            server.half_open(300, 1)
            pong = await frozen.ping()
            await frozen.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
            assert len(await klines(other, 90)) == 90
            assert not pong.done()
            assert await heard(frozen, 1) == []
            # Not even the exchange's own limit on pongs, or a text by hand, is told.
            server.inject("no", 1)
            assert server.sessions[0].closed_ms is None
            server.heal()
            assert len(await klines(frozen, 3)) == 3
            assert pong.done()
            assert server.sessions[0].closed_ms is None

    play(scenario)


def test_a_half_open_connection_comes_back_by_itself(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        server.half_open(10)
        async with connect(f"{server.ws_url}/{SECOND}", ping_interval=None) as ws:
            assert await heard(ws, 9) == []
            assert len(await klines(ws, 10)) in {8, 9}

    play(scenario)


def test_handshakes_are_left_hanging(play) -> None:
    async def scenario(server: ExchangeServer, clock) -> None:
        server.hang(60)
        with pytest.raises(TimeoutError):
            await connect(server.ws_url, open_timeout=5)
        begun = clock.monotonic()
        waiting = asyncio.ensure_future(connect(server.ws_url, open_timeout=None))
        assert (await ask_rest(server, "/api/v3/ping")).status_code == 200
        await (await waiting).close()
        assert 50 < clock.monotonic() - begun < 56
        assert len(server.sessions) == 1
        server.hang(60)
        waiting = asyncio.ensure_future(connect(server.ws_url, open_timeout=None))
        await asyncio.sleep(1)
        server.heal()
        async with asyncio.timeout(1):
            await (await waiting).close()
        server.hang(60)
        # Is left at the end of the exchange, and does not hold it up.
        _, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(b"GET /ws HTTP/1.1\r\nHost: e\r\n\r\n")
        await asyncio.sleep(0.1)
        writer.close()

    play(scenario)


def test_a_client_that_asks_for_nothing_is_dropped(play) -> None:
    async def scenario(server: ExchangeServer, clock) -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        begun = clock.monotonic()
        assert await reader.read() == b""
        assert clock.monotonic() - begun == pytest.approx(10, abs=0.1)
        writer.close()

    play(scenario)


def test_the_notice_in_both_forms_and_as_data(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        combined = f"{server.ws_url.removesuffix('/ws')}/stream"
        async with connect(server.ws_url) as raw, connect(combined) as wrapped:
            server.apply(Fault(FaultKind.SHUTDOWN, seconds=2, code=1012))
            event = json.loads(await raw.recv())
            assert event.keys() == {"e", "E"}
            assert json.loads(await wrapped.recv()) == {"stream": "!serverShutdown", "data": event}
            await heard(raw, 3)
            assert raw.close_code == 1012
        async with connect(server.ws_url) as raw:
            server.announce_shutdown(2)
            server.heal()
            await heard(raw, 5)
            assert raw.close_code is None

    play(scenario)


def test_in_real_time(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(f"{server.ws_url}/{SECOND}", ping_interval=None) as ws:
            server.half_open(0.3, 1)
            pong = await ws.ping()
            await asyncio.sleep(0.2)
            assert not pong.done()
            await asyncio.wait_for(pong, 5)
            server.hang(0.2)
            async with connect(server.ws_url):
                pass

    play(scenario, real_time=True)
