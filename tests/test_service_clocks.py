"""A machine that sleeps, and clocks that are set or wrong: nothing is lost, and it is told.

The exchange of a trial and its recorder share a loop. While a machine sleeps none of its code runs: so a
suspend is one instant of the loop, at which the wall clock of both moves on (the exchange's goes on, and
it never asks for ``asleep``) and the monotonic clock does not. What the exchange sent meanwhile is made
unheard (a connection gone dead) or comes late. For steps and skew the recorder has a clock of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from kline_ops import events
from kline_ops.market.timestamp import to_ms
from tests.support.trial import Trial, run_trial

CLOCK_EVENTS = (events.Suspended, events.ClockStepped, events.ClockSkewed)
EVERY_SECOND = {"interval": 1.0}


def told(trial: Trial) -> list[tuple[str, float]]:
    return [(e.kind, round(e.seconds, 1)) for e in trial.events if isinstance(e, CLOCK_EVENTS)]


def _goes_dead(trial: Trial) -> None:
    trial.server.silence(600, *(session.id for session in trial.server.sessions))


def _is_reset(trial: Trial) -> None:
    trial.server.cut()


def _lives(trial: Trial) -> None:
    """What the exchange sent in the last minute is read after the wake-up."""


@pytest.mark.parametrize("connection", [_goes_dead, _is_reset, _lives])
@pytest.mark.parametrize("part", [0.0, 0.35, 0.95])
def test_what_a_suspend_missed_is_on_disk_soon_after_the_wake_up(
    tmp_path: Path, connection: Callable[[Trial], None], part: float
) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(20 + part)
        before = len(trial.rows())
        connection(trial)
        trial.clock.suspend(90)
        await asyncio.sleep(5)
        assert len(trial.rows()) >= before + 90
        assert trial.state()["status"] in {"recording", "catching_up"}
        newest = to_ms(trial.rows()[-1].split(",")[0])
        assert trial.clock.wall_ms() - newest <= 5_000

    trial = run_trial(tmp_path, 60, script)
    assert trial.rows() == trial.truth()
    assert len(trial.rows()) >= 145
    assert told(trial) == [("suspended", 90.0)]
    assert not trial.of(events.Stalled)
    assert not trial.of(events.CandleConflict)
    assert len(trial.of(events.Disconnected)) == (connection is _is_reset)
    # What was connected anew before the clocks were looked at is replaced once more, at worst.
    replaced = [e.why for e in trial.of(events.Replaced)]
    assert replaced == ["suspended"] or (connection is _is_reset and not replaced)


def test_a_suspend_without_rest_is_over_with_the_next_candle(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(20.35)
        _goes_dead(trial)
        trial.clock.suspend(90)

    trial = run_trial(tmp_path, 60, script, rest=False)
    missing = [row for row in trial.truth() if row not in trial.rows()]
    assert 88 <= len(missing) <= 95
    assert sum(e.candles for e in trial.of(events.HoleFound)) == len(missing)
    assert told(trial) == [("suspended", 90.0)]


def test_a_suspend_while_rest_is_down_is_filled_when_it_is_back(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(20.35)
        _goes_dead(trial)
        trial.server.rest_down(15)
        trial.server.refuse(10)
        trial.clock.suspend(4 * 3600)

    trial = run_trial(tmp_path, 90, script)
    assert trial.rows() == trial.truth()
    assert len(trial.rows()) >= 4 * 3600
    assert told(trial) == [("suspended", 14_400.0)]


@pytest.mark.parametrize("hours", [0, -30])
def test_what_is_owed_is_known_and_asked_for_at_once_before_anybody_is_heard(
    tmp_path: Path, hours: int
) -> None:
    """Minutes, so that nothing else is due soon; the wall clock, which may be wrong, is no help."""

    async def script(trial: Trial) -> None:
        await asyncio.sleep(100)
        _goes_dead(trial)
        trial.server.refuse(60)
        trial.session._clock.suspend(600)
        trial.clock.jump(600_000)
        await asyncio.sleep(3)
        assert len(trial.rows()) >= 11
        assert trial.state()["metadata"]["clock_skew_seconds"] is None

    trial = run_trial(
        tmp_path, 240, script,
        skew=lambda clock: clock.apart(hours * 3_600_000),
        start_ms=to_ms("2026-01-01T00:00:30Z"),
        binance__stream__timeframe="1m", resilience__heartbeat=EVERY_SECOND,
    )  # fmt: skip
    assert trial.rows() == trial.truth()
    assert [kind for kind, _ in told(trial)] == ["clock_skewed"] * bool(hours) + ["suspended"]
    assert sum(e.candles for e in trial.of(events.HoleFound)) >= 9


def test_a_planned_restart_that_fell_into_a_suspend_is_made_up_for_once(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(20.35)
        _goes_dead(trial)
        trial.clock.suspend(90)

    rotation = {"modulo": "60s", "margin_seconds": 1, "min_connection_duration": 1}
    trial = run_trial(tmp_path, 50, script, binance__reconnect=rotation)
    assert trial.rows() == trial.truth()
    assert len(trial.of(events.RestartPlanned)) <= 2
    assert len(trial.server.sessions) <= 3


@pytest.mark.parametrize("hours", [1, -1])
def test_a_step_of_the_wall_clock_changes_no_row(tmp_path: Path, hours: int) -> None:
    seconds = hours * 3600.0

    async def script(trial: Trial) -> None:
        mine = trial.session._clock
        await asyncio.sleep(20.35)
        mine.jump(hours * 3_600_000)
        await asyncio.sleep(2.5)
        metadata = trial.state()["metadata"]
        assert metadata["clock_skew_seconds"] == pytest.approx(seconds, abs=0.1)
        assert metadata["missing"] == 0
        await asyncio.sleep(20)
        mine.jump(-hours * 3_600_000)
        await asyncio.sleep(2.5)
        assert trial.state()["metadata"]["clock_skew_seconds"] == pytest.approx(0.0, abs=0.1)

    trial = run_trial(
        tmp_path, 60, script, skew=lambda clock: clock.apart(), resilience__heartbeat=EVERY_SECOND
    )
    assert trial.rows() == trial.truth()
    assert len(trial.rows()) >= 55
    assert told(trial) == [
        ("clock_stepped", seconds),
        ("clock_skewed", seconds),
        ("clock_stepped", -seconds),
    ]
    # Nothing came from REST, and no connection was given up.
    assert not trial.of(events.HoleFound)
    assert len(trial.server.sessions) == 1


@pytest.mark.parametrize("seconds", [5.0, -5.0])
def test_a_clock_that_is_wrong_all_the_time_is_told_once(tmp_path: Path, seconds: float) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(20)
        assert trial.state()["metadata"]["clock_skew_seconds"] == pytest.approx(seconds, abs=0.1)

    trial = run_trial(
        tmp_path, 60, script, skew=lambda clock: clock.apart(int(seconds * 1000)),
    )  # fmt: skip
    assert trial.rows() == trial.truth()
    assert len(trial.rows()) >= 55
    assert told(trial) == [("clock_skewed", seconds)]
    assert len(trial.server.sessions) == 1
