"""The daily word: when it is due, what the event log says of a day, and how that reads."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from kline_ops.alerts.digest import Counted, Tally, digest, due_day, tally
from kline_ops.alerts.message import Level
from kline_ops.alerts.words import Subject
from kline_ops.market.interval import parse
from kline_ops.market.timestamp import to_ms

HOUR = parse("1h")
SUBJECT = Subject("demo", "BTCUSDT", "1h")


@pytest.mark.parametrize(
    ("now", "at", "day"),
    [
        ("2026-11-30T00:04:59Z", "00:05", "2026-11-29"),
        ("2026-11-30T00:05:00Z", "00:05", "2026-11-30"),
        ("2026-11-30T23:59:00Z", "00:05", "2026-11-30"),
        ("2026-11-30T18:29:00Z", "18:30", "2026-11-29"),
        ("2026-11-30T00:00:00Z", "00:00", "2026-11-30"),
    ],
)
def test_it_is_due_once_a_day(now: str, at: str, day: str) -> None:
    assert due_day(to_ms(now), at) == day


def line(at: str, kind: str, **fields: Any) -> str:
    return json.dumps({"ts": at, "kind": kind, **fields})


def counted(*lines: str, day: str = "2026-11-29") -> Tally:
    return tally(reversed(lines), day, HOUR)


def test_restarts_of_the_day_are_counted_as_the_state_file_does() -> None:
    found = counted(
        line("2026-11-28T23:00:00Z", "replaced", old=1, new=2, why="planned"),
        line("2026-11-29T00:00:01Z", "live", connection=3),
        line("2026-11-29T00:00:05Z", "replaced", old=2, new=3, why="planned"),
        "torn",
        line("2026-11-29T04:00:00Z", "disconnected", connection=3, seconds=9.0),
        line("2026-11-29T04:00:01Z", "disconnected", connection=4, seconds=None),
        line("2026-11-29T04:00:02Z", "live", connection=5),
        line("2026-11-29T05:00:00Z", "replaced", old=5, new=6, why="stalled"),
        line("2026-11-29T06:00:00Z", "process_ended", role="recorder", code=None, signal="SIGKILL"),
        line("2026-11-29T06:00:01Z", "session_started", live=[]),
        line("2026-11-29T06:00:02Z", "live", connection=1),
        line("2026-11-29T07:00:00Z", "alerted", level="WARNING", step="opened", topic="stream"),
        line("2026-11-29T07:10:00Z", "alerted", level="CRITICAL", step="escalated", topic="stream"),
        line("2026-11-29T07:20:00Z", "alerted", level="SUCCESS", step="resolved", topic="stream"),
        line("2026-11-29T08:00:00Z", "alerted", level="INFO", step="passed", topic="stream"),
        line("2026-11-30T00:00:02Z", "disconnected", connection=1, seconds=9.0),
        line("2026-11-30T00:00:05Z", "live", connection=2),
    )
    assert (found.planned, found.unplanned, found.incidents) == (1, 3, 1)


def test_candles_of_the_day_count_whenever_they_came() -> None:
    def filled(at: str, first: str, last: str, candles: int, kind: str = "hole_filled") -> str:
        return line(at, kind, first=first, last=last, candles=candles, source="rest")

    found = counted(
        filled("2026-11-29T03:00:00Z", "2026-11-28T22:00:00Z", "2026-11-29T01:00:00Z", 4),
        filled("2026-11-29T05:00:00Z", "2026-11-29T03:00:00Z", "2026-11-29T03:00:00Z", 1),
        filled("2026-11-30T00:01:00Z", "2026-11-29T23:00:00Z", "2026-11-30T00:00:00Z", 2),
        filled(
            "2026-11-30T00:02:00Z", "2026-11-29T07:00:00Z", "2026-11-29T08:00:00Z", 2,
            "hole_confirmed",
        ),
        line("2026-11-30T00:03:00Z", "hole_filled", first=5, last=None, candles="x"),
    )  # fmt: skip
    assert (found.rest, found.nowhere) == (4, 2)


def test_a_good_day_is_one_line() -> None:
    told = digest(SUBJECT, Counted("2026-11-29", 24, 24), Tally(1, 0, 6, 1, 0))
    assert told.level is Level.SUCCESS
    assert told.title == (
        "BTCUSDT 1h 2026-11-29: complete: 24 owed, 24 on disk, 23 live, 1 by REST;"
        " 6 planned restarts, 1 unplanned, 0 incidents"
    )
    assert len(told.title) <= 150


def test_a_day_with_holes_names_them() -> None:
    missing = [to_ms(f"2026-11-29T{hour:02}:00:00Z") for hour in range(7)]
    told = digest(SUBJECT, Counted("2026-11-29", 24, 17, missing), Tally(nowhere=1))
    assert told.level is Level.WARNING
    assert "INCOMPLETE: 24 owed, 17 on disk, 6 missing, 1 that the exchange has none of" in (
        told.title
    )
    assert told.text.startswith("Missing: 2026-11-29T00:00:00Z, 2026-11-29T01:00:00Z")
    assert "analyze-gaps demo" in told.text


def test_what_the_exchange_itself_has_none_of_leaves_a_day_complete() -> None:
    told = digest(SUBJECT, Counted("2026-11-29", 24, 22), Tally(nowhere=2))
    assert told.level is Level.SUCCESS
    assert "complete: 24 owed, 22 on disk, 2 that the exchange has none of" in told.title


def test_a_day_of_holes_takes_no_memory() -> None:
    """The recorder counts it; what it takes it has for good."""

    def lines() -> Iterator[str]:
        fields = {"first": "2026-11-29T02:00:00Z", "last": "2026-11-29T02:00:00Z", "candles": 1}
        for _ in range(6_000):
            yield line("2026-11-29T02:00:01Z", "hole_filled", **fields)
            yield line("2026-11-29T02:00:01Z", "frame_rejected", reason="x", count=1)

    tracemalloc.start()
    try:
        found = tally(lines(), "2026-11-29", parse("1s"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.rest == 6_000
    assert peak < 1_000_000
