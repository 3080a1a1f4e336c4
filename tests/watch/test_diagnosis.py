"""A session's finding: its file, and all else that can be seen of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kline_ops.watch.diagnosis import Ailment, ailment, of_command, of_session
from kline_ops.watch.process import Process
from kline_ops.watch.staleness import Finding, Pulse
from kline_ops.watch.verdict import Evidence, Word, verdict

RUNNING, STOPPED, GONE = Process.RUNNING, Process.STOPPED, Process.GONE
STATE = {"status": "recording", "timestamp": "2026-01-27T14:00:00Z", "metadata": {}}
WELL = Evidence(
    state=STATE, state_age=1.0, beat=5.0, recorder=RUNNING, keeper=RUNNING, exit=None,
    disk_free=10**9, recorder_pid=7, keeper_pid=6, log_age=100.0, max_age=30.0,
)  # fmt: skip
NO_FILE = Finding(Pulse.NOT_STARTED)


def seen(file: Pulse, **changes: Any) -> tuple[Pulse, Ailment]:
    evidence = replace(WELL, **changes)
    finding = of_session(Finding(file), evidence, *verdict(evidence))
    return finding.word, ailment(finding, evidence)


def state(**changes: Any) -> dict[str, Any]:
    return STATE | changes


@pytest.mark.parametrize(
    ("file", "changes", "word", "trouble"),
    [
        ("WELL", {}, "WELL", Ailment.NONE),
        ("WELL", {"state": state(status="catching_up")}, "WELL", Ailment.NONE),
        ("WELL", {"state": state(status="starting")}, "WAITING", Ailment.NONE),
        # Its supervisor is suspended, and it runs: what it has in memory is not thrown away.
        (
            "STALLED",
            {"keeper": STOPPED, "state": state(status="stalled", metadata={"disk_error": "full"})},
            "STALLED",
            Ailment.OTHER,
        ),
        # Ended.
        ("WELL", {"recorder": GONE, "keeper": GONE}, "DEAD", Ailment.DEAD),
        ("STALE", {"recorder": GONE, "keeper": GONE, "state_age": 99.0}, "DEAD", Ailment.DEAD),
        ("WAITING", {"recorder": GONE, "keeper": GONE}, "DEAD", Ailment.DEAD),
        (
            "WELL",
            {"recorder": GONE, "keeper": GONE, "exit": {"final": True, "orphaned": True}},
            "DEAD",
            Ailment.DEAD,
        ),
        (
            "WELL",
            {"recorder": GONE, "keeper": GONE, "exit": {"final": True, "signal": "SIGKILL"}},
            "DEAD",
            Ailment.OTHER,  # `stop` had to use force
        ),
        ("WELL", {"recorder": GONE, "keeper": GONE, "exit": {"code": 2}}, "DEAD", Ailment.OTHER),
        ("STOPPED", {"recorder": GONE, "keeper": GONE, "exit": {"code": 0}}, "STOPPED", None),
        ("STOPPED", {"recorder": GONE, "keeper": GONE, "state": state(status="stopped")},
         "STOPPED", None),
        ("STOPPED", {"recorder": GONE, "keeper": GONE, "state": None}, "STOPPED", None),
        # Where nobody reaps (a container) a supervisor that has ended is a zombie for ever.
        ("STOPPED", {"recorder": GONE, "keeper": Process.ZOMBIE, "state": None}, "STOPPED", None),
        ("GONE", {"recorder": GONE, "keeper": GONE, "state": None}, "DEAD", Ailment.DEAD),
        ("NOT_STARTED", {"recorder": GONE, "keeper": GONE, "state": None, "keeper_pid": None},
         "NOT_STARTED", None),
        ("NOT_STARTED", {"recorder": GONE, "keeper": GONE, "state": None}, "DEAD", Ailment.DEAD),
        # There, and does nothing.
        ("STALE", {"state_age": 31.0}, "STALE", Ailment.HUNG),
        ("WELL", {"recorder": STOPPED}, "STALE", Ailment.HUNG),
        ("WAITING", {"recorder": STOPPED}, "STALE", Ailment.HUNG),
        ("STALE", {"recorder": STOPPED, "state_age": 31.0}, "STALE", Ailment.HUNG),
        ("WELL", {"recorder": GONE, "keeper": STOPPED}, "DEAD", Ailment.HUNG),
        ("STALE", {"state_age": 31.0, "disk_free": 0}, "STALE", Ailment.OTHER),
        ("STALE", {"state_age": 31.0, "log_age": 0.5}, "STALE", Ailment.OTHER),
        # It beats.
        ("STALLED", {"state": state(status="stalled")}, "STALLED", Ailment.DRY),
        ("STALLED", {"state": state(status="stalled"), "keeper_pid": 7}, "STALLED", Ailment.OTHER),
        (
            "STALLED",
            {"state": state(status="stalled", metadata={"disk_error": "no space"})},
            "STALLED",
            Ailment.OTHER,
        ),
        ("WELL", {"lock_holder": 99, "state_age": 3.0}, "STALLED", Ailment.OTHER),
        # A clock, or the file.
        ("FUTURE", {"state_age": -3600.0}, "FUTURE", Ailment.OTHER),
        ("BEHIND", {"state_age": 3600.0}, "BEHIND", Ailment.OTHER),
        ("WAITING", {"state_age": 3600.0}, "WAITING", Ailment.NONE),
        ("BAD", {"state": None}, "BAD", Ailment.OTHER),
        ("GONE", {"state": None}, "GONE", Ailment.OTHER),
        ("NOT_STARTED", {"state": None}, "WAITING", Ailment.NONE),
    ],
)  # fmt: skip
def test_the_table(file: str, changes: Any, word: str, trouble: Ailment | None) -> None:
    assert seen(Pulse(file), **changes) == (Pulse(word), trouble or Ailment.NONE)


def test_what_is_said_of_it_is_what_status_says() -> None:
    evidence = replace(WELL, recorder=STOPPED)
    finding = of_session(
        Finding(Pulse.STALE, "no heartbeat for 31 s"), evidence, *verdict(evidence)
    )
    assert finding.reason == "the process is suspended (continue it with: kill -CONT 7)"


def test_a_dead_unit_is_systemd_s() -> None:
    evidence = replace(WELL, recorder=GONE, keeper=GONE)
    assert ailment(Finding(Pulse.DEAD), evidence, is_unit=True) is Ailment.DEAD_UNIT
    assert ailment(Finding(Pulse.STALE), WELL, is_unit=True) is Ailment.HUNG


@pytest.mark.parametrize(
    ("word", "changes", "expected"),
    [
        (Word.RUNNING, {}, Pulse.WELL),
        (Word.STARTING, {}, Pulse.WAITING),
        (Word.STALLED, {"recorder": GONE}, Pulse.STALLED),
        (Word.STALLED, {"recorder": STOPPED}, Pulse.STALE),
        (Word.DEAD, {"recorder": GONE, "keeper": GONE}, Pulse.DEAD),
        (Word.STOPPED, {"recorder": GONE, "keeper": GONE}, Pulse.STOPPED),
    ],
)
def test_a_command_does_not_beat(word: Word, changes: Any, expected: Pulse) -> None:
    """Its state file is as old as it is."""
    evidence = replace(WELL, **changes)
    assert of_command(Finding(Pulse.STALE), evidence, word, "").word is expected
