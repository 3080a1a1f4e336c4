"""What ``watchdog --once`` remembers, across calls and across boots."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from kline_ops.clock import Reading
from kline_ops.ops import guard_memory
from kline_ops.ops.guard import Memory
from kline_ops.ops.guard_memory import alone, keep, memory_file, recall
from kline_ops.watch.remedy import Remedies
from kline_ops.watch.staleness import Finding, Pulse, Seen
from kline_ops.watch.vigil import Vigil

FILE = Path("/x/heartbeat.state.json")
NOW = Reading(1_769_522_400_000, 5_000.0, 10.0)


def memory() -> Memory:
    vigil = Vigil(floor=300.0)
    vigil.hear(Finding(Pulse.STALE), 4_900.0)
    return Memory(
        Seen(NOW, was_there=True, mark="1:2:3", still_since=4_000.0, excuse="it slept"),
        vigil,
        Remedies("hung", 1, {"restart": [4_800.0]}),
    )


def test_the_next_call_goes_on_from_there(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "mine.json"
    kept = memory()
    keep(path, FILE, NOW, kept)
    later = Reading(NOW.wall_ms + 1000, NOW.monotonic + 1, NOW.asleep)
    assert recall(path, FILE, later, 300.0) == kept
    assert recall(path, FILE, later, 60.0).vigil.floor == 60.0


def test_after_a_boot_an_alarm_has_its_length_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.json"
    keep(path, FILE, NOW, memory())
    monkeypatch.setattr(guard_memory, "_boot", lambda: "another")
    later = Reading(NOW.wall_ms + 600_000, 20.0, 0.0)
    found = recall(path, FILE, later, 300.0)
    assert found.seen == Seen(later, was_there=True, mark="1:2:3", still_since=20.0)
    told = found.vigil.hear(Finding(Pulse.WELL), 20.0)
    assert told is not None
    assert told.lasted == pytest.approx(710.0)  # 110 s before, and ten minutes since
    assert found.remedies.done["restart"][0] == pytest.approx(20.0 - 810.0)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", json.dumps({"state_file": str(FILE), "vigil": 5}),
     json.dumps({"state_file": str(FILE), "boot": "", "now": [1, 2, 3], "seen": {"now": "x"},
                 "vigil": {}, "remedies": {}})],
)  # fmt: skip
def test_a_damaged_file_is_no_memory(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    assert recall(path, FILE, NOW, 300.0) == Memory(vigil=Vigil(floor=300.0))


def test_of_another_state_file_nothing_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    keep(path, FILE, NOW, memory())
    assert recall(path, Path("/y"), NOW, 300.0).seen is None


def test_it_is_in_the_folder_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/s")
    assert memory_file("mine") == Path("/s/kline-ops/watchdog/mine.json")


def test_on_a_full_disk_it_is_written_over_in_its_place(tmp_path: Path) -> None:
    """Else each call of cron would tell of the full disk anew."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a file system can not be mounted here")
    try:
        path = disk / "watchdog" / "mine.json"
        keep(path, FILE, NOW, Memory())
        with pytest.raises(OSError, match="No space"):
            (disk / "fill").write_bytes(bytes(1 << 20))
        kept = memory()
        keep(path, FILE, NOW, kept)
        assert recall(path, FILE, NOW, 300.0) == kept
        keep(path, FILE, NOW, Memory(vigil=Vigil(floor=300.0)))
        assert recall(path, FILE, NOW, 300.0) == Memory(vigil=Vigil(floor=300.0))
        with pytest.raises(OSError, match="No space"):
            keep(disk / "watchdog" / "other.json", FILE, NOW, kept)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_one_call_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "mine.json"
    with alone(path) as first:
        assert first
        with alone(path) as second:
            assert not second
    with alone(path) as third:
        assert third
    with alone(Path("/proc/nowhere/mine.json")) as nobody_knows:
        assert nobody_knows
