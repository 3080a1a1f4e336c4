"""What the page tells of a session's last day, held against the truth, analyze-gaps and the digest."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.alerts import digest
from kline_ops.errors import InputError
from kline_ops.gaps.find import report
from kline_ops.gaps.history import read_history
from kline_ops.gaps.whose import Known, explained
from kline_ops.market import interval as intervals
from kline_ops.market.candle import Candle
from kline_ops.market.interval import DAY_MS, HOUR_MS, MINUTE_MS
from kline_ops.market.span import Span
from kline_ops.market.timestamp import to_ms, to_text
from kline_ops.record.recorder import Recorder
from kline_ops.session.history import SPANS, History, Recorded, window_of
from kline_ops.watch.tail import Tail
from tests.support.heard import HOOK
from tests.support.trial import Trial, run_trial


def recorded(trial: Trial) -> Recorded:
    settings = trial.settings
    return Recorded(
        settings.name, settings.stream.symbol, settings.stream.interval,
        str(settings.csv), str(settings.events_file),
    )  # fmt: skip


def cells(told: dict[str, Any]) -> dict[int, str]:
    """The kind of each cell, by its open time in milliseconds."""
    return {
        at: str(kind)
        for first, last, kind, _ in told["cells"]
        for at in range(first, last + 1, told["cell_ms"])
    }


def kinds(told: dict[str, Any]) -> list[tuple[str, str]]:
    return [(mark["kind"], mark["level"]) for mark in told["marks"]]


def check(told: dict[str, Any]) -> None:
    """What holds of every answer."""
    figures = told["figures"]
    parts = ("stream", "rest", "missing", "exchange", "pending")
    assert figures["owed"] == sum(figures[kind] for kind in parts)
    for kind in parts:  # a minute tells of those that make it what it is
        in_cells = sum(candles for *_, what, candles in told["cells"] if what == kind)
        assert in_cells <= figures[kind]
        assert in_cells == figures[kind] or told["candles_per_cell"] > 1
    assert figures["on_disk"] == figures["stream"] + figures["rest"]
    firsts = [first for first, *_ in told["cells"]]
    assert firsts == sorted(firsts)
    assert all(told["from_ms"] <= first <= told["until_ms"] for first in firsts)
    for mark in told["marks"]:
        assert mark["title"]
        assert mark["level"] in {"info", "success", "warning", "critical"}
        assert mark["until_ms"] is None or mark["at_ms"] <= mark["until_ms"]


def agrees(told: dict[str, Any], trial: Trial) -> None:
    """analyze-gaps counts the same of the same time, from the same two files."""
    found = explained(
        report(trial.settings.csv, from_ms=_first_ms(trial), until_ms=told["until_ms"]),
        Known(history=read_history(trial.settings.events_file)),
    )
    figures = told["figures"]
    assert figures["owed"] == found.report.owed
    assert figures["on_disk"] == found.report.on_disk
    assert figures["rest"] == found.from_rest
    missing = {
        ms
        for gap in found.report.gaps
        for ms in range(gap.first_missing_ms, gap.last_missing_ms + 1, 1000)
    }
    assert figures["exchange"] == sum(
        candles
        for gap in found.gaps
        for whose, candles in gap.whose.items()
        if str(whose) == "exchange"
    )
    assert figures["missing"] + figures["exchange"] + figures["pending"] == len(missing)


def _first_ms(trial: Trial) -> int:
    return to_ms(trial.rows()[0].split(",")[0])


def test_each_candle_is_where_it_came_from_and_each_trouble_is_a_mark(tmp_path: Path) -> None:
    """A cut, a maintenance of the exchange, a silence, a planned restart, and a stop."""
    held: dict[str, Any] = {}

    async def script(trial: Trial) -> None:
        await asyncio.sleep(30)
        trial.server.refuse(20, tcp=True)
        trial.server.cut()
        await asyncio.sleep(40)
        trial.server.silence(15)
        await asyncio.sleep(45)
        held["while"] = History(recorded(trial)).answer("day", trial.clock.wall_ms())

    trial = run_trial(
        tmp_path, 130, script, credentials=HOOK, websocket__stall_timeout=5,
        binance__reconnect={"modulo": "2m", "margin_seconds": 5, "min_connection_duration": 1},
    )  # fmt: skip
    assert trial.rows() == trial.truth()
    known = History(recorded(trial))
    now_ms = trial.ended_ms
    told = known.answer("day", now_ms)
    check(held["while"])
    check(told)
    agrees(told, trial)
    assert told["figures"]["rest"] >= 10
    assert (told["candles_per_cell"], told["cell_ms"]) == (60, MINUTE_MS)
    assert "rest" in cells(told).values()
    found = dict(kinds(told))
    assert found["started"] == "info"
    assert found["restart"] == "success"
    assert found["dark"] in {"warning", "info"}
    assert {"stalled", "reconnect"} & set(found)
    (dark,) = [
        mark for mark in told["marks"] if mark["kind"] == "dark" and mark["level"] == "warning"
    ]
    assert 15_000 < dark["until_ms"] - dark["at_ms"] < 40_000
    assert "ended" in dark["title"]
    assert [mark for mark in told["marks"] if mark["kind"] == "alert"]
    assert known.answer("day", now_ms) == told  # only what is new is read, and nothing is
    assert History(recorded(trial)).answer("month", now_ms)["figures"] == told["figures"]


def test_a_look_while_it_goes_on_is_what_a_first_look_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that follows the files, second by second, through late candles and merges."""
    answers: list[tuple[dict[str, Any], dict[str, Any]]] = []
    sources: dict[int, str] = {}
    followed: list[History] = []
    tell = Recorder._tell_recorded

    def noted(self: Recorder, candles: list[Candle], source: str) -> None:
        sources.update((candle.open_ms, source) for candle in candles)
        tell(self, candles, source)

    monkeypatch.setattr(Recorder, "_tell_recorded", noted)

    async def script(trial: Trial) -> None:
        known = History(recorded(trial))
        followed.append(known)
        for second in range(80):
            if second == 10:
                trial.server.cut()
                trial.server.refuse(8, tcp=True)
            if second == 40:
                trial.server.rest_down(20)
                trial.server.late(6.0, 15.0)
            await asyncio.sleep(1)
            now_ms = trial.clock.wall_ms()
            answers.append(
                (known.answer("day", now_ms), History(recorded(trial)).answer("day", now_ms))
            )

    trial = run_trial(tmp_path, 90, script)
    assert trial.rows() == trial.truth()
    for each, fresh in answers:
        check(each)
        assert each == fresh
    # Candle by candle: whence the recorder had it.
    followed[0].answer("day", trial.ended_ms)
    reading = followed[0]._reading
    assert reading is not None
    told = {}
    for ms in sources:
        (cell,) = reading.ledger.coverage(Span(ms, ms + 1000), trial.ended_ms).cells
        told[ms] = cell.kind.value
    assert told == sources
    assert set(sources.values()) == {"stream", "rest"}


