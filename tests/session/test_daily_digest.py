"""The daily digest: when it is due, and what the files of a session say of the day."""

from __future__ import annotations

from pathlib import Path

from kline_ops.alerts.message import Level
from kline_ops.alerts.words import Subject
from kline_ops.config.settings import load_settings
from kline_ops.market.timestamp import to_ms
from kline_ops.session.daily_digest import Daily, summary
from tests.support.trial import write_config

SUBJECT = Subject("trial", "BTCUSDT", "1h")
NOON = to_ms("2026-11-30T12:00:00Z")


def test_a_new_session_has_no_yesterday_and_then_it_is_told_each_day() -> None:
    daily = Daily("00:05")
    assert not daily.is_due(0.0, to_ms("2026-11-30T20:00:00Z"), settled=True)
    assert daily.day == "2026-11-30"
    late = to_ms("2026-12-01T00:05:00Z")
    assert not daily.is_due(1.0, late, settled=False)
    assert daily.is_due(2.0, late, settled=True)
    daily.told(late)
    assert not daily.is_due(3.0, late, settled=True)


def test_it_does_not_wait_for_ever_for_what_is_being_fetched() -> None:
    daily = Daily("00:05", "2026-11-27")
    late = to_ms("2026-11-30T09:00:00Z")
    assert not daily.is_due(100.0, late, settled=False)
    assert not daily.is_due(699.0, late, settled=False)
    assert daily.is_due(700.0, late, settled=False)
    # Days that nobody was there for are not told one by one.
    daily.told(late)
    assert daily.day == "2026-11-30"


def test_where_it_is_not_wanted_it_is_never_due() -> None:
    daily = Daily(None, "2026-11-01")
    assert not daily.is_due(0.0, to_ms("2026-11-30T09:00:00Z"), settled=True)


def test_a_day_is_counted_from_the_candle_file_and_the_event_log(tmp_path: Path) -> None:
    path = write_config(tmp_path, "ws://x", None, binance__stream__timeframe="1h")
    settings = load_settings("trial", path, {})
    told = summary(settings, SUBJECT, NOON)
    assert told.level is Level.WARNING
    assert told.title == "BTCUSDT 1h 2026-11-29: could not be counted"
    settings.data_dir.mkdir()
    rows = [f"2026-11-29T{hour:02}:00:00Z,1,1,1,1,1" for hour in range(24) if hour != 5]
    settings.csv.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows, ""]))
    told = summary(settings, SUBJECT, NOON)
    assert told.level is Level.WARNING
    assert "INCOMPLETE: 24 owed, 23 on disk, 1 missing, 23 live, 0 by REST" in told.title
    assert told.text.startswith("Missing: 2026-11-29T05:00:00Z.")
    settings.events_file.write_text(
        '{"ts":"2026-11-29T09:00:00Z","kind":"hole_confirmed","first":"2026-11-29T05:00:00Z",'
        '"last":"2026-11-29T05:00:00Z","candles":1}\n{"torn'
    )
    told = summary(settings, SUBJECT, NOON)
    assert told.level is Level.SUCCESS
    assert "complete: 24 owed, 23 on disk, 1 that the exchange has none of" in told.title
