"""What is wrong with a session: its state file, and all else that can be seen of it, weighed. Pure."""

from __future__ import annotations

import enum
from dataclasses import replace

from kline_ops.errors import EXIT_USAGE
from kline_ops.watch.files import section
from kline_ops.watch.process import Process
from kline_ops.watch.staleness import Finding, Pulse
from kline_ops.watch.verdict import Evidence, Word, is_full

#: What the file says that no process can gainsay.
_OF_THE_FILE = {Pulse.GONE, Pulse.BAD, Pulse.FUTURE, Pulse.BEHIND}
_GOOD = {Word.RECORDING, Word.CATCHING_UP, Word.RUNNING}


class Ailment(enum.Enum):
    """What could be done about it, if anything."""

    NONE = "none"
    #: It ended, and nobody wanted it to.
    DEAD = "dead"
    #: The same, of one that systemd looks after, or whoever ran it without a supervisor.
    DEAD_UNIT = "dead unit"
    #: Its process is there and does nothing.
    HUNG = "hung"
    #: It beats, and nothing comes in.
    DRY = "dry"
    #: Nothing that another process would be better off with.
    OTHER = "other"

    __hash__ = object.__hash__


def of_session(finding: Finding, evidence: Evidence, word: Word, reason: str) -> Finding:
    """The finding on a session: by its file, and by what ``status`` says of it.

    Args:
        finding: by its file alone.
        evidence: what can be seen of it.
        word: what ``status`` says by that, with the age that the watchdog allows.
        reason: why.
    """
    if word is Word.STOPPED or (finding.word is Pulse.STOPPED and _has_no_trace(evidence)):
        return replace(finding, word=Pulse.STOPPED, reason=reason)
    if finding.word is Pulse.NOT_STARTED and evidence.keeper_pid is None and not evidence.exit:
        return finding  # never begun, or about to be
    if word is Word.DEAD:
        return replace(finding, word=Pulse.DEAD, reason=reason)
    if _is_suspended(evidence) and word is Word.STALLED:
        return replace(finding, word=Pulse.STALE, reason=reason)
    if finding.word in _OF_THE_FILE or finding.word is Pulse.WAITING:
        return finding
    if finding.word is Pulse.STALE:
        return replace(finding, reason=reason) if word is Word.STALLED else finding
    if word is Word.STALLED:
        return replace(finding, word=Pulse.STALLED, reason=reason)
    if word in _GOOD:
        return replace(finding, word=Pulse.WELL, reason=reason)
    return replace(finding, word=Pulse.WAITING, reason=reason or "it is starting")


def of_command(finding: Finding, evidence: Evidence, word: Word, reason: str) -> Finding:
    """The same on a session that only runs a command: its state file says who it is, and beats not."""
    as_one_that_beats = replace(finding, word=Pulse.WELL, age=None)
    if word is Word.STALLED and evidence.recorder is not Process.STOPPED:
        return replace(as_one_that_beats, word=Pulse.STALLED, reason=reason)
    return of_session(as_one_that_beats, evidence, word, reason)


def ailment(finding: Finding, evidence: Evidence, *, is_unit: bool = False) -> Ailment:
    """What kind of trouble it is. ``is_unit``: systemd starts it again, or not."""
    if not finding.is_alarm:
        return Ailment.NONE
    if finding.word is Pulse.DEAD:
        found = _of_the_dead(evidence)
        is_left = is_unit or not _has_keeper(evidence)
        return Ailment.DEAD_UNIT if is_left and found is Ailment.DEAD else found
    if finding.word is Pulse.STALE:
        return _of_the_silent(evidence)
    told = section(evidence.state, "metadata")
    if finding.word is Pulse.STALLED and (evidence.state or {}).get("status") == "stalled":
        # What waits in memory for a disk, a fresh process would not have.
        runs = evidence.recorder is Process.RUNNING and evidence.keeper is Process.RUNNING
        is_dry = runs and _has_keeper(evidence) and not told.get("disk_error")
        return Ailment.DRY if is_dry else Ailment.OTHER
    return Ailment.OTHER


def _of_the_dead(evidence: Evidence) -> Ailment:
    told = evidence.exit or {}
    if evidence.keeper is Process.STOPPED:
        return Ailment.HUNG
    if evidence.keeper is Process.RUNNING or evidence.taken_by:
        return Ailment.OTHER
    # Its supervisor was told to end it, or met an error that would come again.
    is_meant = told.get("final") and not told.get("orphaned")
    return Ailment.OTHER if is_meant or told.get("code") == EXIT_USAGE else Ailment.DEAD


def _of_the_silent(evidence: Evidence) -> Ailment:
    if _is_suspended(evidence):
        return Ailment.HUNG
    if evidence.recorder is not Process.RUNNING or is_full(evidence.disk_free):
        return Ailment.OTHER
    is_writing = evidence.log_age is not None and evidence.log_age <= evidence.late
    return Ailment.OTHER if is_writing else Ailment.HUNG


def _has_keeper(evidence: Evidence) -> bool:
    """Is it kept by a supervisor, and not by itself, in somebody's foreground?"""
    return evidence.keeper_pid is None or evidence.keeper_pid != evidence.recorder_pid


def _is_suspended(evidence: Evidence) -> bool:
    """Its recorder is; or it has none, and who is to start one is. One that runs is judged by itself."""
    keeper_is = evidence.keeper is Process.STOPPED and evidence.recorder is not Process.RUNNING
    return evidence.recorder is Process.STOPPED or keeper_is


def _has_no_trace(evidence: Evidence) -> bool:
    """Its files were taken away after it had been stopped."""
    runs = evidence.keeper in {Process.RUNNING, Process.STOPPED}
    return evidence.state is None and evidence.exit is None and not runs
