"""What ``watchdog --once`` remembers, across calls and across boots."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from kline_ops.alerts.message import Level, Message
from kline_ops.clock import Reading, SystemClock
from kline_ops.ops import guard_memory
from kline_ops.ops.guard import Memory
from kline_ops.ops.guard_memory import Shared, alone, keep, memory_file, recall
from kline_ops.watch.diagnosis import Ailment
from kline_ops.watch.remedy import Remedies, Remedy
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


class Telling:
    """A watchdog that goes on, by its memory alone."""

    def __init__(self, path: Path) -> None:
        self.memory = Memory(vigil=Vigil(floor=300.0))
        self.shared = Shared(path, FILE, SystemClock(), self.memory)

    def hear(self, pulse: Pulse, now: float) -> bool:
        """Is it told?"""
        self.shared.learn()
        told = self.memory.vigil.hear(Finding(pulse), now)
        self.shared.keep()
        return told is not None


def test_two_that_go_on_tell_once_and_share_what_was_done(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    one, other = Telling(path), Telling(path)
    assert one.hear(Pulse.DEAD, 100.0)
    assert not other.hear(Pulse.DEAD, 101.0)
    assert other.hear(Pulse.WELL, 102.0)
    assert not one.hear(Pulse.WELL, 103.0)
    choices = []
    for count in range(6):
        for later, each in enumerate((one, other)):
            each.shared.learn()
            now = 200.0 + 2 * count + later
            choices.append(each.memory.remedies.choose(Ailment.DEAD, now))
            each.shared.keep()
    assert choices[:4] == [Remedy.START] * 3 + [Remedy.GIVE_UP]
    assert set(choices[4:]) == {None}


def test_what_one_has_found_in_a_row_is_its_own(tmp_path: Path) -> None:
    """A call each minute must not begin the count of another one anew."""
    path = tmp_path / "mine.json"
    one = Telling(path)
    assert one.memory.remedies.choose(Ailment.HUNG, 100.0) is None
    keep(path, FILE, NOW, Memory(vigil=Vigil(floor=300.0)))
    one.shared.learn()
    assert one.memory.remedies.choose(Ailment.HUNG, 101.0) is Remedy.KILL


def test_what_another_one_could_not_deliver_is_kept_for_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    message = Message(Level.CRITICAL, "mine: dead", "gone", {"pid": "5"}, 1_769_522_400_000)
    keep(path, FILE, NOW, Memory(vigil=Vigil(floor=300.0), untold=[message]))
    one = Telling(path)
    assert one.hear(Pulse.DEAD, 100.0)
    assert recall(path, FILE, NOW, 300.0).untold == [message]


def test_without_its_file_each_goes_on_by_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    one = Telling(tmp_path / "file" / "mine.json")
    assert one.hear(Pulse.DEAD, 100.0)
    assert not one.hear(Pulse.DEAD, 101.0)
    assert one.hear(Pulse.WELL, 102.0)
