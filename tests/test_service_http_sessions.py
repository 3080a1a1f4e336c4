"""Whoever asks over HTTP for candles and histories of sessions, by any name, gets a plain answer."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kline_ops.cli.known import describe_session
from kline_ops.market.candle import HEADER
from kline_ops.market.timestamp import to_ms
from kline_ops.watch.registry import KnownSession, remember
from tests.support.trial import Trial, run_trial
from tests.support.web import Answer, ask, free_port

#: What is asked, and the code and some words of the answer.
ASKED = (
    ("/api/history?span=year", 400, "span is one of: day, month"),
    ("/api/history?span=", 400, "span is one of"),
    ("/api/candles?limit=0", 400, "from 1 to 1500"),
    ("/api/candles?limit=1501", 400, "from 1 to 1500"),
    ("/api/candles?limit=%D9%A1", 400, "from 1 to 1500"),
    ("/api/candles?before=tomorrow", 400, "before is a time"),
    ("/api/candles?before=99999999999999", 400, "before is a time"),
    ("/api/candles/", 404, "nothing is here"),
    ("/api/history/trial", 404, "nothing is here"),
    ("/api/{}?session=..%2F..%2Fetc%2Fpasswd", 404, "no session name"),
    ("/api/{}?session=../trial", 404, "no session name"),
    ("/api/{}?session=%2e%2e", 404, "no session name"),
    ("/api/{}?session=%00", 404, "no session name"),
    ("/api/{}?session=a%0d%0aX:%20y", 404, "no session name"),
    ("/api/{}?session=b%C3%A4r", 404, "no session name"),
    ("/api/{}?session=%FF", 404, "no session name"),
    ("/api/{}?session=nobody", 404, "no session 'nobody'"),
    ("/api/{}?session=command", 404, "runs a command"),
    ("/api/{}?session=fifo", 503, "it is no regular file"),
    ("/api/{}?session=garbage", 503, "candle file"),
    ("/api/history?session=nolog", 503, "cannot read log: it is no regular file"),
    ("/api/{}?session=empty", 200, None),
    ("/api/{}?session=half", 200, None),
)


def known(folder: Path, trial: Trial) -> None:
    """Sessions of the same machine, each with something wrong with it."""

    def other(name: str, **changes: str) -> KnownSession:
        entry = replace(
            describe_session(trial.settings), name=name, csv=str(folder / f"{name}.csv"),
            events_file=str(folder / "none.jsonl"), state_file=str(folder / "none.json"),
        )  # fmt: skip
        remember(entry := replace(entry, **changes))
        return entry

    other("command", csv="", symbol="", interval="", command="sleep 9")
    os.mkfifo(other("fifo").csv)
    Path(other("garbage").csv).write_bytes(b"\0" * 5000)
    (folder / "log").mkdir()
    other("nolog", events_file=str(folder / "log"))
    Path(other("empty").csv).touch()
    Path(other("half").csv).write_text("timestamp,op")
    Path(other("quiet").csv).write_text(f"{HEADER}\n2025-12-31T23:58:30Z,1.10,2,1,1.20,5\n")


def test_whatever_is_asked_of_sessions_is_answered_in_one_line_that_tells_no_folder(
    tmp_path: Path,
) -> None:
    port = free_port()
    answers: dict[str, tuple[Answer, int, str | None]] = {}

    async def script(trial: Trial) -> None:
        await asyncio.sleep(3)
        known(tmp_path, trial)
        for path, code, words in ASKED:
            for each in {path.format("candles"), path.format("history")}:
                answers[each] = await ask(port, each), code, words

    trial = run_trial(tmp_path, 10, script, http__port=port)
    assert trial.rows() == trial.truth()
    for path, (got, code, words) in answers.items():
        assert (path, got.code) == (path, code)
        assert str(tmp_path) not in got.body.decode()
        assert got.headers["cache-control"] == "no-store"
        if words is not None:
            assert words in got.json()["error"]
            assert len(got.json()["error"].splitlines()) == 1


def test_what_is_told_of_sessions_is_in_their_files_and_a_head_has_no_body(tmp_path: Path) -> None:
    port = free_port()
    told: dict[str, Any] = {}

    async def script(trial: Trial) -> None:
        await asyncio.sleep(20.6)
        known(tmp_path, trial)
        for path in ("/api/candles?limit=5", "/api/history?span=month", "/api/sessions",
                     "/api/candles?session=quiet", "/api/history?session=quiet"):  # fmt: skip
            got, head = await ask(port, path), await ask(port, path, "HEAD")
            assert (got.code, head.code, head.body) == (200, 200, b"")
            assert head.headers["content-type"] == "application/json"
            told[path] = got.json()

    trial = run_trial(tmp_path, 22, script, http__port=port)
    rows = [[to_ms(time), *values] for time, *values in (row.split(",") for row in trial.rows())]
    candles = told["/api/candles?limit=5"]["candles"]
    assert candles == rows[rows.index(candles[0]) :][:5]
    history = told["/api/history?span=month"]
    assert (
        history["figures"]["owed"] - history["figures"]["pending"] == history["figures"]["on_disk"]
    )
    assert history["figures"]["stream"] >= 15
    assert [mark["kind"] for mark in history["marks"]] == ["started"]
    names = [each["name"] for each in told["/api/sessions"]]
    assert names == ["trial", "command", "empty", "fifo", "garbage", "half", "nolog", "quiet"]
    quiet = told["/api/history?session=quiet"]
    assert (quiet["cells"][0][2], quiet["figures"]["stream"]) == ("missing", 1)
    assert told["/api/candles?session=quiet"]["candles"] == [
        [1_767_225_510_000, "1.10", "2", "1", "1.20", "5"]
    ]


@pytest.mark.parametrize("session", ["trial", "quiet"])
def test_with_a_token_nothing_is_told_of_any_session_without_it(
    tmp_path: Path, session: str
) -> None:
    port, secret = free_port(), "let-me-in-please-1234"
    codes: list[int] = []

    async def script(trial: Trial) -> None:
        await asyncio.sleep(3)
        known(tmp_path, trial)
        for kind in ("candles", "history", "sessions"):
            path = f"/api/{kind}?session={session}"
            got = await ask(port, path)
            assert session not in json.dumps(got.json())
            codes.append(got.code)
            codes.append((await ask(port, path, authorization=f"Bearer {secret}")).code)

    run_trial(tmp_path, 5, script, http__port=port, http__token=secret)
    assert codes == [401, 200] * 3
