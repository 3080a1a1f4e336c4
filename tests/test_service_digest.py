"""The daily digest and the dead man's switch of a real session: silence is no sign of health."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from kline_ops.market.timestamp import to_ms
from tests.support.heard import HOOK, MINUTE, Heard
from tests.support.trial import Trial, run_trial


def test_the_digest_of_a_day_comes_late_where_nobody_was_there_and_once(
    tmp_path: Path, heard: Heard
) -> None:
    """The process was down at midnight, and when the digest was due."""

    def run(start: str, seconds: float) -> list[str]:
        trial = run_trial(
            tmp_path, seconds, credentials=HOOK, **MINUTE | {"start_ms": to_ms(start)}
        )
        assert trial.rows() == trial.truth()
        return [title for title in heard.take() if "2025-12-31" in title]

    assert run("2025-12-31T23:49:30Z", 300) == []
    (told,) = run("2026-01-01T00:20:10Z", 60)
    # From 23:49 on are 11 minutes; the first run heard 5 or 6 of them closed.
    assert told.startswith("SUCCESS BTCUSDT 1m 2025-12-31: complete: 11 owed, 11 on disk, ")
    assert "0 planned restarts, 0 unplanned, 0 incidents" in told
    live, rest = (int(part.split()[0]) for part in told.partition(";")[0].split(", ")[-2:])
    assert (live + rest, rest >= 5) == (11, True)
    assert run("2026-01-01T00:35:10Z", 60) == []


def test_the_digest_comes_at_its_time_and_counts_the_day(tmp_path: Path, heard: Heard) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(160)
        trial.server.cut()

    trial = run_trial(
        tmp_path, 520, script, credentials=HOOK, alerts__digest="00:01",
        binance__reconnect={"modulo": "5m"},
        **MINUTE | {"start_ms": to_ms("2025-12-31T23:53:30Z")},
    )  # fmt: skip
    (told,) = (title for title in heard.titles if "2025-12-31" in title)
    assert told.startswith("SUCCESS BTCUSDT 1m 2025-12-31: complete: 7 owed, 7 on disk, 7 live")
    assert "1 planned restart, 1 unplanned, 0 incidents" in told
    (at,) = (
        json.loads(line)["ts"]
        for line in trial.settings.events_file.read_text().splitlines()
        if '"topic":"digest"' in line
    )
    assert at.startswith("2026-01-01T00:01:0")


def test_only_while_nothing_is_missing_the_dead_mans_switch_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []
    monkeypatch.setattr(
        "kline_ops.alerts.ping.Ping.complete", lambda _self, complete: told.append(complete)
    )

    async def script(trial: Trial) -> None:
        await asyncio.sleep(30)
        assert told[-5:] == [True] * 5
        trial.server.refuse(30, tcp=True)
        trial.server.cut()
        await asyncio.sleep(20)
        assert told[-5:] == [False] * 5

    run_trial(tmp_path, 90, script, alerts__ping_url="http://127.0.0.1:9/ping")
    assert told[-5:] == [True] * 5