@pytest.mark.long
def test_what_the_exchange_has_none_of_is_its_own_and_what_nobody_has_is_missing(
    tmp_path: Path,
) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(20)
        now_ms = trial.clock.wall_ms()
        trial.server.maintenance(now_ms + 5_000, now_ms + 15_000)

    trial = run_trial(tmp_path, 2400, script)
    told = History(recorded(trial)).answer("day", trial.ended_ms)
    check(told)
    agrees(told, trial)
    assert 9 <= told["figures"]["exchange"] <= 11
    assert told["figures"]["missing"] == 0
    assert "exchange" in cells(told).values()
    # Rows that somebody took out of the file are missing.
    lines = trial.settings.csv.read_text().splitlines(keepends=True)
    trial.settings.csv.write_text("".join(lines[:500] + lines[520:]))
    told = History(recorded(trial)).answer("day", trial.ended_ms)
    check(told)
    assert told["figures"]["missing"] == 20
    assert sum(candles for *_, kind, candles in told["cells"] if kind == "missing") == 20


def test_the_figures_of_a_day_are_those_of_the_digest(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(40)
        trial.server.refuse(130, tcp=True)
        trial.server.cut()

    trial = run_trial(
        tmp_path, 230, script, binance__stream={"symbol": "btcusdt", "timeframe": "1m"},
        start_ms=to_ms("2025-12-31T23:56:10Z"),
    )  # fmt: skip
    with Tail(trial.settings.events_file) as log:
        tally = digest.tally(log.backwards(), "2025-12-31", trial.settings.stream.interval)
    told = History(recorded(trial)).answer("day", to_ms("2026-01-01T00:00:00Z"))
    check(told)
    agrees(told, trial)
    figures = told["figures"]
    assert (figures["rest"], figures["exchange"]) == (tally.rest, tally.nowhere)
    assert figures["rest"] >= 2
    assert figures["on_disk"] == len(trial.rows())


def test_a_killed_process_a_full_disk_and_clocks_are_marks(tmp_path: Path) -> None:
    lines = [
        ("00:00:00", "session_started", {"name": "a", "pid": 1, "symbol": "BTCUSDT", "interval": "1m",
         "csv": "x"}),
        ("00:00:02", "live", {"connection": 1, "endpoint": "wss://x", "seconds": 1.0}),
        ("00:10:00", "process_ended", {"role": "recorder", "pid": 1, "code": None,
         "signal": "SIGKILL", "seconds": 600.0, "reason": ""}),
        ("00:10:01", "crash_loop", {"crashes": 5, "reason": "SIGKILL"}),
        ("00:10:05", "session_started", {"name": "a", "pid": 2, "symbol": "BTCUSDT", "interval": "1m",
         "csv": "x"}),
        ("00:12:00", "live", {"connection": 1, "endpoint": "wss://x", "seconds": 1.0}),
        ("00:20:00", "disk_full", {"reason": "No space left on device", "waiting": 3}),
        ("00:25:00", "disk_recovered", {"written": 5, "seconds": 300.0}),
        ("00:30:00", "clock_stepped", {"seconds": -5.0}),
        ("00:31:00", "suspended", {"seconds": 30.0}),
        ("00:32:00", "banned", {"what": "request", "until": "2026-01-01T00:40:00Z", "reason": "418"}),
        ("00:33:00", "process_ended", {"role": "recorder", "pid": 1, "code": 1, "signal": None,
         "seconds": 1.0, "reason": "one that had made way"}),
        ("00:34:00", "alerted", {"level": "WARNING", "topic": "disk", "step": "opened", "title": "D"}),
        ("00:35:00", "alerted", {"level": "CRITICAL", "topic": "disk", "step": "escalated",
         "title": "D!"}),
        ("00:36:00", "alerted", {"level": "SUCCESS", "topic": "disk", "step": "resolved",
         "title": "D ok"}),
        ("00:37:00", "alerted", {"level": "INFO", "topic": "digest", "step": "", "title": "day"}),
        ("00:38:00", "alerted", {"level": "WARNING", "topic": "stream", "step": "opened",
         "title": "S"}),
        ("00:39:00", "stalled", {"connection": 1, "seconds": 20.0}),
        ("00:40:00", "disconnected", {"connection": 1, "endpoint": "wss://x", "code": 1006,
         "reason": "", "seconds": 9.0}),
    ]  # fmt: skip
    log = tmp_path / "events.jsonl"
    log.write_text(
        "".join(json.dumps({"ts": f"2026-01-01T{at}Z", "kind": kind, **fields}) + "\n"
                for at, kind, fields in lines).replace('", "', '","').replace('": ', '":')
    )  # fmt: skip
    session = Recorded("a", "BTCUSDT", intervals.parse("1m"), str(tmp_path / "none.csv"), str(log))
    told = History(session).answer("day", to_ms("2026-01-01T01:00:00Z"))
    check(told)
    assert told["cells"] == []
    assert told["figures"]["owed"] == 0

    def clock(ms: int | None) -> str:
        return "" if ms is None else to_text(ms)[11:19]

    assert [
        (m["kind"], clock(m["at_ms"]), clock(m["until_ms"]), m["level"], m["open"])
        for m in told["marks"]
    ] == [
        ("started", "00:00:00", "", "info", False),
        ("process_ended", "00:10:00", "", "critical", False),
        ("dark", "00:10:00", "00:12:00", "critical", False),
        ("crash_loop", "00:10:01", "", "critical", False),
        ("started", "00:10:05", "", "info", False),
        ("disk_full", "00:20:00", "00:25:00", "critical", False),
        ("clock", "00:30:00", "", "warning", False),
        ("suspended", "00:30:30", "00:31:00", "warning", False),
        ("banned", "00:32:00", "00:40:00", "critical", False),
        ("process_ended", "00:33:00", "", "critical", False),
        ("alert", "00:34:00", "00:36:00", "critical", False),
        ("alert", "00:38:00", "", "warning", True),
        ("stalled", "00:38:40", "00:39:00", "warning", False),
        ("dark", "00:40:00", "", "warning", True),
    ]
    titles = {m["title"] for m in told["marks"]}
    assert {"D!", "S", "5 crashes within ten minutes (SIGKILL); slower from here on"} <= titles


def test_a_log_that_is_replaced_or_damaged_is_read_as_far_as_that_goes(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    stop = '{"ts":"2026-01-01T00:%02d:00Z","kind":"session_stopped","reason":"%s","unwritten":0}\n'
    session = Recorded("a", "BTCUSDT", intervals.parse("1m"), str(tmp_path / "none.csv"), str(log))
    known = History(session)
    now_ms = to_ms("2026-01-01T01:00:00Z")
    assert known.answer("day", now_ms)["marks"] == []
    log.write_text(stop % (1, "one") + '{"ts":"2026-01-01T00:02:00Z","kind":"sess')

    def stops() -> list[str]:
        return [m["title"] for m in known.answer("day", now_ms)["marks"] if m["kind"] == "stopped"]

    assert stops() == ["stopped: one"]
    with log.open("a") as file:
        file.write("\n\0\0\0\n" + stop % (3, "two") + "{}\nnothing\n")
    assert stops() == ["stopped: one", "stopped: two"]
    beside = tmp_path / "other"
    beside.write_text(stop % (4, "three"))
    beside.replace(log)
    assert stops() == ["stopped: three"]
    log.unlink()
    log.mkdir()
    with pytest.raises(InputError, match=r"events\.jsonl"):
        known.answer("day", now_ms)


@given(
    st.sampled_from(["1s", "1m", "3m", "1h", "1d", "3d", "1w", "1M"]),
    st.integers(1_600_000_000_000, 1_900_000_000_000), st.sampled_from(sorted(SPANS)),
)  # fmt: skip
def test_the_window_has_what_closed_in_the_last_day(name: str, now_ms: int, span: str) -> None:
    interval = intervals.parse(name)
    window = window_of(interval, now_ms, SPANS[span])
    assert interval.is_open(window.first)
    assert interval.is_open(window.end)
    assert window.end <= now_ms < interval.after(window.end)
    assert window.first <= now_ms - SPANS[span] or window.first == window.end
    if interval.length_ms and DAY_MS % interval.length_ms == 0 and name != "1s":
        assert interval.slots(*window) == SPANS[span] // interval.length_ms
    if name == "1s":
        assert window.first % MINUTE_MS == 0


def test_months_of_hours_cost_little_and_nothing_is_owed_before_the_first_row(
    tmp_path: Path,
) -> None:
    interval, now_ms = intervals.parse("1h"), to_ms("2026-03-01T00:30:00Z")
    csv = tmp_path / "candles_BTCUSDT_1h.csv"
    first = to_ms("2026-02-20T00:00:00Z")
    rows = [f"{to_text(first + at * HOUR_MS)},1,2,1,1,5\n" for at in range(216) if at != 100]
    csv.write_text("timestamp,open,high,low,close,volume\n" + "".join(rows))
    session = Recorded("a", "BTCUSDT", interval, str(csv), str(tmp_path / "no.jsonl"))
    began = time.perf_counter()
    told = History(session).answer("month", now_ms)
    assert time.perf_counter() - began < 2.0
    check(told)
    assert told["cells"][0][0] == first
    assert (told["figures"]["owed"], told["figures"]["missing"]) == (216, 1)
    since = Recorded(
        "a", "BTCUSDT", interval, str(csv), session.events_file, since_ms=first - 3 * HOUR_MS
    )
    assert History(since).answer("month", now_ms)["figures"]["missing"] == 4


@pytest.mark.parametrize("name", ["1s", "1M"])
def test_a_time_that_can_not_be_in_an_event_is_passed_over(tmp_path: Path, name: str) -> None:
    log = tmp_path / "events.jsonl"
    log.write_text(
        "".join(
            f'{{"ts":"{at}","kind":"hole_confirmed","first":"{at}","last":"{at}","candles":1}}\n'
            f'{{"ts":"{at}","kind":"session_stopped","reason":"r","unwritten":0}}\n'
            for at in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "", "x")
        )
    )
    session = Recorded("a", "BTCUSDT", intervals.parse(name), str(tmp_path / "no.csv"), str(log))
    told = History(session).answer("month", to_ms("2026-01-01T01:00:00Z"))
    assert (told["cells"], told["marks"]) == ([], [])
