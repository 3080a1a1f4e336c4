"""REST that is down, full, slow, behind or of another mind, as ``requests`` sees it."""

from __future__ import annotations

import asyncio

import pytest
import requests
from websockets.asyncio.client import connect

from kline_ops.exchange.faults import Fault, FaultKind
from kline_ops.exchange.server import ExchangeServer
from kline_ops.market import rest
from kline_ops.market.interval import MINUTE_MS, SECOND_MS
from tests.exchange.clients import SECOND, ask_rest, klines

MONTH_END_MS = 1_769_904_000_000
PING = "/api/v3/ping"
MINUTES = "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=3"


async def minutes(server: ExchangeServer) -> list[int]:
    """Open times of the last three, in minutes from the month's end."""
    rows = (await ask_rest(server, MINUTES)).json()
    return [(row[0] - MONTH_END_MS) // MINUTE_MS for row in rows]


def test_down_with_any_status(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        server.rest_down(10, 502, 7)
        answer = await ask_rest(server, PING)
        assert (answer.status_code, answer.headers["Retry-After"]) == (502, "7")
        await asyncio.sleep(10)
        assert (await ask_rest(server, PING)).status_code == 200

    play(scenario)


@pytest.mark.parametrize(("retry_after", "told"), [(None, 30), (5.0, 5)])
def test_limited(play, retry_after: float | None, told: int) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        server.rest_limited(30, retry_after)
        answer = await ask_rest(server, PING)
        assert (answer.status_code, answer.json()["code"]) == (429, -1003)
        assert int(answer.headers["Retry-After"]) == told
        await asyncio.sleep(30)
        assert (await ask_rest(server, PING)).status_code == 200

    play(scenario)


def test_banned(play) -> None:
    async def scenario(server: ExchangeServer, clock) -> None:
        server.rest_banned(90)
        until = clock.wall_ms() + 90_000
        await asyncio.sleep(10)
        answer = await ask_rest(server, PING)
        assert (answer.status_code, answer.headers["Retry-After"]) == (418, "80")
        assert f"IP banned until {until}." in answer.json()["msg"]
        await asyncio.sleep(80)
        assert (await ask_rest(server, PING)).status_code == 200
        server.apply(Fault(FaultKind.REST_BANNED, seconds=float("inf")))
        assert (await ask_rest(server, PING)).headers["Retry-After"] == "60"

    play(scenario)


def test_slow(play) -> None:
    async def scenario(server: ExchangeServer, clock) -> None:
        server.rest_slow(30, 600)
        begun = clock.monotonic()
        async with connect(f"{server.ws_url}/{SECOND}") as ws:
            answer = await ask_rest(server, "/api/v3/time")
            assert clock.monotonic() - begun == pytest.approx(30, abs=0.1)
            assert abs(rest.decode_time(answer.content) - clock.wall_ms()) < 100
            assert len(await klines(ws, 0.1)) >= 15
        asked = asyncio.ensure_future(ask_rest(server, PING))
        while not server.rest_held:
            await asyncio.sleep(0)
        server.heal()
        await asked
        assert clock.monotonic() - begun < 32

    play(scenario)


def test_hanging_in_real_time(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        server.rest_slow(60, 600)
        address = f"{server.rest_url}{PING}"
        with pytest.raises(requests.ReadTimeout):
            await asyncio.to_thread(requests.get, address, timeout=0.2)
        server.heal()
        assert (await ask_rest(server, PING)).status_code == 200
        # Held to the end of the exchange, which does not wait for it.
        server.rest_slow(60, 600)
        with pytest.raises(requests.ReadTimeout):
            await asyncio.to_thread(requests.get, address, timeout=0.1)

    play(scenario, real_time=True)


def test_lagging_leaves_the_newest_closed_candle_out(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        server.rest_lagging(5, 60)
        assert await minutes(server) == [-3, -2, -1]
        await asyncio.sleep(1)
        assert await minutes(server) == [-3, -2, 0]
        span = f"&startTime={MONTH_END_MS - MINUTE_MS}"
        assert [row[0] for row in (await ask_rest(server, MINUTES + span)).json()] == [MONTH_END_MS]
        await asyncio.sleep(5)
        assert await minutes(server) == [-2, -1, 0]

    play(scenario)


def test_stale_shows_a_closed_candle_as_it_formed(play) -> None:
    async def scenario(server: ExchangeServer, clock) -> None:
        server.rest_stale(5, 60)
        await asyncio.sleep(1)
        rows = (await ask_rest(server, MINUTES)).json()
        assert [(row[0] - MONTH_END_MS) // MINUTE_MS for row in rows] == [-3, -2, -1]
        (truth,) = server.truth("BTCUSDT", "1m", MONTH_END_MS - MINUTE_MS, MONTH_END_MS - MINUTE_MS)
        assert rows[-1][5] != truth.volume
        time = rest.decode_time((await ask_rest(server, "/api/v3/time")).content)
        assert abs(time - clock.wall_ms()) < 100
        await asyncio.sleep(5)
        rows = (await ask_rest(server, MINUTES)).json()
        assert rows[-2][5] == truth.volume

    play(scenario)


def test_an_amended_candle(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        opened = MONTH_END_MS - SECOND_MS
        server.amend("BTCUSDT", "1s", opened)
        async with connect(f"{server.ws_url}/{SECOND}") as ws:
            (told, *_) = await klines(ws, 1.5)
        target = f"/api/v3/klines?symbol=BTCUSDT&interval=1s&startTime={opened}"
        amended, *others = rest.decode_klines((await ask_rest(server, target)).content)
        assert [told.candle] == server.truth("BTCUSDT", "1s", opened, opened)
        assert amended != told.candle
        assert amended.problem() is None
        assert server.rest_truth("BTCUSDT", "1s", opened, opened) == [amended]
        truth = server.truth("BTCUSDT", "1s", MONTH_END_MS, MONTH_END_MS)
        assert others[:1] == truth

    play(scenario)


def test_amending_what_forms_now(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        opened = MONTH_END_MS - MINUTE_MS
        async with connect(f"{server.ws_url}/btcusdt@kline_1m"):
            server.apply(Fault(FaultKind.AMEND))
            one, two = (
                f("BTCUSDT", "1m", opened, opened) for f in (server.truth, server.rest_truth)
            )
            assert one != two

    play(scenario)


def test_a_skewed_clock_changes_no_candle(play) -> None:
    async def scenario(server: ExchangeServer, clock) -> None:
        async with connect(f"{server.ws_url}/{SECOND}") as ws:
            server.skew(-3600, 5)
            for expected in (-3_600_000, 0):
                told = (await klines(ws, 1.5))[0]
                assert abs(told.event_ms - clock.wall_ms() - expected) < 2000
                time = rest.decode_time((await ask_rest(server, "/api/v3/time")).content)
                assert abs(time - clock.wall_ms() - expected) < 100
                opened = told.candle.open_ms
                assert server.truth("BTCUSDT", "1s", opened, opened) == [told.candle]
                assert (await minutes(server))[-1] == 0
                await klines(ws, 5)

    play(scenario)
