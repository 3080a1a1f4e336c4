"""The word for a session that only runs a command."""

from __future__ import annotations

from typing import Any

import pytest

from kline_ops.errors import EXIT_FINDING, EXIT_GOOD, EXIT_NOT_RUNNING
from kline_ops.watch.command import SETTLES, judge_command
from kline_ops.watch.process import Process
from kline_ops.watch.verdict import Evidence, Word


def judged(uptime: float | None = 60.0, **changes: Any) -> tuple[Word, str]:
    told: dict[str, Any] = {
        "state": {"status": "running"}, "state_age": 60.0, "beat": 5.0,
        "recorder": Process.RUNNING, "keeper": Process.RUNNING, "exit": None,
        "recorder_pid": 11, "keeper_pid": 10,
    }  # fmt: skip
    return judge_command(Evidence(**(told | changes)), uptime)


def crash(**changes: Any) -> dict[str, Any]:
    return {
        "code": 3, "signal": None, "final": False, "reason": "no more", "next_start": "12:00",
    } | changes  # fmt: skip


def with_exit(**changes: Any) -> dict[str, Any]:
    """All are gone, and this is how it ended."""
    return ALL_GONE | {"exit": crash(final=True) | changes}


GONE = {"recorder": Process.GONE}
ALL_GONE = GONE | {"keeper": Process.GONE}
ENDED = "the command ended (exit code 3: no more)"


@pytest.mark.parametrize(
    ("changes", "word", "reason"),
    [
        ({}, Word.RUNNING, ""),
        # Not the supervisor's life counts, but the command's.
        ({"keeper": Process.GONE}, Word.RUNNING, ""),
        ({"recorder": Process.STOPPED}, Word.STALLED, "kill -CONT 11"),
        (GONE, Word.STARTING, "it has not begun yet"),
        ({"state": None}, Word.STARTING, "it has not begun yet"),
        (GONE | {"keeper": Process.STOPPED}, Word.STALLED, "kill -CONT 10"),
        # Of a run before.
        (GONE | {"exit": crash(final=True, code=0)}, Word.STARTING, "it has not begun yet"),
        (GONE | {"exit": crash(), "exit_age": 1.0}, Word.STARTING, f"{ENDED} and is started again"),
        (
            {"recorder": Process.ZOMBIE, "exit": crash(), "exit_age": 6.0},
            Word.STALLED,
            f"{ENDED}; it is started again at 12:00",
        ),
        (ALL_GONE, Word.DEAD, "the process is gone and said no last word"),
        (with_exit(code=0), Word.STOPPED, ""),
        (with_exit(code=143), Word.STOPPED, "exit code 143, when it was told to end"),
        (with_exit(code=None, signal="SIGKILL"), Word.DEAD, "killed by SIGKILL"),
        (with_exit(code=0, orphaned=True), Word.DEAD, "its terminal went away; nobody stopped it"),
        (with_exit(final=False), Word.DEAD, "its supervisor is gone; the command had ended"),
    ],
)
def test_the_word_by_evidence(changes: dict[str, Any], word: Word, reason: str) -> None:
    told, why = judged(**changes)
    assert told is word
    assert reason in why
    assert bool(reason) == bool(why)


def test_it_runs_once_it_has_run_for_a_moment() -> None:
    assert judged(SETTLES - 0.01) == (Word.STARTING, "it has just begun")
    assert judged(SETTLES) == (Word.RUNNING, "")
    # A clock that was stepped back is no beginning.
    assert judged(-3600.0) == (Word.RUNNING, "")
    assert judged(None) == (Word.RUNNING, "")


def test_exit_codes() -> None:
    assert Word.RUNNING.exit_code == EXIT_GOOD
    assert judged(**GONE)[0].exit_code == EXIT_GOOD
    assert judged(recorder=Process.STOPPED)[0].exit_code == EXIT_FINDING
    assert judged(**ALL_GONE)[0].exit_code == EXIT_NOT_RUNNING
