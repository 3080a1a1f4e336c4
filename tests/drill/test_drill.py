"""Real drills: a recorder in a process of its own, real sockets, real files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kline_ops.drill import pace
from kline_ops.drill.evidence import CandleFile
from kline_ops.drill.faults import TROUBLES, Sign, Trouble
from kline_ops.drill.foreground import conduct
from kline_ops.drill.plan import Plan
from kline_ops.drill.stage import Stage
from kline_ops.errors import InputError
from tests.support.machine import Machine, until


def test_a_short_drill(machine: Machine) -> None:
    ran = machine.run(
        "drill", "--only", "planned-restart,close-1001,withhold,kill-9", "--seconds", "11", "--json",
        "--keep", "kept",
    )  # fmt: skip
    told = json.loads(ran.stdout)
    assert ran.returncode == (1 if told["findings"] else 0)
    # How soon is for a drill on a machine of its own (the long tests); here others run at once.
    assert [found for found in told["findings"] if "noticed after" not in found] == []
    assert sorted(fault["fault"] for fault in told["faults"]) == [
        "close-1001", "kill-9", "planned-restart", "withhold"
    ]  # fmt: skip
    signs = {fault["fault"]: fault["noticed_by"] for fault in told["faults"]}
    assert signs["close-1001"] == "disconnected"
    assert signs["withhold"] == "hole_found"
    assert signs["kill-9"] == "session_started"
    assert signs["planned-restart"] is None
    events = (machine.folder / "kept" / "data" / "events.jsonl").read_text().splitlines()
    assert "planned" in [json.loads(line).get("why") for line in events]
    total = told["total"]
    assert total["owed"] == total["on_disk"] == total["stream"] + total["rest"] >= 5
    assert "time-outs (s): grace 0.4" in ran.stderr
    assert "4/4 " in ran.stderr
    file = CandleFile(machine.folder / "kept" / "data" / "candles_BTCUSDT_1s.csv")
    file.poll()
    assert len(file.rows) >= total["owed"]
    # Of the user's own places nothing was touched.
    assert not (machine.folder / "state").exists()
    assert not (machine.folder / "data").exists()


def test_ctrl_c_ends_it_and_its_recorder_and_tells_what_was_done(
    machine: Machine, tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    machine.environ["TMPDIR"] = str(temporary)
    child = machine.begin("drill", "--only", "cut,silence", "--seconds", "300")
    state = until(lambda: list(temporary.glob("*/data/state/heartbeat.state.json")))[0]
    pid = until(lambda: json.loads(state.read_text())["metadata"].get("pid"))
    until(lambda: json.loads(state.read_text())["metadata"].get("live"))
    os.kill(child.pid, signal.SIGINT)
    output, errors = child.communicate(timeout=15)
    assert child.returncode == 130, errors
    assert "ended before its time" in output
    assert "lost 0 · doubled 0 · wrong 0" in output
    assert list(temporary.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_drill_that_is_killed_leaves_no_recorder_behind(machine: Machine) -> None:
    child = machine.begin("drill", "--keep", "kept", stdout=subprocess.DEVNULL)
    state = machine.folder / "kept" / "data" / "state" / "heartbeat.state.json"
    until(state.exists)
    pid = until(lambda: json.loads(state.read_text())["metadata"].get("pid"))
    child.kill()
    child.wait(10)
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert json.loads(state.read_text())["status"] == "stopped"


def test_a_recorder_that_fails_is_found_out(tmp_path: Path) -> None:
    """A row that nobody can know to be wrong, and a sign that never comes."""

    async def falsify(stage: Stage, _seconds: float) -> None:
        def change(csv: Path) -> None:
            rows = csv.read_bytes()
            csv.write_bytes(rows[:-4] + bytes([rows[-4] ^ 1]) + rows[-3:])

        await stage.while_down(change, kill=True)

    trouble = Trouble("falsified", falsify, (Sign("never"),), within=0.5, lasts=0.0, needs=1.0)
    report = conduct(Plan((trouble,), (), 1.0), 1, tmp_path / "kept", lambda *_: None)
    assert report.findings() == ["falsified: not noticed", "candles wrong: 1"]


def test_a_recorder_that_dies_is_begun_anew_and_told(tmp_path: Path) -> None:
    async def kill(stage: Stage, _seconds: float) -> None:
        stage.child.send(signal.SIGKILL)

    trouble = Trouble("dies", kill, (Sign("session_started"),), within=9.0, lasts=0.0, needs=1.0)
    report = conduct(Plan((trouble,), (), 1.0), 1, tmp_path / "kept", lambda *_: None)
    assert report.findings() == ["the recorder ended by itself: SIGKILL"]
    assert report.total().lost == 0


def test_a_folder_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(InputError, match="is not empty") as error:
        conduct(Plan((), (), 1.0), 1, tmp_path, lambda *_: None)
    assert error.value.exit_code == 2


def test_usage(machine: Machine) -> None:
    ran = machine.run("drill", "--only", "cat")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "there is no fault 'cat'" in ran.stderr
    listed = machine.run("drill", "--list")
    assert listed.stdout.split() == [trouble.name for trouble in TROUBLES]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_whole_drill(machine: Machine) -> None:
    drilling = machine.begin("drill", "--seed", "3", "--json")
    output, errors = drilling.communicate(timeout=200)
    told = json.loads(output)
    assert (told["findings"], drilling.returncode) == ([], 0), errors
    assert told["left_out"] == []
    assert len(told["faults"]) == len(TROUBLES)
    assert told["seconds"] < 1.5 * 90
    assert told["total"]["owed"] > 60 * pace.CANDLE


def untrue(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Holes that are put down to the wrong cause. Where others run at once, the process stands still."""
    return [hole for hole in told["holes"] if not hole["true"] and hole["cause"] != "hung"]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_whole_drill_without_backfill(machine: Machine) -> None:
    drilling = machine.begin("drill", "--no-backfill", "--seed", "3", "--json")
    output, errors = drilling.communicate(timeout=200)
    told = json.loads(output)
    # How soon each fault is noticed is asked of the drill with backfill.
    assert untrue(told) == [], errors
    assert told["left_out"] == []
    assert len({hole["cause"] for hole in told["holes"]}) >= 5
    assert told["total"]["lost"] > 20
