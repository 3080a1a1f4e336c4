"""Faults by HTTP, by script and by seed while the exchange runs."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
import requests
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from kline_ops.clock import SystemClock
from kline_ops.errors import InputError
from kline_ops.exchange.chaos import schedule
from kline_ops.exchange.faults import FaultKind
from kline_ops.exchange.market import Market
from kline_ops.exchange.parameters import parse_script
from kline_ops.exchange.server import ExchangeServer
from tests.exchange.clients import SECOND, ask_rest, heard, klines
from tests.exchange.test_exchange_command import call, found, running


def test_the_page(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        page = (await ask_rest(server, "/faults")).json()
        assert page["kinds"].keys() == set(FaultKind)
        assert page["kinds"]["late"] == {"required": ["seconds", "delay"], "optional": ["sessions"]}
        assert page["lasting"] == []
        async with connect(f"{server.ws_url}/{SECOND}") as ws:
            answer = await ask_rest(server, "/faults/apply?kind=silence&seconds=60&sessions=1")
            assert answer.status_code == 200
            assert await heard(ws, 5) == []
            (lasts,) = (await ask_rest(server, "/faults")).json()["lasting"]
            assert lasts["fault"] == "silence seconds=60 sessions=1"
            assert lasts["seconds_left"] == pytest.approx(55, abs=0.5)
            assert (await ask_rest(server, "/faults/heal")).json() == {"lasting": []}
            assert await klines(ws, 2)
            await ask_rest(server, "/faults/apply?kind=inject&text=a%20b+c%26d")
            assert "a b+c&d" in await heard(ws, 0.5)
            answer = await ask_rest(
                server, "/faults/apply?kind=withhold&candle=BTCUSDT/1d@+08:00/1769875200000"
            )
            assert answer.json()["lasting"][0]["seconds_left"] is None
            await ask_rest(server, "/faults/apply?kind=close&code=1013")
            await heard(ws, 0.5)
            assert ws.close_code == 1013
        assert server.rest_requests == {}

    play(scenario)


@pytest.mark.parametrize(
    ("target", "status", "message"),
    [
        ("/faults/apply?kind=explode", 400, "unknown fault 'explode'. Try: cut"),
        ("/faults/apply", 400, "unknown fault ''"),
        ("/faults/apply?kind=silence", 400, "silence: seconds is missing"),
        ("/faults/nothing", 404, "no such page"),
    ],
)
def test_what_the_page_refuses(play, target: str, status: int, message: str) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        answer = await ask_rest(server, target)
        assert answer.status_code == status
        assert message in answer.json()["error"]

    play(scenario)


def own_address() -> str | None:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: a route is chosen, and with it an address.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def test_the_page_is_for_this_machine_alone() -> None:
    address = own_address()
    if address is None or address.startswith("127."):
        pytest.skip("no address but loopback")

    async def main() -> None:
        async with ExchangeServer(Market(7), SystemClock(), host=address) as server:
            for path in ("/faults", "/faults/apply?kind=cut", "/faults/heal"):
                assert (await ask_rest(server, path)).status_code == 403
            assert (await ask_rest(server, "/api/v3/ping")).status_code == 200

    asyncio.run(main())


def test_a_script_is_played(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        server.play(parse_script("1 rest-down seconds=5\n3 close code=1012\n"))
        async with connect(f"{server.ws_url}/{SECOND}") as ws:
            assert (await ask_rest(server, "/api/v3/ping")).status_code == 200
            assert len(await heard(ws, 2.9)) == 3
            assert (await ask_rest(server, "/api/v3/ping")).status_code == 503
            await heard(ws, 1)
            assert ws.close_code == 1012

    play(scenario)


def test_chaos_leaves_nothing_behind(play) -> None:
    """Two hundred faults of all kinds; then streams, REST and truth are as if nothing had been."""

    async def scenario(server: ExchangeServer, clock) -> None:
        server.play(schedule(11, 100, 0.5))
        while clock.monotonic() < 101:
            try:
                async with (
                    asyncio.timeout(1),
                    connect(f"{server.ws_url}/{SECOND}", close_timeout=0.1) as ws,
                ):
                    await heard(ws, 1)
            except (OSError, TimeoutError, WebSocketException):
                pass
            await asyncio.sleep(0.2)
        server.heal()
        await asyncio.sleep(0.1)
        async with connect(f"{server.ws_url}/{SECOND}") as ws:
            told = await klines(ws, 5)
        assert [kline.candle.open_ms for kline in told] == [
            candle.open_ms
            for candle in server.truth(
                "BTCUSDT", "1s", told[0].candle.open_ms, told[-1].candle.open_ms
            )
        ]
        assert len(told) == 5

    play(scenario, attempts=1_000)


def test_the_command_with_a_script_and_a_seed(tmp_path: Path) -> None:
    script = tmp_path / "faults.txt"
    script.write_text("0 rest-down seconds=600\n")
    with running("--faults", str(script), "--chaos", "1", "--every", "600", "--port", "0") as (
        process,
        lines,
    ):
        first, second = (line.split()[1] for line in lines if line.startswith("REST:"))
        assert "fault: rest-down seconds=600" in process.stdout.readline()
        assert requests.get(f"{first}/api/v3/ping", timeout=5).status_code == 503
        assert requests.get(f"{second}/api/v3/ping", timeout=5).status_code == 200
        page = found(r"faults: +(\S+)", lines)
        requests.get(f"{page}/heal", timeout=5)
        assert requests.get(f"{first}/api/v3/ping", timeout=5).status_code == 200


def test_a_script_that_can_not_be_used(tmp_path: Path) -> None:
    script = tmp_path / "faults.txt"
    with pytest.raises(InputError, match=r"faults.txt: can not be read"):
        call(faults=script)
    script.write_text("1 explode\n")
    with pytest.raises(InputError, match=r"faults.txt, line 1: unknown fault"):
        call(faults=script)
    with pytest.raises(InputError, match="--every 0 is no time"):
        call(chaos=1, every=0)
