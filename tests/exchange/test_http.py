"""REST over the wire: headers, statuses and the weight limit."""

from __future__ import annotations

from kline_ops.exchange.market import Market

PING = "/api/v3/ping"


def test_headers_and_body(play, get) -> None:
    async def scenario(server, clock) -> None:
        one = await get(server, "/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=1000")
        assert (one.status, len(one.body)) == (200, 1000)
        assert one.headers["content-type"] == "application/json;charset=utf-8"
        assert one.headers["x-mbx-used-weight-1m"] == "2"
        assert one.headers["date"].startswith("tue, 27 jan 2026 14:00:0")
        assert (await get(server, PING)).headers["x-mbx-used-weight-1m"] == "3"
        time = await get(server, "/api/v3/time")
        assert abs(time.body["serverTime"] - clock.wall_ms()) < 1000
        refused = await get(server, "/api/v3/klines?symbol=FOOBAR&interval=1h")
        assert refused.status == 400
        assert refused.body == {"code": -1121, "msg": "Invalid symbol."}
        assert server.rest_requests == {"/api/v3/klines": 2, PING: 1, "/api/v3/time": 1}

    # Away from the minute's end, where the weight would start anew.
    play(scenario, start_ms=1_769_522_400_000)


def test_unknown_paths_and_methods(play, get) -> None:
    async def scenario(server, _clock) -> None:
        assert (await get(server, "/api/v3/nothing")).status == 404
        assert (await get(server, "/")).status == 404
        assert (await get(server, PING, "POST")).status == 405
        assert (await get(server, "/ws/btcusdt@kline_1m")).status == 426

    play(scenario)


def test_weight_then_429_then_418_then_peace(play, get) -> None:
    async def scenario(server, clock) -> None:
        info = "/api/v3/exchangeInfo?symbol=BTCUSDT"
        assert [(await get(server, info)).status for _ in range(3)] == [200, 200, 429]
        refused = await get(server, PING)
        assert refused.status == 429
        assert refused.body["code"] == -1003
        assert 0 < int(refused.headers["retry-after"]) <= 60
        banned = await get(server, PING)
        assert banned.status == 418
        assert "banned until" in banned.body["msg"]
        assert 60 < int(banned.headers["retry-after"]) <= 120
        clock.jump(60_000)
        assert (await get(server, PING)).status == 418
        clock.jump(61_000)
        assert (await get(server, PING)).status == 200

    play(
        scenario,
        start_ms=1_769_522_400_000,
        weight_per_minute=50,
        refusals_before_ban=2,
    )


def test_rest_and_streams_tell_the_same(play, get) -> None:
    async def scenario(server, _clock) -> None:
        first = 1_769_522_400_000
        target = f"/api/v3/klines?symbol=SHIBUSDT&interval=1m&startTime={first}&limit=20"
        rows = (await get(server, target)).body
        truth = server.truth("SHIBUSDT", "1m", first, first + 19 * 60_000)
        assert [(row[0], *row[1:6]) for row in rows] == [
            (candle.open_ms, *candle.values()) for candle in truth
        ]

    play(scenario, market=Market(99))
