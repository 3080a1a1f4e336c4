"""``kline-ops backfill``: real processes against the embedded exchange."""

from __future__ import annotations

import json
import os
import pty
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kline_ops.clock import SystemClock
from kline_ops.market import timestamp
from kline_ops.market.interval import MINUTE_MS, Interval
from kline_ops.record.contents import HEADER_LINE
from kline_ops.record.journal import Journal
from tests.support.exchange_thread import ExchangeThread
from tests.support.machine import Machine, until

GRID = Interval("1m")
NAME = "candles_BTCUSDT_1m.csv"
#: 3000 candles.
FROM, UNTIL = "2026-01-05T00:00:00Z", "2026-01-07T02:00:00Z"
SPAN = ("--from", FROM, "--until", UNTIL)


@pytest.fixture
def exchange() -> Iterator[ExchangeThread]:
    with ExchangeThread() as running:
        yield running


def truth(exchange: ExchangeThread, first: str = FROM, end: str = UNTIL) -> list[bytes]:
    last_ms = timestamp.to_ms(end) - MINUTE_MS
    found = exchange.do(
        lambda server: server.truth("BTCUSDT", GRID, timestamp.to_ms(first), last_ms)
    )
    return [HEADER_LINE, *(candle.row() for candle in found)]


def test_the_head_the_holes_and_the_tail_are_filled(
    machine: Machine, exchange: ExchangeThread
) -> None:
    path = machine.folder / NAME
    lines = truth(exchange)
    kept = [line for at, line in enumerate(lines) if at == 0 or (500 <= at < 2500 and at % 100)]
    path.write_bytes(b"".join(kept))
    done = machine.run("backfill", NAME, *SPAN, "--rest-url", exchange.rest_url)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == b"".join(lines)
    assert done.stdout == (
        f"{NAME}: 3000 owed, {len(kept) - 1} on disk before, {3001 - len(kept)} filled,"
        " the exchange has none: 0, still missing: 0\n"
    )
    asked = exchange.requests
    again = machine.run("backfill", NAME, *SPAN, "--rest-url", exchange.rest_url)
    assert again.returncode == 0
    assert exchange.requests == asked
    assert ", 0 filled," in again.stdout


def test_the_tail_reaches_to_the_last_candle_that_is_closed(
    machine: Machine, exchange: ExchangeThread
) -> None:
    path = machine.folder / NAME
    start = timestamp.to_text(GRID.shift(GRID.floor(SystemClock().wall_ms()), -30))
    began = SystemClock().wall_ms()
    done = machine.run("backfill", NAME, "--from", start, "--rest-url", exchange.rest_url)
    assert done.returncode == 0, done.stderr
    ends = {GRID.floor(now - 2_000) for now in (began, SystemClock().wall_ms())}
    assert path.read_bytes() in {
        b"".join(truth(exchange, start, timestamp.to_text(end))) for end in ends
    }


def test_a_dry_run_says_what_it_would_ask_and_writes_nothing(
    machine: Machine, exchange: ExchangeThread
) -> None:
    path = machine.folder / NAME
    lines = truth(exchange)
    before = b"".join(lines[:100] + lines[101:200] + lines[210:])
    path.write_bytes(before)
    files = {found.name for found in machine.folder.iterdir()}
    command = ("backfill", NAME, *SPAN, "--dry-run", "--rest-url", exchange.rest_url)
    looked = machine.run(*command)
    assert looked.returncode == 1
    assert looked.stdout.splitlines() == [
        "would ask for 2026-01-05T01:39:00Z, 1 candle",
        "would ask for 2026-01-05T03:19:00Z to 2026-01-05T03:28:00Z, 10 candles",
        f"{NAME}: 3000 owed, 11 missing, 2 request(s) or more; nothing was written",
    ]
    assert path.read_bytes() == before
    assert {found.name for found in machine.folder.iterdir()} - files <= {"state"}
    assert exchange.requests == 0
    path.write_bytes(b"".join(lines))
    assert machine.run(*command).returncode == 0


def test_a_dry_run_begins_no_file(machine: Machine, exchange: ExchangeThread) -> None:
    looked = machine.run(
        "backfill", NAME, *SPAN, "--dry-run", "--rest-url", exchange.rest_url
    )  # fmt: skip
    assert looked.returncode == 1
    assert "3000 owed, 3000 missing, 3 request(s)" in looked.stdout
    assert not list(machine.folder.glob("candles*"))


