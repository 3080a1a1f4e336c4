"""``kline-ops verify``: real processes against the embedded exchange."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from kline_ops.record.journal import Journal
from tests.cli.test_backfill import GRID, NAME, session, truth
from tests.support.exchange_thread import ExchangeThread
from tests.support.machine import Machine


@pytest.fixture
def exchange() -> Iterator[ExchangeThread]:
    with ExchangeThread() as running:
        yield running


def edited(lines: list[bytes]) -> list[bytes]:
    """A close that was amended, and rows that went away."""
    fields = lines[1500].decode().rstrip("\n").split(",")
    fields[4], fields[5] = fields[3], "7"
    return [*lines[:1500], (",".join(fields) + "\n").encode(), *lines[1501:2000], *lines[2003:]]


def test_equal_is_zero(machine: Machine, exchange: ExchangeThread) -> None:
    lines = truth(exchange)
    (machine.folder / NAME).write_bytes(b"".join(lines))
    done = machine.run("verify", NAME, "--rest-url", exchange.rest_url)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"{NAME}: 3000 compared, 0 amended, 0 not at the exchange, 0 not in the file\n"
    )
    assert exchange.requests == 3


def test_findings_are_told_and_nothing_is_rewritten(
    machine: Machine, exchange: ExchangeThread
) -> None:
    path = machine.folder / NAME
    lines = truth(exchange)
    path.write_bytes(b"".join(edited(lines)))
    before = path.read_bytes()
    done = machine.run("verify", NAME, "--rest-url", exchange.rest_url)
    assert done.returncode == 1
    said = done.stdout.splitlines()
    assert said[-1] == f"{NAME}: 2997 compared, 1 amended, 0 not at the exchange, 3 not in the file"
    assert said[-2] == "not in the file: 2026-01-06T09:19:00Z to 2026-01-06T09:21:00Z, 3 candles"
    _, _, _, _, close, volume = lines[1500].decode().rstrip("\n").split(",")
    assert f"amended: 2026-01-06T00:59:00Z volume: ours 7, theirs {volume}" in said
    assert any("close: ours" in line and f"theirs {close}" in line for line in said)
    assert path.read_bytes() == before


def test_rows_that_rest_does_not_have_are_told(machine: Machine, exchange: ExchangeThread) -> None:
    listed = exchange.do(lambda server: server.market.first_open(GRID))
    rows = exchange.do(lambda server: server.truth("BTCUSDT", GRID, listed, listed + 9 * 60_000))
    early = [
        b"%s,1,1,1,1,0\n" % text for text in (b"2016-12-31T23:58:00Z", b"2016-12-31T23:59:00Z")
    ]
    path = machine.folder / NAME
    lines = truth(exchange)
    path.write_bytes(b"".join([lines[0], *early, *(candle.row() for candle in rows)]))
    done = machine.run(
        "verify", NAME, "--until", "2017-01-02", "--json", "--rest-url", exchange.rest_url
    )
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert {"first": "2016-12-31T23:58:00Z", "last": "2016-12-31T23:59:00Z", "candles": 2} in told[
        "not_at_exchange"
    ]


def test_a_session_keeps_what_was_found_in_its_event_log_while_it_records(
    machine: Machine, exchange: ExchangeThread
) -> None:
    path = session(machine, exchange)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(edited(truth(exchange))))
    events = path.parent / "events.jsonl"
    events.write_text('{"ts":"2026-01-05T00:00:00Z","kind":"live"}\n')
    journal = Journal(path, GRID, owner="mine")
    journal.lock()
    done = machine.run("verify", "mine", "--json")
    journal.close()
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert [found["column"] for found in told["amended"]] == ["close", "volume"]
    assert told["not_in_file"][0]["candles"] == 3
    first, noted = map(json.loads, events.read_text().splitlines())
    assert first["kind"] == "live"
    assert noted["kind"] == "candle_amended"
    assert noted["open_time"] == "2026-01-06T00:59:00Z"
    assert noted["kept"].endswith(",7")
    assert noted["seen"] == truth(exchange)[1500].decode().rstrip("\n").partition(",")[2]


def test_a_window_says_what_is_compared(machine: Machine, exchange: ExchangeThread) -> None:
    (machine.folder / NAME).write_bytes(b"".join(truth(exchange)[:-5]))
    span = ("--from", "2026-01-07T01:00:00Z", "--until", "2026-01-07T02:00:00Z")
    done = machine.run("verify", NAME, *span, "--rest-url", exchange.rest_url)
    assert done.returncode == 1
    assert "55 compared, 0 amended, 0 not at the exchange, 5 not in the file" in done.stdout


def test_a_row_that_is_none_is_an_input_error(machine: Machine, exchange: ExchangeThread) -> None:
    lines = truth(exchange)
    lines[70] = b"hello\n"
    (machine.folder / NAME).write_bytes(b"".join(lines))
    done = machine.run("verify", NAME, "--rest-url", exchange.rest_url)
    assert done.returncode == 2
    assert "no row in its place at byte" in done.stderr
    assert "Try: backfill" in done.stderr


def test_a_row_that_can_not_be_is_a_finding_as_any_other(
    machine: Machine, exchange: ExchangeThread
) -> None:
    lines = truth(exchange)
    fields = lines[70].decode().rstrip("\n").split(",")
    fields[1] = "1.00"  # an open far below the low
    (machine.folder / NAME).write_bytes(
        b"".join([*lines[:70], (",".join(fields) + "\n").encode(), *lines[71:]])
    )
    done = machine.run("verify", NAME, "--rest-url", exchange.rest_url)
    assert (done.returncode, done.stderr) == (1, "")
    assert "open: ours 1.00, theirs" in done.stdout


def test_a_span_without_a_candle_is_an_error(machine: Machine, exchange: ExchangeThread) -> None:
    """A typo in a crontab must not be a green light."""
    (machine.folder / NAME).write_bytes(b"".join(truth(exchange)))
    for span in (["--from", "2030-01-01"], ["--until", "2020-01-01"]):
        done = machine.run("verify", NAME, *span, "--rest-url", exchange.rest_url)
        assert done.returncode == 2
        assert "no candle closes between these times" in done.stderr
