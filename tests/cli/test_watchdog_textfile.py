"""``watchdog NAME --textfile FILE``: whoever is dead is seen by node_exporter's textfile collector."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kline_ops.cli.watchdog import watchdog
from kline_ops.cli.watchdog_once import check_once
from kline_ops.cli.watched import find_watched
from kline_ops.errors import ConfigError
from tests.observe.metrics.reading import Samples
from tests.support.machine import Machine, until


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("kline_ops.ops.guard._CONFIRM", 0.01)
    monkeypatch.setattr("kline_ops.watch.sight._AGAIN", 0.01)
    (tmp_path / "node").mkdir()
    umask = os.umask(0o077)  # as the units have it
    yield tmp_path
    os.umask(umask)


def configure(folder: Path, name: str = "mine", textfile: str | None = None) -> Path:
    told = "" if textfile is None else f"resilience: {{watchdog: {{textfile: {textfile}}}}}\n"
    path = folder / f"{name}.yml"
    path.write_text(
        f"data_dir: data-{name}\nbinance: {{stream: {{symbol: btcusdt, timeframe: 1m}}}}\n{told}"
    )
    return path


def beat(folder: Path, name: str = "mine", *, ago: float = 0.0, **told: Any) -> float:
    at = time.time() - ago
    path = folder / f"data-{name}" / "state" / "heartbeat.state.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps({
        "timestamp": datetime.fromtimestamp(at, UTC).isoformat(), "status": "recording",
        "metadata": {"session": name, "pid": os.getpid(), "missing": 3,
                     "last_candle_closed_ms": 1_767_225_600_000, **told},
    }))  # fmt: skip
    beside.replace(path)
    return at


def once(folder: Path, name: str = "mine", textfile: Path | None = None) -> Samples | None:
    watched = find_watched(
        name, folder / f"{name}.yml", interval=None, max_age=30.0, textfile=textfile
    )
    check_once(watched, restart=False)
    path = watched.textfile
    return Samples(path.read_text()) if path is not None and path.exists() else None


def test_it_says_how_the_session_was_and_when_somebody_looked(folder: Path) -> None:
    configure(folder, textfile="../node/mine.prom")  # relative to data_dir
    began, beaten = time.time(), beat(folder)
    told = once(folder)
    assert told is not None
    assert told.sum("watchdog_session_up", session="mine") == 1
    assert told.by("watchdog_session_state", "state")["WELL"] == 1
    assert sum(told.by("watchdog_session_state", "state").values()) == 1
    assert began - 1 <= told.sum("watchdog_last_check_timestamp_seconds") <= time.time() + 1
    assert told.sum("watchdog_heartbeat_timestamp_seconds") == pytest.approx(beaten, abs=0.5)
    assert told.sum("watchdog_last_candle_timestamp_seconds") == 1_767_225_600
    assert told.sum("watchdog_candles_missing") == 3
    assert told.sum("watchdog_disk_free_bytes") > 0
    assert told.sum("watchdog_alarms_total") == 0
    path = folder / "node" / "mine.prom"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in (folder / "node").iterdir()] == ["mine.prom"]
    if (promtool := shutil.which("promtool")) is not None:
        checked = subprocess.run(
            [promtool, "check", "metrics"],
            input=path.read_bytes(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert (checked.returncode, checked.stderr) == (0, b"")


def test_a_death_is_an_alarm_that_is_counted_once_whoever_counts(folder: Path) -> None:
    configure(folder, textfile="../node/mine.prom")
    beaten = beat(folder, pid=1 << 22)
    for _ in range(3):
        told = once(folder)
        assert told is not None
        assert told.by("watchdog_session_state", "state")["DEAD"] == 1
        assert told.sum("watchdog_session_up") == 0
        assert told.sum("watchdog_alarms_total") == 1
        assert told.sum("watchdog_heartbeat_timestamp_seconds") == pytest.approx(beaten, abs=0.5)
    beat(folder)
    told = once(folder)
    assert told is not None
    assert told.sum("watchdog_session_up") == 1
    beat(folder, pid=1 << 22)
    told = once(folder)
    assert told is not None
    assert told.sum("watchdog_alarms_total") == 2


def test_what_is_not_known_any_more_stays_as_it_was_last(folder: Path) -> None:
    configure(folder, textfile="../node/mine.prom")
    beaten = beat(folder)
    once(folder)
    (folder / "data-mine" / "state" / "heartbeat.state.json").unlink()
    told = once(folder)
    assert told is not None
    assert told.sum("watchdog_session_up") == 0
    assert told.sum("watchdog_heartbeat_timestamp_seconds") == pytest.approx(beaten, abs=0.5)
    assert told.sum("watchdog_last_candle_timestamp_seconds") == 1_767_225_600
    assert not told.has("watchdog_candles_missing")
    (folder / "node" / "mine.prom").write_text("kline_ops_watchdog_alarms_total{session=\n\0")
    told = once(folder)
    assert told is not None
    assert told.sum("watchdog_alarms_total") == 0


def test_several_sessions_have_a_file_each_in_one_folder(folder: Path) -> None:
    for name in ("one", "two"):
        configure(folder, name)
        beat(folder, name)
        once(folder, name, folder / "node" / f"{name}.prom")
    assert {each.name for each in (folder / "node").iterdir()} == {"one.prom", "two.prom"}


def test_a_folder_that_can_not_be_written_is_told_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(folder)
    beat(folder)
    away = folder / "away" / "mine.prom"
    for _ in range(2):
        once(folder, textfile=away)
    out, err = capsys.readouterr()
    assert out == "mine WELL\nmine WELL\n"
    (told,) = err.splitlines()
    assert f"WARNING {away} can not be written: No such file or directory" in told
    away.parent.mkdir()
    assert once(folder, textfile=away) is not None
    assert f"WARNING {away} is written again" in capsys.readouterr().err


def test_a_name_that_nobody_reads_is_refused(folder: Path) -> None:
    path = configure(folder, textfile="node/mine.txt")
    with pytest.raises(ConfigError, match=r"resilience\.watchdog\.textfile: .*\*\.prom only"):
        find_watched("mine", path, interval=None, max_age=None)
    with pytest.raises(ConfigError, match="--textfile"):
        watchdog("mine", textfile=Path("mine.txt"))


def test_one_that_goes_on_writes_it_at_each_check(machine: Machine) -> None:
    configure(machine.folder)
    beat(machine.folder)
    path = machine.folder / "mine.prom"
    dog = machine.begin(
        "watchdog", "mine", "--config", "mine.yml", "--interval", "0.2", "--max-age", "1",
        "--textfile", "mine.prom",
    )  # fmt: skip

    def told(name: str) -> float:
        return Samples(path.read_text()).sum(name) if path.exists() else 0.0

    def is_well() -> bool:
        beat(machine.folder)
        return told("watchdog_session_up") == 1

    until(is_well)
    first = told("watchdog_last_check_timestamp_seconds")
    until(lambda: told("watchdog_last_check_timestamp_seconds") > first)
    until(lambda: told("watchdog_alarms_total") >= 1)  # nobody beats any more
    dog.send_signal(signal.SIGTERM)
    assert dog.wait(20) == 0
    last = told("watchdog_last_check_timestamp_seconds")
    assert last <= time.time()  # it stays, and grows old: nobody watches any more
