"""A real session loses candles to a real fault, in virtual time: its own event log says to which."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kline_ops.events import HeldUp
from kline_ops.exchange.faults import Fault, FaultKind
from kline_ops.gaps.explain import cause_of
from kline_ops.gaps.find import report
from kline_ops.gaps.history import read_history
from kline_ops.gaps.model import Cause
from kline_ops.market.timestamp import to_ms
from tests.support.trial import Trial, run_trial

#: The first candle that a fault may cost opens at 00:03 and closes at 00:04.
START_MS = to_ms("2026-01-01T00:00:30Z")
BEFORE_THE_CLOSE = 205.0
AFTER_THE_CLOSE = 215.0
MINUTE = {"binance__stream__timeframe": "1m", "start_ms": START_MS}


def causes(trial: Trial) -> list[tuple[str, int, Cause]]:
    """First open time, number of candles and cause of each hole."""
    trial.session._sideline.join(10)
    history = read_history(trial.settings.events_file)
    found = report(trial.settings.csv, "1m")
    told = []
    for gap in found.gaps:
        minute = (gap.first_missing_ms - START_MS) // 60_000 + 1
        told.append((f"{minute:02}", gap.missing, cause_of(history, gap, found.interval)))
    return told


def run_fault(
    tmp_path: Path, *faults: Fault, at: float = BEFORE_THE_CLOSE, **changes: Any
) -> Trial:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(at)
        for fault in faults:
            trial.server.apply(fault)

    return run_trial(tmp_path, 600, script, **{"rest": False, **MINUTE, **changes})


K = FaultKind


@pytest.mark.parametrize(
    ("kind", "faults"),
    [
        ("refused", [Fault(K.REFUSE, 10.0), Fault(K.CUT)]),
        ("refused", [Fault(K.REFUSE, 100.0), Fault(K.CUT)]),
        ("refused", [Fault(K.REFUSE_TCP, 100.0), Fault(K.CUT)]),
        ("refused", [Fault(K.HANG, 100.0), Fault(K.CUT)]),
        ("refused", [Fault(K.ACCEPT_CLOSE, 100.0, code=1013), Fault(K.CUT)]),
        ("silence", [Fault(K.SILENCE, 100.0)]),
        ("silence", [Fault(K.HALF_OPEN, 100.0)]),
        ("silence", [Fault(K.DEAD_STREAM, 100.0)]),
        ("silence", [Fault(K.ACK_ONLY, 100.0), Fault(K.CUT)]),
        ("rejected", [Fault(K.TRUNCATED, 40.0)]),
        ("rejected", [Fault(K.TRUNCATED, 100.0)]),
        ("unclosed", [Fault(K.WITHHOLD)]),
    ],
    ids=lambda given: given if isinstance(given, str) else given[0].kind.value,
)
def test_the_cause_is_the_fault(tmp_path: Path, kind: str, faults: list[Fault]) -> None:
    told = causes(run_fault(tmp_path, *faults))
    assert [cause.kind for _, _, cause in told] == [kind], told


def test_a_suspend(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(BEFORE_THE_CLOSE)
        trial.server.silence(600, *(session.id for session in trial.server.sessions))
        trial.clock.suspend(90)

    told = causes(run_trial(tmp_path, 500, script, rest=False, **MINUTE))
    assert [cause.kind for _, _, cause in told] == ["suspended"]


def test_a_process_that_stands_still_and_is_hung_up_on(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(BEFORE_THE_CLOSE)
        # Neither side does anything for 90 s, and the exchange is the first one to awake.
        asyncio.get_running_loop()._offset += 90  # type: ignore[attr-defined]
        trial.server.cut()

    trial = run_trial(tmp_path, 500, script, rest=False, **MINUTE)
    (told,) = trial.of(HeldUp)
    assert 89 <= told.seconds <= 90
    assert [cause.kind for _, _, cause in causes(trial)] == ["hung"]


def test_what_rest_brought_is_told_of_the_trouble_that_it_was_for(tmp_path: Path) -> None:
    """All but one of the candles of an outage are fetched: of that one the exchange has none."""

    async def script(trial: Trial) -> None:
        await asyncio.sleep(BEFORE_THE_CLOSE)
        opened = trial.settings.stream.interval.floor(trial.clock.wall_ms())
        trial.server.apply(Fault(K.MAINTENANCE, span=(opened + 60_000, opened + 120_000)))
        trial.server.apply(Fault(K.REFUSE, 190.0))
        trial.server.apply(Fault(K.CUT))

    trial = run_trial(tmp_path, 600, script, **MINUTE)
    ((minute, missing, cause),) = causes(trial)
    assert (minute, missing, cause.kind, cause.recovered) == ("04", 1, "refused", 3)


def test_nothing_is_put_down_to_halts_where_there_are_none(tmp_path: Path) -> None:
    assert not run_trial(tmp_path, 300, **MINUTE).of(HeldUp)
