"""Trouble that a review proved: wrong times, disks that hang or come late, files taken away."""

from __future__ import annotations

import asyncio
import errno
import json
import threading
from pathlib import Path

import pytest

from kline_ops import events
from kline_ops.market.timestamp import to_ms
from kline_ops.record.disk import Disk
from tests.support.disks import remove_folder
from tests.support.trial import Trial, run_trial

MINUTE = {"binance__stream__timeframe": "1m", "start_ms": to_ms("2026-01-01T00:00:30Z")}


def frame(open_ms: int, event_ms: int, *, interval: str = "1m", closed: bool = False) -> str:
    body = {
        "t": open_ms, "T": open_ms + 59_999, "s": "BTCUSDT", "i": interval, "f": 1, "L": 2,
        "o": "1.0", "c": "1.0", "h": "1.0", "l": "1.0", "v": "1.0", "n": 1, "x": closed,
        "q": "1.0", "V": "0.5", "Q": "0.5", "B": "0",
    }  # fmt: skip
    return json.dumps({"e": "kline", "E": event_ms, "s": "BTCUSDT", "k": body})


def test_one_wrong_event_time_writes_no_forming_candle(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(215)
        opened = trial.settings.stream.interval.floor(trial.clock.wall_ms())
        trial.server.inject(frame(opened, opened + 119_000))

    trial = run_trial(tmp_path, 600, script, **MINUTE)
    assert trial.rows() == trial.truth()
    assert not trial.of(events.CandleConflict)


def test_a_wrong_first_frame_begins_nothing(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        while not trial.server.sessions:
            await asyncio.sleep(0.01)
        far = to_ms("2030-01-01T00:00:00Z")
        trial.server.inject(frame(far, far + 30_000))

    trial = run_trial(tmp_path, 200, script, rest=False, **MINUTE)
    assert len(trial.rows()) >= 2
    assert trial.rows() == trial.truth()


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_wrong_clock_of_this_machine_costs_nothing(tmp_path: Path, hours: int) -> None:
    """The recorder's own wall clock is wrong all the time; the exchange's is right."""
    trial = run_trial(tmp_path, 30, skew=lambda clock: clock.apart(hours * 3_600_000))
    assert len(trial.rows()) >= 25
    assert trial.rows() == trial.truth()


class Sick(Disk):
    """Fails to open, or hangs in a write, while it is told to."""

    def __init__(self) -> None:
        self.opens_fail = self.syncs_fail = 0
        self.well = threading.Event()
        self.well.set()

    def open(self, path: Path, flags: int) -> int:
        if self.opens_fail > 0:
            self.opens_fail -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().open(path, flags)

    def write(self, fd: int, data: bytes, offset: int) -> int:
        self.well.wait(20)
        return super().write(fd, data, offset)

    def sync(self, fd: int) -> None:
        if self.syncs_fail > 0:
            self.syncs_fail -= 1
            raise OSError(errno.EIO, "Input/output error")
        super().sync(fd)


def test_a_disk_that_is_full_at_the_start_is_waited_for(tmp_path: Path) -> None:
    disk = Sick()
    disk.opens_fail = 10
    trial = run_trial(tmp_path, 40, disk=disk)
    assert len(trial.rows()) >= 25
    assert trial.rows() == trial.truth()
    (full,) = trial.of(events.DiskFull)
    assert "No space left" in full.reason
    assert trial.of(events.DiskRecovered)


def test_rows_whose_sync_failed_are_written_again(tmp_path: Path) -> None:
    disk = Sick()

    async def script(trial: Trial) -> None:
        await asyncio.sleep(5.5)
        disk.syncs_fail = 2

    trial = run_trial(tmp_path, 20, script, disk=disk)
    assert trial.rows() == trial.truth()
    assert len(trial.of(events.DiskRecovered)) == 1


def test_a_candle_file_that_is_moved_away_is_filled_again(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(20)
        trial.settings.csv.rename(tmp_path / "away.csv")
        await asyncio.sleep(3)
        assert trial.state()["metadata"]["on_disk"] <= len(trial.rows())

    trial = run_trial(tmp_path, 60, script, resilience__heartbeat={"interval": 1.0})
    assert trial.rows() == trial.truth()
    assert len(trial.rows()) >= 58
    told = trial.of(events.JournalRepaired)
    assert len(told) == 1


def test_a_data_dir_that_is_deleted_is_made_again(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(20)
        remove_folder(trial.settings.data_dir)

    trial = run_trial(tmp_path, 60, script)
    assert trial.rows() == trial.truth()
    # The lock is there again as well, and held.
    assert trial.settings.csv.with_name(trial.settings.csv.name + ".lock").exists()


def test_a_removed_lock_file_is_taken_again_at_once(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        lock = trial.settings.csv.with_name(trial.settings.csv.name + ".lock")
        await asyncio.sleep(5)
        lock.unlink()
        await asyncio.sleep(3)
        assert lock.exists()

    trial = run_trial(tmp_path, 20, script)
    assert trial.rows() == trial.truth()


def test_rows_of_somebody_else_do_not_get_mixed_up_with_ours(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(5)
        with trial.settings.csv.open("ab") as file:
            file.write(b"torn by another hand")

    trial = run_trial(tmp_path, 20, script)
    assert trial.rows() == trial.truth()


def test_a_chore_that_dies_ends_the_session_with_its_error(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(5)
        trial.session._feed.live_since = lambda: 1 / 0

    with pytest.raises(ZeroDivisionError):
        run_trial(tmp_path, 40, script, binance__reconnect={"modulo": "10s"})


def test_a_moment_of_silence_is_no_alarm_and_a_long_one_is(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(30)
        trial.server.silence(600)
        await asyncio.sleep(30)
        assert trial.state()["status"] == "recording"
        await asyncio.sleep(60)
        assert trial.state()["status"] == "stalled"
        assert "silent" in trial.state()["error"]

    run_trial(
        tmp_path, 130, script, binance__stream__timeframe="1h",
        start_ms=to_ms("2026-01-01T00:10:00Z"),
    )  # fmt: skip


def test_a_clock_of_the_exchange_that_runs_ahead_makes_no_candle_of_a_forming_one(
    tmp_path: Path,
) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(100)
        trial.server.skew(50, 20)
        await asyncio.sleep(300)

    trial = run_trial(tmp_path, 400, script, **MINUTE)
    assert trial.rows() == trial.truth()
    assert trial.of(events.CandleConflict) == []
