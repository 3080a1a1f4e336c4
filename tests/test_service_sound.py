"""Is every owed candle on disk, or pursued? What a restart would not heal is sound, however long."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kline_ops import events
from kline_ops.market.timestamp import to_ms
from tests.support.disks import FailingDisk
from tests.support.trial import Trial, run_trial

#: Few frames, pings and state files: what the hours of these trials cost.
MINUTES: dict[str, Any] = {
    "binance__stream__timeframe": "1m",
    "start_ms": to_ms("2026-01-01T00:00:30Z"),
    "resilience__heartbeat__interval": 300,
    "websocket__ping__interval": 300,
    "websocket__reconnect__max_delay": 300,
}
HOURS, WHILE = 2.0 * 3600, 900.0


async def sound_for(trial: Trial, seconds: float) -> list[bool]:
    """What it says of itself, every half minute."""
    said = []
    end = trial.clock.monotonic() + seconds
    while trial.clock.monotonic() < end:
        await asyncio.sleep(30)
        said.append(trial.session.is_sound())
    return said


def maintenance(trial: Trial) -> None:
    """Hours without a candle: streams are silent, REST has nothing."""
    now = trial.clock.wall_ms()
    trial.server.maintenance(now, now + int(HOURS * 1000))
    trial.server.silence(HOURS)


def rest_down(trial: Trial) -> None:
    trial.server.rest_down(WHILE)
    trial.server.refuse(WHILE)


def rest_hangs(trial: Trial) -> None:
    trial.server.rest_slow(300.0, WHILE)
    trial.server.refuse(WHILE)


def banned(trial: Trial) -> None:
    """REST is asked only when something is missing: the stream is silent at the same time."""
    trial.server.rest_banned(WHILE, retry_after=WHILE)
    trial.server.refuse(WHILE)


@pytest.mark.parametrize(
    ("trouble", "seconds"),
    [
        pytest.param(maintenance, HOURS, marks=pytest.mark.long),
        (rest_down, WHILE),
        pytest.param(rest_hangs, WHILE, marks=pytest.mark.long),
        pytest.param(banned, WHILE, marks=pytest.mark.long),
    ],
)
def test_a_sick_exchange_is_no_fault_of_the_recorder(
    tmp_path: Path, trouble: Callable[[Trial], None], seconds: float
) -> None:
    said: list[bool] = []

    async def script(trial: Trial) -> None:
        await asyncio.sleep(150)
        trouble(trial)
        said.extend(await sound_for(trial, seconds))
        assert trial.session.describe()

    trial = run_trial(tmp_path, seconds + 600, script, **MINUTES)
    assert len(said) > 25
    assert all(said)
    assert trial.rows() == trial.truth()


def test_a_full_disk_is_none_either(tmp_path: Path) -> None:
    disk = FailingDisk()
    said: list[bool] = []

    async def script(trial: Trial) -> None:
        await asyncio.sleep(150)
        disk.fail(1, errno.ENOSPC, times=10**9)
        said.extend(await sound_for(trial, 600))
        assert trial.of(events.DiskFull)
        assert trial.session.describe().startswith("STALLED: ")
        disk.heal()

    trial = run_trial(tmp_path, 900, script, disk=disk, **MINUTES)
    assert len(said) >= 20
    assert all(said)
    assert trial.rows() == trial.truth()


async def never(*_: object) -> Any:
    """Comes back against all that bounds it: not at all."""
    await asyncio.Event().wait()


def test_a_filler_that_hangs_is_a_fault(tmp_path: Path) -> None:
    said: list[bool] = []

    async def script(trial: Trial) -> None:
        await asyncio.sleep(150)
        trial.session._recorder._filler._backfill.candles = never  # type: ignore[method-assign, union-attr]
        trial.server.silence(300)
        said.extend(await sound_for(trial, 200))

    run_trial(tmp_path, 400, script, **MINUTES)
    assert said[0]
    assert not said[-1]
    assert said == sorted(said, reverse=True)


def test_a_writer_that_hangs_elsewhere_than_in_the_disk_is_a_fault(tmp_path: Path) -> None:
    said: list[bool] = []

    async def script(trial: Trial) -> None:
        await asyncio.sleep(150)
        assert trial.session.is_sound()
        trial.session._recorder._outbox._write = never  # type: ignore[method-assign]
        said.extend(await sound_for(trial, 60))

    run_trial(tmp_path, 300, script, **MINUTES)
    assert said == [False, False]
