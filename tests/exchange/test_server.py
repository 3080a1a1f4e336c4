"""The streams over the wire: candles, framing, pings, limits and the end."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kline_ops.exchange.server import ExchangeServer
from kline_ops.market import interval as intervals
from kline_ops.market import messages
from kline_ops.market.interval import SECOND_MS
from kline_ops.market.messages import Kline

MONTH_END_MS = 1_769_904_000_000
ALL = [*intervals.NAMES, *(f"{name}@+08:00" for name in intervals.NAMES)]


async def next_kline(ws) -> Kline:
    message = messages.decode(await ws.recv())
    assert isinstance(message, Kline)
    return message


async def ask(ws, method: str, *params: object) -> object:
    await ws.send(json.dumps({"method": method, "params": list(params), "id": 1}))
    while True:
        answer = json.loads(await ws.recv())
        if "id" in answer:
            return answer["result"]


async def ended(ws) -> int | None:
    """The close code, or None where TCP ended without a closing handshake."""
    try:
        while True:
            await ws.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def test_all_that_closes_at_a_month_s_end_is_told(play) -> None:
    """UTC and +08:00, each candle once and as the market has it."""

    async def scenario(server: ExchangeServer, _clock) -> None:
        names = "/".join(f"lrcbtc@kline_{name}" for name in ALL)
        async with connect(f"{server.rest_url.replace('http', 'ws')}/stream?streams={names}") as ws:
            frames = [json.loads(await ws.recv()) for _ in ALL]
        for frame in frames:
            kline = frame["data"]["k"]
            interval = intervals.parse(frame["stream"].partition("_")[2])
            bar = server.market.bar("LRCBTC", interval, kline["t"])
            # Weeks go on, and months and days of the other zone: they show an update.
            assert kline["x"] is (interval.after(kline["t"]) == MONTH_END_MS)
            if kline["x"]:
                assert [kline[key] for key in "ohlcvqVQnfL"] == [
                    *bar[2:6],
                    bar.volume,
                    bar.quote_volume,
                    bar.taker_volume,
                    bar.taker_quote_volume,
                    bar.trades,
                    bar.first_trade_id,
                    bar.last_trade_id,
                ]
            assert 0 <= frame["data"]["E"] - MONTH_END_MS < 1000
        closed = {frame["stream"] for frame in frames if frame["data"]["k"]["x"]}
        assert "lrcbtc@kline_1M" in closed
        assert "lrcbtc@kline_1w" not in closed
        assert {frame["stream"] for frame in frames} == {f"lrcbtc@kline_{name}" for name in ALL}

    play(scenario)


def test_seconds_come_one_a_second_and_to_all_alike(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with (
            connect(f"{server.ws_url}/btcusdt@kline_1s") as one,
            connect(server.ws_url) as two,
        ):
            assert await ask(two, "SUBSCRIBE", "btcusdt@kline_1s") is None
            klines = [await next_kline(one), await next_kline(one)]
            others = [await next_kline(two), await next_kline(two)]
        assert others == klines
        assert all(kline.closed for kline in klines)
        opened = [kline.candle.open_ms for kline in klines]
        assert opened == [MONTH_END_MS - SECOND_MS, MONTH_END_MS]
        assert [k.candle for k in klines] == server.truth("BTCUSDT", "1s", opened[0], opened[1])

    play(scenario)


def test_a_forming_candle_is_told_every_two_seconds(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(f"{server.ws_url}/btcusdt@kline_1m") as ws:
            kline = await next_kline(ws)
        assert not kline.closed
        # Nothing at the odd second that passed first.
        assert 2000 <= kline.event_ms - MONTH_END_MS < 2500
        bar = server.market.bar(
            "BTCUSDT", intervals.parse("1m"), MONTH_END_MS, MONTH_END_MS + 2 * SECOND_MS
        )
        assert kline.candle == bar.candle()

    play(scenario, start_ms=MONTH_END_MS + 900)


def test_the_pace_can_be_chosen(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(f"{server.ws_url}/btcusdt@kline_1M") as ws:
            klines = [await next_kline(ws) for _ in range(3)]
        assert [kline.closed for kline in klines] == [True, False, False]
        times = [kline.event_ms - MONTH_END_MS for kline in klines]
        assert all(at >= due for at, due in zip(times, (0, 200, 400), strict=True))
        assert times[-1] < 1500

    play(scenario, update_ms=200)


def test_framing_follows_the_property(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(server.ws_url) as ws:
            await ask(
                ws, "SUBSCRIBE", "btcusdt@kline_1s", "btcusdt@kline_1d@+08:00", "foobar@kline_1s"
            )
            await ask(ws, "SET_PROPERTY", "combined", True)
            frame = json.loads(await ws.recv())
            assert frame["stream"] == "btcusdt@kline_1s"
            assert frame["data"]["e"] == "kline"

    play(scenario)


def test_unsubscribed_and_unknown_streams_are_silent(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(
            f"{server.ws_url}/btcusdt@kline_1s/foobar@kline_1s/BTCUSDT@kline_1s/0"
        ) as ws:
            await ask(ws, "UNSUBSCRIBE", "btcusdt@kline_1s")
            assert await ask(ws, "LIST_SUBSCRIPTIONS") == [
                "foobar@kline_1s",
                "BTCUSDT@kline_1s",
                "0",
            ]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await ws.recv()

    play(scenario)


def test_an_error_answer_ends_nothing(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(server.ws_url) as ws:
            await ws.send("no json")
            assert json.loads(await ws.recv())["code"] == 3
            assert await ask(ws, "LIST_SUBSCRIPTIONS") == []

    play(scenario)


def test_more_than_five_messages_a_second_end_the_session(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(server.ws_url) as ws:
            for _ in range(5):
                await ws.ping()
            await asyncio.sleep(0.05)
            assert server.sessions[0].closed_ms is None
            await ws.pong()
            assert await ended(ws) == 1008

    play(scenario)


def test_pings_carry_the_time_and_want_their_pong(play) -> None:
    async def scenario(server: ExchangeServer, clock) -> None:
        pinged = []
        async with connect(server.ws_url) as ws:
            handle = ws.process_event

            def note(event) -> None:
                pinged.append(event)
                handle(event)

            ws.process_event = note
            await asyncio.sleep(0.25)
            assert ws.state.name == "OPEN"
        payloads = [int(bytes(event.data)) for event in pinged if event.opcode.name == "PING"]
        assert len(payloads) >= 2
        assert all(abs(payload - clock.wall_ms()) < 1000 for payload in payloads)

    play(scenario, ping_seconds=0.1, pong_seconds=0.15)


def test_without_a_pong_the_session_ends(play) -> None:
    async def scenario(server: ExchangeServer, clock) -> None:
        ws = await connect(server.ws_url, ping_interval=None, close_timeout=0.1)
        # A client that no longer reads can not answer.
        ws.transport.pause_reading()
        begun = clock.monotonic()
        while server.sessions[0].closed_ms is None:
            await asyncio.sleep(0.01)
        assert clock.monotonic() - begun >= 0.19
        ws.transport.abort()
        await ws.wait_closed()

    play(scenario, ping_seconds=0.1, pong_seconds=0.1)


def test_a_session_lasts_a_day_at_most(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(server.ws_url) as ws:
            assert await ended(ws) == 1001

    play(scenario, max_age_seconds=0.1)


def test_too_many_streams(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{server.ws_url}/a/b/c")
        assert refused.value.response.status_code == 400
        async with connect(f"{server.ws_url}/a/b") as ws:
            await ws.send('{"method":"SUBSCRIBE","params":["c"],"id":1}')
            assert json.loads(await ws.recv())["code"] == 2

    play(scenario, max_streams=2)


def test_too_many_attempts(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        for _ in range(2):
            await (await connect(server.ws_url)).close()
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.ws_url)
        assert refused.value.response.status_code == 429
        assert len(server.attempts) == 3
        assert len(server.sessions) == 2

    play(scenario, attempts=2)


def test_a_client_that_does_not_read_is_cut_and_holds_nobody_up(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        slow = await connect(server.ws_url, max_size=None)
        slow.transport.pause_reading()
        async with connect(f"{server.ws_url}/btcusdt@kline_1s") as fast:
            for _ in range(200):
                server.inject("x" * 100_000, 1)
            assert server.sessions[0].closed_ms is not None
            assert (await next_kline(fast)).closed
        slow.transport.abort()
        await slow.wait_closed()

    play(scenario)


def test_what_is_on_record(play) -> None:
    async def scenario(server: ExchangeServer, clock) -> None:
        begun = clock.wall_ms()
        async with connect(f"{server.ws_url}/btcusdt@kline_1s") as ws:
            await next_kline(ws)
            assert server.sessions[0].closed_ms is None
        await asyncio.sleep(0.1)
        async with connect(server.ws_url):
            now = clock.wall_ms()
        first, second = server.sessions
        assert (first.id, first.path, first.frames_sent) == (1, "/ws/btcusdt@kline_1s", 1)
        assert first.closed_ms is not None
        assert server.dark_ms(begun, now) >= 100
        assert server.dark_ms(first.opened_ms, first.closed_ms) == 0
        assert (
            server.dark_ms(first.closed_ms, second.opened_ms) == second.opened_ms - first.closed_ms
        )

    play(scenario)


def test_the_end_is_clean(play) -> None:
    clients = []

    async def scenario(server: ExchangeServer, _clock) -> None:
        clients.append(await connect(f"{server.ws_url}/btcusdt@kline_1s"))
        # Neither a handshake that never comes nor a client that does not answer holds the end up.
        _reader, writer = await asyncio.open_connection(server.host, server.port)
        clients.append(writer)
        server.announce_shutdown(60.0)

    async def waited(server: ExchangeServer, clock) -> None:
        await scenario(server, clock)
        begun = clock.monotonic()
        await server.stop()
        assert clock.monotonic() - begun < 1.5
        ws, writer = clients
        await ws.wait_closed()
        assert ws.close_code == 1001
        writer.close()
        with pytest.raises(ConnectionError):
            await connect(server.ws_url)

    play(waited)
