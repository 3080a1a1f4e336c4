"""Each fault over the wire, and as data."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kline_ops.exchange.faults import ActiveFaults, Fault, FaultKind
from kline_ops.exchange.server import ExchangeServer
from kline_ops.exchange.streams import Frame
from kline_ops.market import messages

MONTH_END_MS = 1_769_904_000_000


async def ended(ws) -> tuple[int | None, type[BaseException] | None]:
    """The close code that came, and what ended TCP where that was no orderly end."""
    try:
        while True:
            await ws.recv()
    except ConnectionClosed as closed:
        received, cause = closed.rcvd, closed.__cause__
    return received.code if received else None, type(cause) if cause else None


def test_a_cut_is_a_reset(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(server.ws_url) as one, connect(server.ws_url) as two:
            server.cut(1)
            assert await ended(one) == (None, ConnectionResetError)
            assert [record.closed_ms is None for record in server.sessions] == [False, True]
            server.cut()
            assert await ended(two) == (None, ConnectionResetError)

    play(scenario)


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 3000, 1006])
def test_any_close_code(play, code: int) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(server.ws_url) as ws:
            server.close_all(code)
            received, cause = await ended(ws)
        assert received == (None if code == 1006 else code)
        assert cause is (ConnectionResetError if code == 1006 else None)
        assert server.sessions[0].closed_ms is not None

    play(scenario)


LIST = '{{"method":"LIST_SUBSCRIPTIONS","id":{}}}'


def test_silence_answers_pings_and_nothing_else(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(f"{server.ws_url}/btcusdt@kline_1s") as ws:
            server.silence(0.3)
            await ws.send(LIST.format(1))
            await (await ws.ping())
            # A second has ended meanwhile.
            await asyncio.sleep(0.4)
            await ws.send(LIST.format(2))
            assert json.loads(await ws.recv())["id"] == 2

    play(scenario)


def test_silence_of_one_session(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        url = f"{server.ws_url}/btcusdt@kline_1s"
        async with connect(url) as quiet, connect(url) as other:
            server.silence(5.0, 1)
            assert messages.decode(await other.recv()).closed
            server.heal()
            await quiet.send(LIST.format(3))
            assert json.loads(await quiet.recv())["id"] == 3

    play(scenario)


def test_a_withheld_close_is_never_sent(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        opened = MONTH_END_MS - 60_000
        server.withhold("BTCUSDT", "1m", opened)
        names = ("btcusdt@kline_1m", "ethusdt@kline_1m", "btcusdt@kline_1s")
        async with connect(f"{server.ws_url}/{'/'.join(names)}") as ws:
            told = [messages.decode(await ws.recv()) for _ in range(2)]
        assert [(k.symbol, k.interval) for k in told] == [("ETHUSDT", "1m"), ("BTCUSDT", "1s")]
        assert server.truth("BTCUSDT", "1m", opened, opened) != []

    play(scenario)


def test_refused_handshakes(play, get) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        server.refuse(0.3)
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.ws_url)
        assert refused.value.response.status_code == 503
        assert (await get(server, "/api/v3/ping")).status == 200
        await asyncio.sleep(0.3)
        async with connect(server.ws_url):
            assert len(server.attempts) == 2

    play(scenario)


def test_nobody_listens(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(f"{server.ws_url}/btcusdt@kline_1s") as ws:
            server.refuse(0.3, tcp=True)
            await asyncio.sleep(0.01)
            with pytest.raises(ConnectionRefusedError):
                await connect(server.ws_url)
            await ws.recv()
            await asyncio.sleep(0.3)
            async with connect(server.ws_url):
                pass
            server.refuse(60.0, tcp=True)

    play(scenario)


@pytest.mark.parametrize("code", [1008, 1006])
def test_accept_then_close(play, code: int) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(server.ws_url) as before:
            server.accept_then_close(0.2, code)
            async with connect(server.ws_url) as ws:
                received, _ = await ended(ws)
                assert received == (None if code == 1006 else code)
            assert before.state.name == "OPEN"
            await asyncio.sleep(0.2)
            async with connect(server.ws_url) as ws:
                await (await ws.ping())

    play(scenario)


def test_rest_is_down(play, get) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        server.rest_down(0.2)
        assert (await get(server, "/api/v3/ping")).status == 503
        async with connect(server.ws_url):
            pass
        await asyncio.sleep(0.2)
        assert (await get(server, "/api/v3/ping")).status == 200
        assert server.rest_requests["/api/v3/ping"] == 2

    play(scenario)


def test_any_text_can_be_injected(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(server.ws_url) as ws:
            server.inject('{"e":"kline","k":')
            assert await ws.recv() == '{"e":"kline","k":'

    play(scenario)


def test_the_shutdown_notice_and_its_end(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        combined = server.ws_url.removesuffix("/ws") + "/stream"
        async with connect(server.ws_url) as raw, connect(combined) as wrapped:
            server.announce_shutdown(0.1, 1012)
            assert isinstance(messages.decode(await raw.recv()), messages.ServerShutdown)
            assert json.loads(await wrapped.recv())["stream"] == "!serverShutdown"
            async with connect(server.ws_url) as later:
                assert await ended(raw) == (1012, None)
                assert await ended(wrapped) == (1012, None)
                assert later.state.name == "OPEN"

    play(scenario)


def test_a_fault_lasts_as_long_as_it_says() -> None:
    faults = ActiveFaults()
    fault = Fault(FaultKind.SILENCE, seconds=10.0, sessions=(3,))
    faults.begin(fault, 100.0)
    assert faults.active(FaultKind.SILENCE, 109.9, 3) is fault
    assert faults.active(FaultKind.SILENCE, 110.0, 3) is None
    assert faults.active(FaultKind.SILENCE, 105.0, 4) is None
    assert faults.active(FaultKind.REST_DOWN, 105.0) is None
    faults.end()
    assert faults.active(FaultKind.SILENCE, 105.0, 3) is None


def test_only_the_closing_frame_is_withheld() -> None:
    faults = ActiveFaults()
    candle = ("BTCUSDT", "1m", 60_000)
    faults.begin(Fault(FaultKind.WITHHOLD, candle=candle), 0.0)
    assert not faults.lets_pass(Frame("n", "{}", candle, closed=True))
    assert faults.lets_pass(Frame("n", "{}", candle, closed=False))
    assert faults.lets_pass(Frame("n", "{}", ("BTCUSDT", "1m", 120_000), closed=True))
