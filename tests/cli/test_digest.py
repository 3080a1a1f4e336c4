"""The daily digest: what it says, what it writes down, and what it finds beside the other intervals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kline_ops.alerts import Level
from kline_ops.cli.digest import Digest, digest
from kline_ops.errors import InputError
from kline_ops.exchange.market import Market
from kline_ops.market.candle import Candle
from kline_ops.market.interval import DAY_MS, HOUR_MS, MINUTE_MS, parse
from kline_ops.market.timestamp import to_ms
from kline_ops.watch.registry import KnownSession, remember

DAY = to_ms("2026-11-29")
NOW = DAY + DAY_MS + 7 * MINUTE_MS
MARKET = Market(5)
HEADER = "timestamp,open,high,low,close,volume\n"


def rows(interval: str, start: int, end: int, without: tuple[int, ...] = ()) -> dict[int, str]:
    """Rows of the invented market by their open times."""
    kind = parse(interval)
    found = {}
    at = kind.ceil(start)
    while at < end:
        if at not in without:
            bar = MARKET.bar("BTCUSDT", kind, at)
            candle = Candle(at, bar.open, bar.high, bar.low, bar.close, bar.volume)
            found[at] = candle.row().decode()
        at = kind.after(at)
    return found


def session(folder: Path, name: str, interval: str, endpoint: str = "wss://x/ws") -> KnownSession:
    data = folder / name
    data.mkdir(exist_ok=True)
    known = KnownSession(
        name=name,
        config=str(data / "c.yml"),
        data_dir=str(data),
        csv=str(data / f"candles_BTCUSDT_{parse(interval).file_token}.csv"),
        state_file="",
        events_file="",
        log_file="",
        exit_file="",
        symbol="BTCUSDT",
        interval=interval,
        endpoint=endpoint,
        tmux_socket="x",
    )
    remember(known)
    return known


def write(known: KnownSession, lines: dict[int, str]) -> None:
    Path(known.csv).write_text(HEADER + "".join(lines.values()))


def hours(*missing: int) -> dict[int, str]:
    return rows("1h", DAY - DAY_MS, NOW - HOUR_MS, tuple(DAY + n * HOUR_MS for n in missing))


def manifest(known: KnownSession) -> list[dict[str, object]]:
    path = Path(known.data_dir) / "manifest.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def demo(tmp_path: Path) -> KnownSession:
    known = session(tmp_path, "demo", "1h")
    write(known, hours())
    return known


def said(known: KnownSession, **options: str) -> Digest:
    return digest(known, NOW, **options)


def test_complete(demo: KnownSession) -> None:
    told = said(demo)
    assert told.text == "demo BTCUSDT 1h 2026-11-29: complete: 24 owed, 24 on disk"
    assert (told.exit_code, told.is_finding) == (0, False)
    assert told.facts["Missing"] == "0"
    assert told.message().level is Level.SUCCESS
    (line,) = manifest(demo)
    assert (line["day"], line["owed"], line["on_disk"]) == ("2026-11-29", 24, 24)
    assert said(demo) == told
    assert len(manifest(demo)) == 1


@pytest.mark.parametrize(
    ("missing", "times"),
    [
        ((3, 4), "2 missing: 03:00, 04:00"),
        ((0,), "1 missing: 00:00"),
        ((23,), "1 missing: 23:00"),
        ((3, 4, 5, 9), "4 missing: 03:00 to 05:00, 09:00"),
        (tuple(range(24)), "24 missing: 00:00 to 23:00"),
        (
            (0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20),
            "11 missing: "
            + ", ".join(f"{hour:02d}:00" for hour in range(0, 19, 2))
            + ", and 1 more",
        ),
    ],
)
def test_incomplete(demo: KnownSession, missing: tuple[int, ...], times: str) -> None:
    write(demo, hours(*missing))
    told = said(demo)
    count = len(missing)
    assert told.headline == (
        f"demo BTCUSDT 1h 2026-11-29: INCOMPLETE: 24 owed, {24 - count} on disk, {times}"
    )
    assert told.exit_code == 1
    assert told.message().level is Level.WARNING


def test_what_the_exchange_itself_has_none_of_is_not_missed(
    demo: KnownSession, tmp_path: Path
) -> None:
    write(demo, hours(3, 4))
    events = tmp_path / "events.jsonl"
    known = replace(demo, events_file=str(events))
    started = {"ts": "2026-11-28T00:00:00Z", "kind": "session_started", "name": "demo"}
    hole = {"ts": "2026-11-29T06:00:00Z", "kind": "hole_confirmed"}
    for last, candles, well in (("03", 1, False), ("04", 2, True)):
        span = {"first": "2026-11-29T03:00:00Z", "last": f"2026-11-29T{last}:00:00Z"}
        lines = (started, hole | span | {"candles": candles})
        events.write_text("".join(json.dumps(line) + "\n" for line in lines))
        found = said(known)
        assert (found.exit_code == 0) is well
    assert found.headline.endswith(
        "complete: 24 owed, 22 on disk, and 2 that the exchange has none of"
    )


def test_seconds_are_told_by_the_second(tmp_path: Path) -> None:
    known = session(tmp_path, "sec", "1s")
    lost = tuple(DAY + 61_000 + n for n in (0, 1_000))
    write(known, rows("1s", DAY - 1000, DAY + 600_000, lost))
    assert said(known).headline == (
        "sec BTCUSDT 1s 2026-11-29: INCOMPLETE: 86,400 owed, 598 on disk,"
        " 85,802 missing: 00:01:01, 00:01:02, 00:10:00 to 23:59:59"
    )


def test_a_candle_on_its_way_is_not_missed(demo: KnownSession) -> None:
    """Four seconds after midnight the day before is not over yet, by our clock."""
    write(demo, rows("1h", DAY - DAY_MS, DAY + 23 * HOUR_MS))
    told = digest(demo, DAY + DAY_MS + 4_000)
    assert told.headline.startswith("demo BTCUSDT 1h 2026-11-28: complete")


def test_a_day_that_is_asked_for(demo: KnownSession) -> None:
    assert said(demo, day="2026-11-28").headline.startswith("demo BTCUSDT 1h 2026-11-28: complete")
    assert said(demo, day="2026-11-27").headline.endswith("2026-11-27: nothing was owed")
    with pytest.raises(InputError, match=r"2026-11-30 is not over yet \(UTC\)"):
        said(demo, day="2026-11-30")
    with pytest.raises(InputError, match="'today' is no day"):
        said(demo, day="today")


def test_late_candles_are_told_and_are_no_finding(demo: KnownSession) -> None:
    write(demo, hours(3, 4))
    assert said(demo).exit_code == 1
    write(demo, hours())
    told = said(demo)
    assert told.details == ("2026-11-29: 2 came late, 24 of 24 on disk now",)
    assert told.exit_code == 0
    assert [line.get("changed", False) for line in manifest(demo)] == [False, True]
    assert said(demo).details == ()


def test_changed_rows_are_a_finding(demo: KnownSession) -> None:
    said(demo, day="2026-11-28")
    lines = hours()
    at = DAY - 3 * HOUR_MS
    lines[at] = lines[at].replace(",", ",1", 1)
    write(demo, lines)
    told = said(demo)
    assert told.details == ("rows of 2026-11-28 changed: 24 on disk as before, other numbers",)
    assert told.exit_code == 1
    assert told.facts["Days that changed"] == "2026-11-28"
    assert told.message().level is Level.CRITICAL
    assert said(demo).exit_code == 0


def test_rows_that_have_gone_are_a_finding(demo: KnownSession) -> None:
    said(demo, day="2026-11-28")
    write(demo, hours(-3))
    told = said(demo)
    assert told.details == ("rows of 2026-11-28 are gone: 24 on disk, now 23",)
    assert told.exit_code == 1


def test_a_manifest_that_can_not_be_written_is_told(demo: KnownSession) -> None:
    (Path(demo.data_dir) / "manifest.jsonl").symlink_to("/nowhere/manifest.jsonl")
    told = said(demo)
    assert "complete" in told.headline
    assert told.details[0].startswith("the manifest can not be written: ")
    assert told.exit_code == 1


def test_shorter_candles_make_the_longer_ones(demo: KnownSession, tmp_path: Path) -> None:
    minutes = session(tmp_path, "min", "1m")
    write(minutes, rows("1m", DAY - HOUR_MS, NOW, (DAY + 5 * HOUR_MS,)))
    told = said(demo)
    assert told.details == ("demo 1h is what min 1m makes: 23 compared",)
    assert told.facts["Beside min (1m)"] == "23 compared, 0 differ"
    assert told.exit_code == 0
    # From the other side it is the same.
    assert said(minutes).details == ("demo 1h is what min 1m makes: 23 compared",)


def test_a_longer_candle_that_differs_is_a_finding(demo: KnownSession, tmp_path: Path) -> None:
    minutes = session(tmp_path, "min", "1m")
    write(minutes, rows("1m", DAY, NOW))
    lines = hours()
    at = DAY + 7 * HOUR_MS
    time, opened, high, low, close, volume = lines[at].rstrip("\n").split(",")
    lines[at] = f"{time},{opened},{high},{low},{close},{volume}1\n"
    write(demo, lines)
    told = said(demo)
    (line,) = told.details
    assert line.startswith(f"demo 1h 2026-11-29T07:00:00Z volume: {volume}1, and min 1m makes")
    assert told.exit_code == 1
    assert told.message().level is Level.CRITICAL
    assert said(minutes).exit_code == 1


def test_many_that_differ_are_not_told_one_by_one(demo: KnownSession, tmp_path: Path) -> None:
    minutes = session(tmp_path, "min", "1m")
    write(minutes, {ms: row.replace(",", ",9", 1) for ms, row in rows("1m", DAY, NOW).items()})
    told = said(demo)
    assert len(told.details) == 11
    assert told.details[-1] == "and 14 more"


def test_a_week_is_held_against_its_days(tmp_path: Path) -> None:
    week = session(tmp_path, "week", "1w")
    days = session(tmp_path, "days", "1d")
    monday = to_ms("2026-11-23")
    write(week, rows("1w", monday - 7 * DAY_MS, NOW - DAY_MS))
    write(days, rows("1d", monday - DAY_MS, NOW - DAY_MS))
    told = said(week)
    assert told.headline == "week BTCUSDT 1w 2026-11-23: complete: 1 owed, 1 on disk"
    assert told.details == ("week 1w is what days 1d makes: 1 compared",)
    assert said(days).details == ()  # the week is told by the week's own digest


def test_who_is_not_beside_it(demo: KnownSession, tmp_path: Path) -> None:
    wrong = {ms: row.replace(",", ",9", 1) for ms, row in rows("1m", DAY, NOW).items()}
    for name, interval, endpoint in (
        ("us", "1m", "wss://stream.binance.us:9443/ws"),
        ("odd", "3d", "wss://x/ws"),
        ("same", "1h", "wss://x/ws"),
    ):
        write(session(tmp_path, name, interval, endpoint), wrong)
    session(tmp_path, "never", "1m")
    assert said(demo).details == ()


def test_one_that_can_not_be_read_is_told(demo: KnownSession, tmp_path: Path) -> None:
    broken = session(tmp_path, "min", "1m")
    lines = rows("1m", DAY, DAY + HOUR_MS)
    lines[DAY + MINUTE_MS] = "garbage\n"
    write(broken, lines)
    told = said(demo)
    assert told.details[0].startswith("min could not be compared: ")
    assert told.exit_code == 0


def test_no_file(demo: KnownSession) -> None:
    Path(demo.csv).unlink()
    with pytest.raises(InputError, match="cannot read"):
        said(demo)