def test_what_the_exchange_does_not_have_is_told_and_is_no_failure(
    machine: Machine, exchange: ExchangeThread
) -> None:
    listed = exchange.do(lambda server: server.market.first_open(GRID))
    first = timestamp.to_text(listed - 10 * MINUTE_MS)
    end = timestamp.to_text(listed + 5 * MINUTE_MS)
    done = machine.run(
        "backfill", NAME, "--from", first, "--until", end, "--rest-url", exchange.rest_url
    )
    assert done.returncode == 0
    assert "15 owed, 0 on disk before, 5 filled, the exchange has none: 10, " in done.stdout
    assert f"not there now: {first} to " in done.stdout


def test_an_outage_of_rest_in_the_middle_is_waited_out(
    machine: Machine, exchange: ExchangeThread
) -> None:
    child = machine.begin(
        "backfill", NAME, "--from", "2026-01-05", "--until", "2026-01-25",
        "--rest-url", exchange.rest_url,
    )  # fmt: skip
    until(lambda: exchange.requests >= 3)
    exchange.do(lambda server: server.rest_down(1.5))
    output, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors
    assert "answered 503" in errors
    assert "again in 1 s" in errors
    assert "28800 owed, 0 on disk before, 28800 filled" in output
    lines = truth(exchange, "2026-01-05", "2026-01-25")
    assert (machine.folder / NAME).read_bytes() == b"".join(lines)


def test_on_a_terminal_there_is_a_bar_and_the_sum_stays(
    machine: Machine, exchange: ExchangeThread
) -> None:
    controller, terminal = pty.openpty()
    for command in (("backfill", NAME, *SPAN), ("verify", NAME)):
        child = machine.begin(*command, "--rest-url", exchange.rest_url, stdout=terminal)
        seen = b""
        while b"compared" not in seen and b"still missing: 0" not in seen:
            seen += os.read(controller, 4096)
        assert child.wait(20) == 0
        assert b"3000/3000" in seen
    os.close(terminal)
    os.close(controller)


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("holes", [False, True], ids=["tail", "holes"])
def test_an_end_in_the_middle_leaves_a_good_file_and_another_run_goes_on(
    machine: Machine, exchange: ExchangeThread, number: signal.Signals, holes: bool
) -> None:
    path = machine.folder / NAME
    lines = truth(exchange, "2026-01-05", "2026-01-19")
    if holes:
        path.write_bytes(b"".join([lines[0], *lines[1::2000], lines[-1]]))
    command = (
        "backfill", NAME, "--from", "2026-01-05", "--until", "2026-01-19",
        "--rest-url", exchange.rest_url,
    )  # fmt: skip
    child = machine.begin(*command)
    until(lambda: exchange.requests >= 6)
    child.send_signal(number)
    _, errors = child.communicate(timeout=30)
    if number is signal.SIGINT:
        assert child.returncode == 130
        assert errors == "interrupted; what came is on disk, another run goes on\n"
        # What had been gathered is not thrown away.
        assert len(path.read_bytes()) > 200_000
    else:
        assert child.returncode == -number
    rows = [row for row in path.read_bytes().splitlines(keepends=True) if row.endswith(b"\n")]
    assert set(rows) <= set(lines)
    assert sorted(rows[1:]) == rows[1:]
    done = machine.run(*command)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == b"".join(lines)


def test_a_file_that_is_being_recorded_is_left_to_its_recorder(
    machine: Machine, exchange: ExchangeThread
) -> None:
    path = machine.folder / NAME
    lines = truth(exchange)
    for content, code, count in ((lines, 0, 0), (lines[:9] + lines[12:], 1, 3)):
        path.write_bytes(b"".join(content))
        journal = Journal(path, GRID, owner="mine")
        journal.lock()
        done = machine.run("backfill", NAME, *SPAN, "--rest-url", exchange.rest_url)
        assert done.returncode == code
        assert "(session mine); it fills what is missing itself" in done.stdout
        assert f"{count} of 3000 missing now" in done.stdout
        assert path.read_bytes() == b"".join(content)
        journal.close()
    assert exchange.requests == 0


