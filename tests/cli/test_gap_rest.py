"""``analyze-gaps --verify``: real processes against an exchange that serves a recorded past."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kline_ops.clock import SystemClock
from kline_ops.exchange.altered import AlteredMarket
from kline_ops.exchange.history import HistoryMarket
from kline_ops.exchange.market import Market
from kline_ops.market import interval as intervals
from kline_ops.market.timestamp import to_text
from tests.support.exchange_thread import ExchangeThread
from tests.support.machine import Machine

DATA = Path(__file__).parents[2].parent / "shared" / "data"
MINUTE, HOUR = 60_000, 3_600_000
H1, M1 = intervals.parse("1h"), intervals.parse("1m")
HEADER = "timestamp,open,high,low,close,volume\n"
#: The exchange itself has none of these hours, of hours 0 to 99.
ITS_OWN = {20, 21, 40, 41, 42, 43, 90}
BEGIN = 1_717_200_000_000


def row(hour: int) -> str:
    return f"{to_text(BEGIN + hour * HOUR)},1.5,2.5,0.5,1.5,9.25\n"


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeThread]:
    archive = tmp_path / "BTCUSDT-1h-archive.csv"
    archive.write_text(HEADER + "".join(row(h) for h in range(100) if h not in ITS_OWN))
    with ExchangeThread(HistoryMarket(Market(7), [archive])) as running:
        yield running


def verify(machine: Machine, url: str, path: Path, *options: str) -> tuple[int, dict[str, object]]:
    done = machine.run("analyze-gaps", str(path), "--verify", "--rest-url", url, "--json", *options)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)["files"][0]


def test_what_the_exchange_lacks_is_its_own_and_what_it_has_is_ours(
    machine: Machine, exchange: ExchangeThread, tmp_path: Path
) -> None:
    ours = {5, 6, 22, 60}
    path = tmp_path / "candles_BTCUSDT_1h.csv"
    whole = [h for h in range(100) if h not in ITS_OWN]
    path.write_text(HEADER + "".join(row(h) for h in whole))
    code, file = verify(machine, exchange.rest_url, path)
    assert (code, file["missing"], file["exchange"], file["ours"]) == (0, 7, 7, 0)
    code, _ = verify(machine, exchange.rest_url, path, "--strict")
    assert code == 1
    asked = exchange.requests
    path.write_text(HEADER + "".join(row(h) for h in whole if h not in ours))
    code, file = verify(machine, exchange.rest_url, path)
    assert (code, file["exchange"], file["ours"], file["unknown"]) == (1, 7, 4, 0)
    assert [gap["whose"]["ours"] for gap in file["gaps"]] == [2, 1, 0, 1, 0]  # type: ignore[attr-defined]
    assert "backfill" in file["remarks"][0]  # type: ignore[index]
    # A hundred slots are one page, and one more for what lies behind the last candle of an answer.
    assert exchange.requests - asked <= 2
    assert not path.with_name(path.name + ".gaps.jsonl").exists()


def test_a_hole_of_today_is_provisional_until_it_is_looked_at_again(
    machine: Machine, tmp_path: Path
) -> None:
    now = SystemClock().wall_ms()
    first = M1.floor(now - 2 * HOUR)
    market = AlteredMarket(Market(7))
    market.remove(first + 5 * MINUTE, first + 8 * MINUTE)
    path = tmp_path / "candles_BTCUSDT_1m.csv"
    with ExchangeThread(market) as exchange:
        rows = exchange.do(lambda server: server.truth("BTCUSDT", M1, first, first + 20 * MINUTE))
        path.write_bytes(HEADER.encode() + b"".join(candle.row() for candle in rows))
        for _ in range(2):
            code, file = verify(machine, exchange.rest_url, path)
            assert (code, file["exchange_provisional"], file["exchange"]) == (1, 3, 0)
        looks = path.with_name(path.name + ".gaps.jsonl")
        (line,) = looks.read_text().splitlines()
        told = json.loads(line)
        assert told["candles"] == 3
        looks.write_text(json.dumps(told | {"looked": to_text(now - 31 * MINUTE)}) + "\n")
        code, file = verify(machine, exchange.rest_url, path)
        assert (code, file["exchange_provisional"], file["exchange"]) == (0, 0, 3)


def test_rest_that_can_not_be_asked_is_a_remark_and_a_finding(
    machine: Machine, tmp_path: Path, exchange: ExchangeThread
) -> None:
    path = tmp_path / "candles_NOPEUSDT_1h.csv"
    path.write_text(HEADER + row(1) + row(3))
    done = machine.run("analyze-gaps", str(path), "--verify", "--rest-url", exchange.rest_url)
    assert done.returncode == 2
    assert "NOPEUSDT" in done.stderr
    nameless = tmp_path / "export.csv"
    nameless.write_text(HEADER + "".join(map(row, (1, 2, 3, 5))))
    done = machine.run("analyze-gaps", str(nameless), "--verify", "--rest-url", exchange.rest_url)
    assert (done.returncode, "its name tells no symbol" in done.stderr) == (2, True)
    code, file = verify(machine, exchange.rest_url, nameless, "--symbol", "btcusdt")
    assert (code, file["ours"]) == (1, 1)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data beside the project")
def test_the_real_archive_with_rows_cut_out(machine: Machine, tmp_path: Path) -> None:
    source = DATA / "klines-1h" / "BTCUSDT-1h-2018.csv.gz"
    lines = gzip.decompress(source.read_bytes()).splitlines(keepends=True)
    path = tmp_path / "BTCUSDT-1h-2018.csv"
    with ExchangeThread(HistoryMarket(Market(7), [source])) as exchange:
        path.write_bytes(b"".join(lines))
        code, file = verify(machine, exchange.rest_url, path)
        assert (code, file["missing"], file["exchange"], file["ours"]) == (0, 104, 104, 0)
        del lines[5000:5005], lines[7000]
        path.write_bytes(b"".join(lines))
        code, file = verify(machine, exchange.rest_url, path)
        assert (code, file["missing"], file["exchange"], file["ours"]) == (1, 110, 104, 6)
