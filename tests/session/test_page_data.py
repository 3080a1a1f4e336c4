"""What the API answers of sessions: of a live one what status says, of others what their files say."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from kline_ops.cli.known import describe_session
from kline_ops.gaps import follow
from kline_ops.market.candle import HEADER
from kline_ops.market.timestamp import to_ms
from kline_ops.observe import candles
from kline_ops.observe.web.desk import BusyError
from kline_ops.session import others, page_data
from kline_ops.session.page_data import PageData
from kline_ops.watch.process import started_at
from kline_ops.watch.registry import KnownSession, remember
from kline_ops.watch.status import look
from tests.support.trial import Trial, run_trial

Ask = Callable[..., Awaitable[tuple[int, Any]]]


@asynccontextmanager
async def page_of(trial: Trial) -> AsyncIterator[tuple[PageData, Ask]]:
    """The data of a running session, and how to ask for it: the code, and the JSON."""
    session = trial.session
    page = PageData(session._view.common, session.snapshot, lambda: True)

    async def ask(path: str, query: str = "") -> tuple[int, Any]:
        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        request = Request(scope | {"query_string": query.encode()})
        answer = await page.endpoints[path](request)
        return answer.status_code, json.loads(answer.body)

    try:
        yield page, ask
    finally:
        page.close()


def play(
    folder: Path, seconds: float, look_on: Callable[[Trial, PageData, Ask], Awaitable[None]]
) -> Trial:
    """Record for so long, and then look on."""

    async def script(trial: Trial) -> None:
        await asyncio.sleep(seconds)
        async with page_of(trial) as (page, ask):
            await look_on(trial, page, ask)

    return run_trial(folder, seconds + 20, script)


def registered(trial: Trial) -> KnownSession:
    entry = describe_session(trial.settings)
    state = trial.state()["metadata"]
    entry = replace(entry, keeper_pid=state["pid"], keeper_started=started_at())
    remember(entry)
    return entry


def test_in_the_process_the_status_is_that_of_the_command(tmp_path: Path) -> None:
    async def look_on(trial: Trial, page: PageData, _ask: Ask) -> None:
        told = page.status()
        assert told.pop("stopping") is False
        trial.session._write_state()
        seen = look(registered(trial), trial.clock.wall_ms())[1]
        assert told.keys() == seen.keys()
        exact = {key: value for key, value in seen.items() if not key.endswith("_seconds")}
        assert told | exact == told
        assert told["state"] == "RECORDING"
        assert told["uptime_seconds"] == pytest.approx(seen["uptime_seconds"], abs=1.0)
        trial.session.stop("asked to")
        assert page.status()["stopping"] is True

    play(tmp_path, 20, look_on)


def test_candles_are_the_rows_of_the_file_and_the_one_that_forms(tmp_path: Path) -> None:
    async def look_on(trial: Trial, _page: PageData, ask: Ask) -> None:
        code, told = await ask("/api/candles", "limit=5")
        assert code == 200
        rows = [[to_ms(row.split(",")[0]), *row.split(",")[1:]] for row in trial.rows()]
        assert told["candles"] == rows[-5:]
        assert (told["symbol"], told["interval"], told["interval_ms"]) == ("BTCUSDT", "1s", 1000)
        assert told["session"] == "trial"
        forming = told["forming"]
        assert forming is None or forming[0] == rows[-1][0] + 1000
        # A page further back, by either spelling of the time.
        first = told["candles"][0][0]
        _, before = await ask("/api/candles", f"limit=10&before={first}")
        assert before["candles"] == rows[-15:-5]
        assert before["forming"] is None
        text = trial.rows()[-5].split(",")[0]
        assert (await ask("/api/candles", f"limit=10&before={text}"))[1] == before
        _, all_of_them = await ask("/api/candles")
        assert all_of_them["candles"] == rows
        _, none = await ask("/api/candles", "before=2020-01-01T00:00:00Z")
        assert none["candles"] == []
        for query in (
            "limit=0",
            "limit=1501",
            "limit=x",
            "limit=-1",
            "before=yesterday",
            "before=9e9",
        ):
            with pytest.raises(HTTPException) as refused:
                await ask("/api/candles", query)
            assert refused.value.status_code == 400

    play(tmp_path, 60, look_on)


def test_history_is_told_of_this_session(tmp_path: Path) -> None:
    async def look_on(_trial: Trial, _page: PageData, ask: Ask) -> None:
        for span in ("day", "month"):
            code, told = await ask("/api/history", f"span={span}")
            assert code == 200
            assert told["figures"]["stream"] >= 15
            assert told["figures"]["missing"] == 0
            assert {"from_ms", "until_ms", "cell_ms", "candles_per_cell", "cells", "marks"} <= set(
                told
            )
        with pytest.raises(HTTPException):
            await ask("/api/history", "span=year")

    play(tmp_path, 20, look_on)


def other(folder: Path, name: str, **changes: Any) -> KnownSession:
    """A session of this machine, that ended long ago."""
    data = folder / name
    data.mkdir()
    entry = KnownSession(
        name=name, config="", data_dir=str(data), csv=str(data / "candles_ETHUSDT_1m.csv"),
        state_file=str(data / "state.json"), events_file=str(data / "events.jsonl"),
        log_file=str(data / "session.log"), exit_file=str(data / "exit.json"), symbol="ETHUSDT",
        interval="1m", endpoint="wss://x", tmux_socket="",
    )  # fmt: skip
    remember(entry := replace(entry, **changes))
    return entry


def test_what_is_wrong_with_another_session_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for waits in (candles, follow):
        monkeypatch.setattr(waits, "_BETWEEN", 0.001)

    async def look_on(_trial: Trial, _page: PageData, ask: Ask) -> None:
        quiet = other(tmp_path, "eth")
        csv = Path(quiet.csv)

        async def both() -> tuple[tuple[int, Any], tuple[int, Any]]:
            return await ask("/api/candles", "session=eth"), await ask(
                "/api/history", "session=eth"
            )

        rows, history = await both()
        assert rows == (404, {"error": "nothing was recorded yet: there is no candle file"})
        assert (history[0], history[1]["cells"]) == (200, [])
        csv.write_text(f"{HEADER}\n2026-01-01T00:00:00Z,1.10,2,1,1.20,5\n2026-01-01T00:01:00Z,1,2")
        rows, history = await both()
        assert rows[1]["candles"] == [[1_767_225_600_000, "1.10", "2", "1", "1.20", "5"]]
        assert rows[1]["forming"] is None
        assert history[1]["symbol"] == "ETHUSDT"
        csv.unlink()
        csv.mkdir()
        rows, history = await both()
        assert (rows[0], history[0]) == (503, 503)
        assert "\n" not in rows[1]["error"] + history[1]["error"]
        csv.rmdir()
        csv.write_bytes(b"\0" * 5000)
        rows, history = await both()
        assert (rows[0], history[0]) == (503, 503)
        assert "no candle file" in rows[1]["error"]
        assert "not a candle file" in history[1]["error"]
        redo = csv.with_name(f"{csv.name}.redo")
        redo.write_text("")
        rows, history = await both()
        assert (rows[0], history[0]) == (503, 503)
        assert "merged" in rows[1]["error"]
        other(tmp_path, "command", csv="", symbol="", interval="", command="sleep 9")
        for query, told in (
            ("session=command", "runs a command"), ("session=nobody", "no session 'nobody'"),
            ("session=../x", "no session name"), ("session=", None),
        ):  # fmt: skip
            for path in ("/api/candles", "/api/history"):
                code, answer = await ask(path, query)
                assert code == (404 if told else 200)
                assert told is None or told in answer["error"]

    play(tmp_path, 10, look_on)


def test_all_sessions_are_listed_this_one_first_and_one_that_hangs_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, looks = threading.Event(), []

    def hanging_look(session: KnownSession, now_ms: int) -> tuple[Any, Any]:
        looks.append(session.name)
        if session.name == "hangs":
            release.wait(30)
        return look(session, now_ms)

    monkeypatch.setattr(others, "look", hanging_look)
    monkeypatch.setattr(others, "_ALL", 20.0)
    monkeypatch.setattr(others, "_ONE", 0.2)

    async def look_on(trial: Trial, page: PageData, ask: Ask) -> None:
        registered(trial)
        for name in ("aaa", "hangs", "zzz"):
            other(tmp_path, name)
        code, told = await ask("/api/sessions")
        assert code == 200
        assert [each["name"] for each in told] == ["trial", "aaa", "hangs", "zzz"]
        assert [each["state"] for each in told] == ["RECORDING", "DEAD", "UNKNOWN", "DEAD"]
        assert "does not answer" in told[2]["reason"]
        assert all(each.keys() == told[0].keys() for each in told)
        assert told[0] == page.status() | {"uptime_seconds": told[0]["uptime_seconds"]}
        # A second holds an answer, however many ask; what hangs is not asked a second time.
        looks.clear()
        await asyncio.gather(*(ask("/api/sessions") for _ in range(20)))
        assert looks == []
        await asyncio.sleep(1.5)
        _, told = await ask("/api/sessions")
        assert (looks, told[2]["state"]) == (["aaa", "zzz"], "UNKNOWN")
        release.set()
        await asyncio.sleep(1.5)
        _, told = await ask("/api/sessions")
        assert told[2]["state"] == "DEAD"

    try:
        play(tmp_path, 10, look_on)
    finally:
        release.set()


def test_a_disk_that_hangs_costs_the_answers_about_its_session_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    read = page_data.settled_candles

    def hanging(path: Path, *more: Any) -> Any:
        if path.parent.name == "hangs":
            release.wait(30)
        return read(path, *more)

    monkeypatch.setattr(page_data, "settled_candles", hanging)

    async def look_on(trial: Trial, page: PageData, ask: Ask) -> None:
        other(tmp_path, "hangs")
        page._room("hangs").desk._patience = 0.3
        asking = asyncio.ensure_future(ask("/api/candles", "session=hangs"))
        await asyncio.sleep(0)
        # Its thread is held by no timer of this loop.
        trial.clock.excuse(lambda: int(not asking.done()))
        assert (await ask("/api/candles", "limit=1"))[0] == 200
        assert (await ask("/api/history"))[0] == 200
        with pytest.raises(BusyError):
            await asking
        release.set()

    try:
        play(tmp_path, 10, look_on)
    finally:
        release.set()


def test_where_the_registry_hangs_this_session_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(others, "sessions", lambda: release.wait(30) and [])

    async def look_on(trial: Trial, page: PageData, ask: Ask) -> None:
        page._registry._patience = 0.3
        asking = asyncio.ensure_future(ask("/api/sessions"))
        await asyncio.sleep(0)
        trial.clock.excuse(lambda: int(not asking.done()))
        code, told = await asking
        assert (code, [each["name"] for each in told]) == (200, ["trial"])
        release.set()

    try:
        play(tmp_path, 5, look_on)
    finally:
        release.set()


def test_of_many_sessions_what_was_asked_for_last_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_data, "_REMEMBERED", 400)
    monkeypatch.setattr(page_data, "_MOST", 4)
    row = "2025-12-31T23:50:00Z,1,2,1,1,5\n"

    async def look_on(_trial: Trial, page: PageData, ask: Ask) -> None:
        for at in range(8):
            Path(other(tmp_path, f"s{at}").csv).write_text(f"{HEADER}\n{row}")
            code, told = await ask("/api/history", f"session=s{at}")
            assert (code, told["figures"]["on_disk"]) == (200, 1)
            assert [*page._rooms] == [f"s{at}"]  # the thread of the one before is gone with it
        for at in (0, 1, 2, 0, 3, 4):
            await ask("/api/candles", f"session=s{at}")
        assert [*page._rooms] == ["s2", "s0", "s3", "s4"]
        monkeypatch.setattr(page_data, "_REMEMBERED", 1 << 20)
        for at in (5, 3, 6):
            await ask("/api/history", f"session=s{at}")
        assert [name for name, room in page._rooms.items() if room.history] == ["s5", "s3", "s6"]

    play(tmp_path, 5, look_on)


def test_a_session_that_hangs_holds_up_the_look_at_all_of_them_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    waits: list[float] = []

    def hanging_look(session: KnownSession, now_ms: int) -> tuple[Any, Any]:
        if session.name == "hangs":
            release.wait(30)
        return look(session, now_ms)

    class Noted(others.Patient):
        def call(self, seconds: float, *more: Any, **named: Any) -> Any:
            waits.append(seconds)
            return super().call(seconds, *more, **named)

    monkeypatch.setattr(others, "look", hanging_look)
    monkeypatch.setattr(others, "Patient", Noted)
    monkeypatch.setattr(others, "_ONE", 0.2)
    other(tmp_path, "hangs")
    all_of_them = others.Others("own", lambda: 1_767_225_600_000)
    try:
        for _ in range(3):
            assert [told["state"] for told in all_of_them.records()] == ["UNKNOWN"]
        assert waits[0] == 0.2
        assert waits[1:] == [others._EACH] * 2
    finally:
        release.set()


def test_sessions_that_hang_have_no_second_thread_and_the_last_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_data, "_MOST", 3)
    release = threading.Event()

    async def look_on(trial: Trial, page: PageData, _ask: Ask) -> None:
        hanging = [
            asyncio.ensure_future(page._room(name).desk.ask(release.wait, 30)) for name in "ab"
        ]
        await asyncio.sleep(0)
        trial.clock.excuse(lambda: sum(not each.done() for each in hanging))
        for name in "cde":  # the one that is idle makes room
            page._room(name)
            assert [*page._rooms] == ["a", "b", name]
        hanging.append(asyncio.ensure_future(page._room("e").desk.ask(release.wait, 30)))
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            page._room("f")
        assert page._room("a").desk.is_busy
        release.set()
        await asyncio.gather(*hanging)
        page._room("f")
        assert [*page._rooms] == ["e", "a", "f"]

    try:
        play(tmp_path, 2, look_on)
    finally:
        release.set()