def session(machine: Machine, exchange: ExchangeThread) -> Path:
    """A config for a session ``mine``; answers where its candles are."""
    folder = machine.folder / "config" / "kline-ops"
    folder.mkdir(parents=True)
    tree = {
        "binance": {
            "ws_url": exchange.server.ws_url,
            "rest_url": exchange.rest_url,
            "stream": {"symbol": "btcusdt", "timeframe": "1m"},
        },
        "record": {"since": FROM},
    }
    (folder / "mine.yml").write_text(yaml.safe_dump(tree))
    return machine.data("mine") / NAME


def test_a_session_brings_all_from_its_config(machine: Machine, exchange: ExchangeThread) -> None:
    path = session(machine, exchange)
    done = machine.run("backfill", "mine", "--until", UNTIL)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == b"".join(truth(exchange))


def test_a_ban_that_another_process_met_is_kept_to(
    machine: Machine, exchange: ExchangeThread
) -> None:
    state = machine.folder / "state" / "kline-ops"
    state.mkdir(parents=True)
    until_ms = SystemClock().wall_ms() + 7_200_000
    key = exchange.rest_url.removeprefix("http://")
    ban = {"until_ms": until_ms, "seconds": 7200}
    (state / "budget.json").write_text(json.dumps({key: {"bans": {"request": ban}}}))
    began = time.monotonic()
    done = machine.run("backfill", NAME, *SPAN, "--rest-url", exchange.rest_url)
    assert time.monotonic() - began < 20
    assert done.returncode == 1
    assert "waiting for the request budget, 7" in done.stderr
    assert exchange.server.rest_requests.total() == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("candles_BTCUSDT_1m.csv",), "does not exist"),
        (("candles.csv", "--from", "2026-01-01"), "tells no symbol"),
        (("candles.csv", "--symbol", "BTCUSDT"), "tells no interval"),
        (("candles.csv", "--symbol", "BTCUSDT", "--interval", "7m"), "unknown interval"),
        (("candles_BTCUSDT_1m.csv", "--interval", "1h"), "holds 1m by its name"),
        (("candles_BTCUSDT_1m.csv", "--from", "soon"), "not a time"),
        (("candles_BTCUSDT_1m.csv", "--environment", "moon"), "no environment"),
        (("candles_BTCUSDT_1m.csv", "--rest-url", "ftp://x"), "address"),
        (("BTCUSDT-1m-2026.zip", "--from", FROM), "no candle file of kline-ops"),
        (("mine", "--symbol", "BTCUSDT"), "has its own"),
        (("mine", "--rest-url", "https://api.binance.us"), "another market"),
    ],
)
def test_input_that_can_not_be_used_is_one_line_and_two(
    machine: Machine, arguments: tuple[str, ...], words: str
) -> None:
    folder = machine.folder / "config" / "kline-ops"
    folder.mkdir(parents=True)
    (folder / "mine.yml").write_text("binance: {stream: {symbol: btcusdt, timeframe: 1m}}\n")
    for command in ("backfill", "verify"):
        if (command, words) == ("verify", "does not exist"):
            words = "cannot read"
        done = machine.run(command, *arguments)
        assert done.returncode == 2, done
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
    assert not list(machine.folder.glob("candles*"))


def test_a_symbol_that_the_exchange_does_not_know_is_an_input_error(
    machine: Machine, exchange: ExchangeThread
) -> None:
    done = machine.run(
        "backfill", "candles_NOPEUSDT_1m.csv", *SPAN, "--rest-url", exchange.rest_url
    )
    assert done.returncode == 2
    assert "Invalid symbol" in done.stderr
    assert not list(machine.folder.glob("candles*"))


def test_a_file_of_another_kind_is_not_touched(machine: Machine, exchange: ExchangeThread) -> None:
    path = machine.folder / NAME
    path.write_text("my,own,table\n1,2,3\n")
    done = machine.run("backfill", NAME, *SPAN, "--rest-url", exchange.rest_url)
    assert done.returncode == 2
    assert "not a candle file" in done.stderr
    assert path.read_text() == "my,own,table\n1,2,3\n"


def test_no_such_session(machine: Machine) -> None:
    for command in ("backfill", "verify"):
        assert machine.run(command, "nobody").returncode == 4
