"""A whole session against an exchange with narrow limits: it keeps away as told, and loses nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from kline_ops import events
from kline_ops.budget import budget_path
from kline_ops.exchange.session import ExchangeOptions
from kline_ops.market.timestamp import to_ms
from tests.support.trial import Trial, run_trial

TEN_MINUTES_BEFORE = "2025-12-31T23:50:00Z"


def test_a_ban_is_kept_to_while_the_stream_is_recorded_and_is_made_up_for(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(100)
        assert trial.server.rest_requests.total() == 2
        assert len(trial.rows()) > 90
        books = json.loads(budget_path().read_bytes())
        assert books[trial.server.rest_url.removeprefix("http://")]["bans"]["request"]

    trial = run_trial(
        tmp_path,
        150,
        script,
        options=ExchangeOptions(weight_per_minute=2, refusals_before_ban=0),
        record__since=TEN_MINUTES_BEFORE,
    )
    (banned,) = trial.of(events.Banned)
    assert (banned.what, banned.until[:16]) == ("request", "2026-01-01T00:02")
    assert not trial.of(events.BackfillFailed)
    assert trial.rows()[0].startswith(TEN_MINUTES_BEFORE)
    assert trial.rows() == trial.truth()
    noted = [json.loads(line) for line in trial.settings.events_file.read_text().splitlines()]
    assert [line["until"] for line in noted if line["kind"] == "banned"] == [banned.until]


def test_a_ban_that_the_witness_of_a_silence_draws_is_told(tmp_path: Path) -> None:
    """REST is asked whether a silent market trades, long before a candle is missing."""

    async def script(trial: Trial) -> None:
        await asyncio.sleep(45)
        trial.server.rest_banned(20)
        trial.server.silence(12)

    trial = run_trial(
        tmp_path, 55, script, start_ms=to_ms("2026-01-01T00:00:10Z"),
        binance__stream__timeframe="1h", websocket__stall_timeout=8,
    )  # fmt: skip
    (ban,) = trial.of(events.Banned)
    assert ban.what == "request"
    assert "418" in ban.reason
