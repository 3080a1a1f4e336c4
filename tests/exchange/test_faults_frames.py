"""What can happen to the frames of a stream, as a client sees it."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.client import connect

from kline_ops.exchange.faults import Fault, FaultKind
from kline_ops.exchange.server import ExchangeServer
from kline_ops.exchange.strange import GARBAGE
from kline_ops.market import interval as intervals
from kline_ops.market import messages
from kline_ops.market.interval import SECOND_MS
from tests.exchange.clients import SECOND, heard, klines, opens

MONTH_END_MS = 1_769_904_000_000
OTHER = "ethusdt@kline_1s"


async def ask(ws, method: str, *params: str) -> None:
    await ws.send(json.dumps({"method": method, "params": params, "id": 7}))


def answers(frames: list[str]) -> list[str]:
    return [frame for frame in frames if '"id"' in frame]


def test_acknowledged_and_nothing_else(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(f"{server.ws_url}/{SECOND}") as before:
            server.ack_only(seconds=10)
            async with connect(server.ws_url) as mute:
                await ask(mute, "SUBSCRIBE", SECOND)
                await (await mute.ping())
                assert [json.loads(frame) for frame in await heard(mute, 20)] == [
                    {"result": None, "id": 7}
                ]
                server.announce_shutdown()
                assert "serverShutdown" in (await heard(mute, 1))[0]
                assert len(await klines(before, 0.1)) == 21
                async with connect(f"{server.ws_url}/{SECOND}") as later:
                    assert await klines(later, 2)
                server.heal()
                assert await klines(mute, 2)

    play(scenario)


def test_no_data_for_chosen_sessions(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        url = f"{server.ws_url}/{SECOND}"
        async with connect(url) as mute, connect(url) as other:
            server.ack_only(1, seconds=10)
            assert await heard(mute, 9) == []
            assert len(await klines(other, 0.1)) == 9
            assert len(await klines(mute, 9)) in {7, 8}

    play(scenario)


@pytest.mark.parametrize("stays", [False, True])
def test_one_dead_stream_among_live_ones(play, stays: bool) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        url = f"{server.ws_url}/{SECOND}/{OTHER}"
        async with connect(url) as ws, connect(url) as other:
            server.dead_stream(SECOND, 1, stays=stays)
            assert {kline.symbol for kline in await klines(ws, 5)} == {"ETHUSDT"}
            assert {kline.symbol for kline in await klines(other, 1)} == {"BTCUSDT", "ETHUSDT"}
            await ask(ws, "UNSUBSCRIBE", SECOND)
            await ask(ws, "SUBSCRIBE", OTHER)
            assert {kline.symbol for kline in await klines(ws, 5)} == {"ETHUSDT"}
            await ask(ws, "SUBSCRIBE", SECOND)
            back = {kline.symbol for kline in await klines(ws, 5)}
            assert back == ({"ETHUSDT"} if stays else {"BTCUSDT", "ETHUSDT"})
            async with connect(url) as fresh:
                assert {kline.symbol for kline in await klines(fresh, 2)} == {"BTCUSDT", "ETHUSDT"}
            server.heal()
            assert "BTCUSDT" in {kline.symbol for kline in await klines(ws, 2)}

    play(scenario)


def test_the_first_stream_dies_where_none_is_named(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(f"{server.ws_url}/{SECOND}/{OTHER}") as ws:
            server.dead_stream()
            assert {kline.symbol for kline in await klines(ws, 3)} == {"ETHUSDT"}

    play(scenario)


def test_withholding_what_forms_now(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        url = f"{server.ws_url}/{SECOND}"
        async with connect(url) as one, connect(url) as two:
            server.apply(Fault(FaultKind.WITHHOLD, sessions=(1,)))
            assert opens(await klines(one, 2))[0] == MONTH_END_MS
            assert opens(await klines(two, 0.1))[0] == MONTH_END_MS - SECOND_MS

    play(scenario)


def test_late_frames_keep_their_order(play) -> None:
    async def scenario(server: ExchangeServer, clock) -> None:
        async with connect(f"{server.ws_url}/{SECOND}") as ws:
            server.late(3.5, 10, 1)
            told = []
            for _ in range(16):
                kline = messages.decode(await ws.recv())
                told.append(kline)
                late = clock.wall_ms() - kline.event_ms
                assert late < 10 if len(told) > 14 else late <= 3_510
                assert late > 3_490 or len(told) > 10
            assert opens(told) == sorted(opens(told))
            assert len(set(opens(told))) == 16

    play(scenario)


def test_late_frames_come_at_once_when_all_is_well(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(f"{server.ws_url}/{SECOND}") as ws:
            server.late(60, 600)
            await ask(ws, "LIST_SUBSCRIPTIONS")
            assert await heard(ws, 5) == []
            server.heal()
            frames = await heard(ws, 0.05)
            assert (len(frames), len(answers(frames))) == (6, 1)

    play(scenario)


def test_doubled_frames(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(f"{server.ws_url}/{SECOND}") as ws:
            server.doubled(2.5)
            told = opens(await klines(ws, 4))
            assert [told.count(opened) for opened in sorted(set(told))] == [2, 2, 2, 1]

    play(scenario)


def test_disordered_frames(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(f"{server.ws_url}/{SECOND}") as ws:
            server.disordered(4.5)
            told = [(o - MONTH_END_MS) // SECOND_MS for o in opens(await klines(ws, 7))]
            # The fifth has no neighbour left when it is over, and is sent nevertheless.
            assert told == [0, -1, 2, 1, 3, 4, 5]

    play(scenario)


def test_truncated_frames(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(f"{server.ws_url}/{SECOND}") as ws:
            server.truncated(2.5)
            frames = await heard(ws, 4)
            for frame in frames[:3]:
                with pytest.raises(messages.FrameRejected):
                    messages.decode(frame)
            assert messages.decode(frames[3]).closed

    play(scenario)


def test_garbage(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(server.ws_url) as ws:
            server.garbage()
            frames = await heard(ws, 0.1)
            assert frames == [*GARBAGE]
            for frame in frames:
                with pytest.raises(messages.FrameRejected):
                    messages.decode(frame)

    play(scenario)


@pytest.mark.parametrize("combined", [False, True])
def test_foreign_and_impossible_candles(play, combined: bool) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        path = f"stream?streams={SECOND}" if combined else f"ws/{SECOND}"
        minute = intervals.parse("1s")
        async with connect(f"{server.rest_url.replace('http', 'ws')}/{path}") as ws:
            server.foreign()
            told = await klines(ws, 0.1)
            assert [(k.symbol == "BTCUSDT", k.interval) for k in told] == [
                (False, "1s"),
                (True, "1h"),
            ]
            server.impossible()
            told = await klines(ws, 0.05)
            assert len(told) == 5
            assert all(kline.closed and kline.symbol == "BTCUSDT" for kline in told)
            for kline in told:
                with pytest.raises(messages.FrameRejected):
                    messages.check(kline, minute)

    play(scenario)


def test_frames_in_real_time(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        async with connect(f"{server.ws_url}/{SECOND}") as ws:
            server.late(0.2, 60)
            server.doubled(60)
            await asyncio.sleep(0.3)
            told = opens(await klines(ws, 1.5))
            assert len(told) >= 2
            assert told[0] == told[1]

    play(scenario, real_time=True)
