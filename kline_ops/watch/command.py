"""What a session is that only runs a command, from evidence: one word and the reason. Pure.

Whether the command does any good is not ours to know: ``RUNNING`` says that it runs.
"""

from __future__ import annotations

from kline_ops.watch.process import Process
from kline_ops.watch.verdict import Evidence, Word, how_it_ended

#: Seconds after which a command is taken to run: one that can not begin has ended by then.
SETTLES = 1.0
#: Seconds between two runs of a command that are nothing to worry about.
_BETWEEN = 5.0


def judge_command(evidence: Evidence, uptime: float | None) -> tuple[Word, str]:
    """What the session is; ``recorder`` is its command here, ``uptime`` since when that runs (s)."""
    there = evidence.state is not None
    if there and evidence.recorder is Process.STOPPED:
        pid = evidence.recorder_pid
        return Word.STALLED, f"the command is suspended (continue it with: kill -CONT {pid})"
    if there and evidence.recorder is Process.RUNNING:
        if uptime is not None and 0 <= uptime < SETTLES:
            return Word.STARTING, "it has just begun"
        return Word.RUNNING, ""
    if evidence.keeper is Process.STOPPED:
        pid = evidence.keeper_pid
        return Word.STALLED, f"its supervisor is suspended (continue it with: kill -CONT {pid})"
    if evidence.keeper is Process.RUNNING:
        return _between_runs(evidence)
    return _ended(evidence)


def _between_runs(evidence: Evidence) -> tuple[Word, str]:
    told = evidence.exit
    if told is None or told.get("final"):
        return Word.STARTING, "it has not begun yet"
    how = how_it_ended(told)
    if evidence.exit_age is not None and evidence.exit_age > _BETWEEN:
        again = told.get("next_start") or "soon"
        return Word.STALLED, f"the command ended ({how}); it is started again at {again}"
    return Word.STARTING, f"the command ended ({how}) and is started again"


def _ended(evidence: Evidence) -> tuple[Word, str]:
    told = evidence.exit
    if told is None:
        return Word.DEAD, "the process is gone and said no last word"
    if told.get("by_hand"):
        return Word.STOPPED, str(told.get("reason") or "")
    if told.get("orphaned"):
        return Word.DEAD, "its terminal went away; nobody stopped it"
    if not told.get("final"):
        return Word.DEAD, f"its supervisor is gone; the command had ended ({how_it_ended(told)})"
    if told.get("signal"):
        return Word.DEAD, how_it_ended(told)
    if told.get("code") == 0:
        return Word.STOPPED, ""
    # It would have been started again, had it not been told to end.
    return Word.STOPPED, f"exit code {told.get('code')}, when it was told to end"
