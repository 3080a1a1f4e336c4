"""The candle file of a whole session: garbled between two runs, taken away, and with full columns."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from kline_ops import events
from kline_ops.errors import JournalError
from kline_ops.market.candle import HEADERS
from kline_ops.market.timestamp import to_ms
from kline_ops.record.disk import Disk
from tests.support.disks import remove_folder
from tests.support.trial import Trial, run_trial

START = 1_767_225_600_300
FULL = {"record__columns": "full"}


def let_go(trial: Trial) -> None:
    """What the end of a process does: virtual time does not wait for the thread that closes the file."""
    assert trial.session._recorder._outbox._worker.join(10)
    trial.session._journal.close()


@pytest.mark.parametrize("columns", ["basic", "full"])
@pytest.mark.parametrize("what", ["garbled", "doubled", "swapped", "glued"])
def test_a_row_that_is_garbled_between_two_runs_is_fetched_again(
    tmp_path: Path, what: str, columns: str
) -> None:
    first = run_trial(tmp_path, 30, record__columns=columns)
    let_go(first)
    csv = first.settings.csv
    lines = csv.read_bytes().splitlines(keepends=True)
    match what:
        case "garbled":
            lines[15] = b"#" * (len(lines[15]) - 1) + b"\n"
        case "doubled":  # and a hole, so that the count is right
            lines[16] = lines[15]
        case "swapped":
            lines[15], lines[16] = lines[16], lines[15]
        case "glued":
            lines[15] = lines[15][:30]
    csv.write_bytes(b"".join(lines))
    second = run_trial(tmp_path, 30, start_ms=START + 40_000, record__columns=columns)
    assert second.rows() == second.truth()
    assert len(second.rows()) >= 68
    (told,) = second.of(events.JournalRepaired)
    assert "line" in told.what or "row" in told.what
    torn = csv.with_name(csv.name + ".torn")
    assert torn.exists() == (what != "swapped")
    state = second.state()["metadata"]
    assert (state["missing"], state["on_disk"]) == (0, len(second.rows()))


def test_a_session_that_is_idle_has_lock_and_file_back_within_two_seconds(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        csv = trial.settings.csv
        lock = csv.with_name(csv.name + ".lock")
        await asyncio.sleep(100)
        remove_folder(trial.settings.data_dir)
        await asyncio.sleep(2)
        assert lock.exists()
        assert csv.read_text() == HEADERS["basic"] + "\n"
        lock.unlink()
        await asyncio.sleep(2)
        assert lock.exists()

    trial = run_trial(
        tmp_path, 1_000, script,
        binance__stream__timeframe="1h", start_ms=to_ms("2026-01-01T00:50:00Z"),
    )  # fmt: skip
    assert trial.rows() == trial.truth()
    # Once, or more often where the folder was removed while it was made anew.
    assert trial.of(events.JournalRepaired)


class Unreadable(Disk):
    """Answers nothing about its files while it is told so."""

    failing = False

    def size(self, fd: int) -> int:
        if self.failing:
            raise OSError(errno.EIO, "Input/output error")
        return super().size(fd)


def test_a_look_at_the_file_that_fails_is_told_and_repeated(tmp_path: Path) -> None:
    disk = Unreadable()

    async def script(trial: Trial) -> None:
        await asyncio.sleep(20)
        disk.failing = True
        await asyncio.sleep(20)
        assert "Input/output" in trial.state()["error"]
        disk.failing = False
        await asyncio.sleep(10)
        assert trial.state()["error"] is None

    trial = run_trial(
        tmp_path, 200, script, disk=disk,
        binance__stream__timeframe="1m", start_ms=to_ms("2026-01-01T00:00:05Z"),
    )  # fmt: skip
    assert trial.rows() == trial.truth()
    assert len(trial.of(events.DiskFull)) == 1
    assert len(trial.of(events.DiskRecovered)) == 1


def test_full_rows_of_the_stream_and_of_rest_are_the_same(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(12.4)
        trial.server.refuse(8)
        trial.server.close_all(1006)

    trial = run_trial(tmp_path, 40, script, **FULL)
    assert trial.rows() == trial.truth()
    sources = {e.source for e in trial.of(events.Recorded)}
    assert sources == {"stream", "rest"}
    assert len(trial.of(events.HoleFilled)) >= 1
    assert all(row.count(",") == 10 for row in trial.rows())
    (tmp_path / "beside").mkdir()
    by_stream = run_trial(tmp_path / "beside", 40, **FULL)
    assert not by_stream.of(events.HoleFilled)
    assert set(by_stream.rows()) & set(trial.rows())
    assert by_stream.rows()[-20:] == trial.rows()[-20:]


@pytest.mark.parametrize(("first", "then"), [("basic", "full"), ("full", "basic")])
def test_a_file_keeps_the_columns_that_it_began_with(tmp_path: Path, first: str, then: str) -> None:
    trial = run_trial(tmp_path, 5, record__columns=first)
    let_go(trial)
    before = trial.settings.csv.read_bytes()
    with pytest.raises(
        JournalError, match=f"{first} columns, and record.columns is {then}"
    ) as told:
        run_trial(tmp_path, 5, record__columns=then)
    assert not told.value.transient
    assert f"record.columns: {first}" in told.value.hint
    assert trial.settings.csv.read_bytes() == before


def test_a_file_begun_anew_has_the_last_candle_before_a_maintenance_at_once(tmp_path: Path) -> None:
    """Nothing follows it for a while; what comes after the maintenance shows that it is final."""

    async def script(trial: Trial) -> None:
        await asyncio.sleep(20)
        now_ms = trial.clock.wall_ms()
        trial.server.maintenance(now_ms, now_ms + 3_000)
        await asyncio.sleep(6)
        trial.settings.csv.rename(tmp_path / "away.csv")

    trial = run_trial(tmp_path, 35, script)
    assert trial.rows() == trial.truth()
    assert len(trial.rows()) >= 30
