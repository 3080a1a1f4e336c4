"""What a watchdog's messages say: each thing once."""

from __future__ import annotations

import pytest

from kline_ops.ops.guard_messages import of_telling
from kline_ops.watch.process import Process
from kline_ops.watch.staleness import Finding, Pulse
from kline_ops.watch.verdict import Evidence
from kline_ops.watch.vigil import Kind, Telling

NOTHING = Evidence(None, None, 0.0, Process.GONE, Process.GONE, None)


@pytest.mark.parametrize(
    ("word", "reason", "told"),
    [
        (Pulse.STALE, "no heartbeat for 7 s", "no heartbeat: for 7 s"),
        (Pulse.STALE, "hung: the process lives", "no heartbeat: hung: the process lives"),
        (Pulse.GONE, "its state file was there, and is not any more",
         "its state file is gone: it was there, and is not any more"),
        (Pulse.BAD, "its state file can not be read: Input/output error",
         "its state file can not be read: Input/output error"),
        (Pulse.BAD, "its state file is torn", "its state file can not be read: it is torn"),
        (Pulse.FUTURE, "its last beat is 1 h in the future: a clock is wrong",
         "a clock is wrong: its last beat is 1 h in the future"),
        (Pulse.DEAD, "killed by SIGKILL", "dead: killed by SIGKILL"),
    ],
)  # fmt: skip
def test_a_title_is_not_said_again(word: Pulse, reason: str, told: str) -> None:
    message = of_telling("mine", Telling(Kind.ALARM, Finding(word, reason)), NOTHING)
    assert f"{message.title}: {message.text}" == f"mine: {told}"


@pytest.mark.parametrize(
    ("word", "reason", "told"),
    [
        (Pulse.STALE, "no heartbeat for 2 h", "still: no heartbeat: for 2 h"),
        (Pulse.DEAD, "killed by SIGKILL", "still: dead: for 1 h 00 min: killed by SIGKILL"),
    ],
)
def test_a_reminder_says_for_how_long_once(word: Pulse, reason: str, told: str) -> None:
    telling = Telling(Kind.REMINDER, Finding(word, reason), 3600.0)
    message = of_telling("mine", telling, NOTHING)
    assert f"{message.title}: {message.text}" == f"mine: {told}"
