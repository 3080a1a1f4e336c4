"""What is read of a recorder from outside."""

from __future__ import annotations

import json
from pathlib import Path

from kline_ops.drill.evidence import CandleFile, EventLog
from kline_ops.drill.faults import Sign
from kline_ops.market.candle import HEADER, Candle
from kline_ops.market.interval import parse
from kline_ops.market.timestamp import to_ms, to_text

T0 = to_ms("2026-01-01T00:00:00Z")
HOLE = [Sign("hole_found")]


def line(second: float, kind: str, **fields) -> bytes:
    ts = to_text(T0 + round(second * 1000))
    return json.dumps({"ts": ts, "kind": kind, **fields}).encode() + b"\n"


def span(first: int, last: int) -> dict[str, str | int]:
    texts = [to_text(T0 + second * 1000) for second in (first, last)]
    return {"first": texts[0], "last": texts[1], "candles": last - first + 1}


def row(second: int) -> bytes:
    return Candle(T0 + second * 1000, "1", "1", "1", "1", "1").row()


def test_events_are_read_as_they_come_and_half_a_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path, parse("1s"))
    log.poll()
    whole = line(1, "live", connection=4)
    path.write_bytes(whole + whole[:9])
    log.poll()
    assert (len(log.events), log.live) == (1, {4})
    with path.open("ab") as file:
        file.write(whole[9:] + line(2, "disconnected", connection=4))
    log.poll()
    assert (len(log.events), log.live) == (3, set())


def test_a_killed_recorder_has_no_connection_and_a_broken_line_breaks_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path, parse("1s"))
    path.write_bytes(line(1, "live", connection=1) + b'{"ts":' + line(2, "x") + line(3, "y"))
    log.poll()
    assert log.live == {1}
    with path.open("ab") as file:
        file.write(line(4, "session_started"))
    log.poll()
    assert [event["kind"] for event in log.events] == ["live", "y", "session_started"]
    assert log.live == set()


def test_what_came_from_rest(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path, parse("1s"))
    path.write_bytes(line(9, "hole_filled", source="rest", **span(2, 4)))
    log.poll()
    assert log.from_rest == {T0 + 2000, T0 + 3000, T0 + 4000}


def test_a_hole_of_before_is_no_sign(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path, parse("1s"))
    path.write_bytes(
        line(9, "hole_found", **span(2, 4)) + line(10, "hole_found", **span(8, 8))
    )  # fmt: skip
    log.poll()
    found = log.sign(HOLE, T0 + 8500, 0)
    assert found is not None
    assert found["ts"] == T0 + 10_000
    assert log.sign(HOLE, T0 + 9500, 0) is None
    assert log.sign(HOLE, T0 + 8500, 2) is None


def test_rows_doubles_and_what_is_none(tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    file = CandleFile(path)
    file.poll()
    head = f"{HEADER}\n".encode()
    path.write_bytes(head + row(1) + row(3) + row(3) + row(2) + b"###\n" + row(5)[:10])
    file.poll()
    assert {ms: len(lines) for ms, lines in file.rows.items()} == {
        T0 + 1000: 1, T0 + 3000: 2, T0 + 2000: 1
    }  # fmt: skip
    assert file.strange == 2
    path.unlink()
    file.poll()
    assert file.rows == {}
