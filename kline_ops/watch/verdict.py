"""What a session is, from evidence: one word and the reason. Pure.

The recorder judges its data (``judge``: it knows the exchange's time); a look from outside
(``verdict``) judges the recorder: is there a process, does it write its state, how did it end.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from kline_ops.errors import EXIT_FINDING, EXIT_GOOD, EXIT_NOT_RUNNING
from kline_ops.plain import duration
from kline_ops.watch.files import Json, section
from kline_ops.watch.process import Process


class Word(enum.Enum):
    """The state of a session."""

    STARTING = "STARTING"
    RECORDING = "RECORDING"
    #: Of a session that is only a command: see ``command.py``.
    RUNNING = "RUNNING"
    CATCHING_UP = "CATCHING_UP"
    STALLED = "STALLED"
    STOPPED = "STOPPED"
    DEAD = "DEAD"

    @property
    def exit_code(self) -> int:
        """What ``status`` exits with."""
        if self in {Word.STOPPED, Word.DEAD}:
            return EXIT_NOT_RUNNING
        return EXIT_FINDING if self is Word.STALLED else EXIT_GOOD


#: The state file may be this many beats late, and never less than this many seconds.
_LATE_BEATS = 3
_LATE_SECONDS = 5.0
#: Where a watchdog was told an age: a beat may be so many of its intervals old in any case.
_BEATS = 1.5
#: Seconds without any connection that delivers before a session that had data is called stalled.
_DARK_SECONDS = 10.0
#: Seconds between two runs of a recorder that are nothing to worry about.
_BETWEEN_SECONDS = 5.0
#: Seconds after which a state is not just being replaced.
_SETTLED_SECONDS = 2.0
#: Seconds after the last word of a recorder in which its supervisor has written down how it ended.
_LONGEST_BETWEEN = 30.0
#: Seconds after the begin of a supervisor in which its recorder has told something.
_LONGEST_SILENCE = 60.0
#: Bytes free that are as good as none.
_NO_SPACE = 65_536
#: What the reason begins with while nothing has ever arrived.
NO_DATA_YET = "no data yet: "
DISK_FULL = "the disk of its files is full"
_ORPHANED = "its supervisor or its terminal went away; nobody stopped it"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the recorder knows of its data. Seconds; None where there is nothing yet."""

    #: Since the session began, and since when no connection has been delivering.
    uptime: float
    dark_for: float | None
    has_data: bool
    #: Since the last usable message; None before the first.
    silent_for: float | None
    #: How long the newest owed candle has been due; zero or less while it is not.
    overdue_for: float
    #: Owed, due, and being asked for.
    pursued: int
    #: Those of them that REST was asked for and did not have.
    absent: int
    backfill: bool
    disk_error: str | None
    rest_error: str | None
    feed_error: str | None
    #: Longest time that a candle may take from its close to the disk.
    patience: float
    stall: float


def allowed(max_age: float, beat: float) -> float:
    """The age (s) that a watchdog allows: never so small that each beat would be late."""
    return max(max_age, _BEATS * beat)


def is_full(free: int | None) -> bool:
    """Is there too little left for even a state file? ``free`` in bytes, None if unknown."""
    return free is not None and free < _NO_SPACE


def judge(facts: Facts) -> tuple[Word, str]:
    """What the recorder is, by its data."""
    if facts.disk_error is not None:
        return Word.STALLED, facts.disk_error
    if not facts.has_data and facts.feed_error:
        # Nothing shows yet that the next attempt will do better: a typo, a refused certificate.
        return Word.STALLED, f"{NO_DATA_YET}{facts.feed_error}"
    if not facts.has_data and facts.pursued == 0:
        if facts.uptime > facts.stall:
            return Word.STALLED, f"{NO_DATA_YET}{facts.rest_error or 'the stream is silent'}"
        return Word.STARTING, facts.rest_error or "waiting for the first data"
    if facts.dark_for is not None and facts.dark_for > _DARK_SECONDS:
        return Word.STALLED, f"not connected: {facts.feed_error or 'no connection delivers'}"
    silent_for = facts.silent_for or 0.0
    if facts.dark_for is None and silent_for > facts.stall:
        return Word.STALLED, f"connected, but silent for {silent_for:.0f} s"
    if facts.pursued:
        return _pursuing(facts)
    return Word.RECORDING, ""


def _pursuing(facts: Facts) -> tuple[Word, str]:
    """Candles are due and not there."""
    why = f": {facts.rest_error}" if facts.rest_error else ""
    if (why or not facts.backfill) and facts.overdue_for > max(facts.stall, facts.patience):
        return Word.STALLED, f"{facts.pursued} candles are overdue{why}"
    if not facts.backfill:
        return Word.RECORDING, ""
    if facts.absent >= facts.pursued and not why:
        return Word.CATCHING_UP, f"REST has none of {facts.pursued} candle(s); asking again"
    return Word.CATCHING_UP, f"asking REST for {facts.pursued} candle(s){why}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What can be seen of a session from outside. Ages in seconds."""

    state: Json | None
    state_age: float | None
    beat: float
    recorder: Process
    keeper: Process
    #: How the last run ended, as its supervisor saw it, and how long ago (s).
    exit: Json | None
    exit_age: float | None = None
    #: Bytes free where its files are.
    disk_free: int | None = None
    #: Pids, for the words: of the recorder, of its supervisor, and of who holds the candle file's lock.
    recorder_pid: object = None
    keeper_pid: int | None = None
    lock_holder: int | None = None
    #: Since its log, or its candle file, was written last (s).
    log_age: float | None = None
    #: The session whose state is in the state file, if another one's; ``recorder`` is that one's.
    taken_by: str | None = None
    #: How old (s) its state may be, where a watchdog was told; else some beats.
    max_age: float | None = None
    #: Since its supervisor began (s).
    keeper_for: float | None = None

    @property
    def late(self) -> float:
        """A state that is older (s) than this comes from a recorder that writes none."""
        if self.max_age is None:
            return max(_LATE_BEATS * self.beat, _LATE_SECONDS)
        return allowed(self.max_age, self.beat)


def verdict(evidence: Evidence) -> tuple[Word, str]:
    """What the session is, whatever it says of itself."""
    state = evidence.state
    if state is None:
        return _silent(evidence)
    if evidence.recorder in {Process.GONE, Process.ZOMBIE}:
        if evidence.keeper is Process.STOPPED or _is_left_lying(evidence):
            return Word.DEAD, _unattended(evidence)
        if evidence.keeper is Process.RUNNING:
            return _between_runs(evidence)
        return _ended(evidence)
    if evidence.recorder is Process.STOPPED:
        return Word.STALLED, _suspended(evidence.recorder_pid)
    return _alive(evidence, state)


def _alive(evidence: Evidence, state: Json) -> tuple[Word, str]:
    """The recorder runs: what it says of itself, if that is fresh and its own."""
    late = evidence.late
    if evidence.state_age is None:
        return Word.STALLED, "its state file does not say when it was written"
    if evidence.state_age > late:
        age = f"for {evidence.state_age:.0f} s"
        if is_full(evidence.disk_free):
            return Word.STALLED, f"its state could not be written {age}: {DISK_FULL}"
        if evidence.log_age is not None and evidence.log_age < evidence.state_age - late:
            return Word.STALLED, f"its state could not be written {age}; see its log"
        return Word.STALLED, f"hung: the process lives but has told nothing {age}"
    if evidence.state_age < -late:
        return Word.STALLED, "its state is from the future: a clock was stepped"
    # For a moment it is another's: one that takes over has the lock before it writes the state.
    settled = evidence.state_age >= _SETTLED_SECONDS
    if settled and evidence.lock_holder not in {None, evidence.recorder_pid}:
        return Word.STALLED, f"its candle file is locked by pid {evidence.lock_holder}"
    reason = state.get("error") or ""
    try:
        return Word(str(state.get("status")).upper()), str(reason)
    except ValueError:
        return Word.STALLED, f"its state is not known: {state.get('status')!r}"


def _suspended(pid: object) -> str:
    return f"the process is suspended (continue it with: kill -CONT {pid})"


def _is_left_lying(evidence: Evidence) -> bool:
    """A zombie is reaped at once by a supervisor that is well."""
    late = evidence.state_age is not None and evidence.state_age > _LATE_SECONDS
    return evidence.recorder is Process.ZOMBIE and late


def _unattended(evidence: Evidence) -> str:
    """The recorder has ended, and whoever is to start it again does not."""
    what = "a zombie" if evidence.recorder is Process.ZOMBIE else "gone"
    told = f"the recorder (pid {evidence.recorder_pid}) is {what}"
    if evidence.keeper is Process.STOPPED:
        pid = evidence.keeper_pid
        return f"{told}, and its supervisor is suspended (continue it with: kill -CONT {pid})"
    return f"{told}, and nobody looks after it"


def _silent(evidence: Evidence) -> tuple[Word, str]:
    """It has not told its state yet, or that file is gone: only its supervisor can be looked at."""
    if evidence.keeper is Process.STOPPED:
        return Word.STALLED, _suspended(evidence.keeper_pid)
    if evidence.keeper is not Process.RUNNING:
        return _ended(evidence)
    if evidence.taken_by and evidence.recorder is Process.RUNNING:
        return Word.STALLED, f"its data_dir is that of session {evidence.taken_by} too"
    return _mute(evidence)


def _mute(evidence: Evidence) -> tuple[Word, str]:
    """It runs, and has told nothing."""
    if is_full(evidence.disk_free):
        return Word.STALLED, DISK_FULL
    silent_for = evidence.keeper_for or 0.0
    if silent_for > _LONGEST_SILENCE:
        how = how_it_ended(evidence.exit or {}) if _is_of_now(evidence.exit_age, evidence) else ""
        last = f"; the last one ended ({how})" if how else "; see its log"
        told = (
            f"no recorder has told anything since its supervisor began {duration(silent_for)} ago"
        )
        return Word.STALLED, f"{told}{last}"
    return Word.STARTING, "no state yet"


def _is_of_now(age: float | None, evidence: Evidence) -> bool:
    """Did what is so old (s) happen under the supervisor that runs now?"""
    if age is None:
        return False
    return evidence.keeper_for is None or age <= evidence.keeper_for


def _between_runs(evidence: Evidence) -> tuple[Word, str]:
    """The recorder is gone and its supervisor lives: it ends, or starts the recorder again."""
    stopped = (evidence.state or {}).get("status") == "stopped"
    just_now = evidence.state_age is not None and evidence.state_age < _BETWEEN_SECONDS
    if stopped and just_now:
        return Word.STOPPED, ""
    ages = (evidence.state_age, evidence.exit_age)
    is_of_before = not any(_is_of_now(age, evidence) for age in ages)
    if is_of_before or (evidence.exit or {}).get("final"):
        return _mute(evidence)  # that was the run before; this one has told nothing yet
    how = how_it_ended(evidence.exit or {})
    if evidence.exit_age is not None and evidence.exit_age > _BETWEEN_SECONDS:
        again = (evidence.exit or {}).get("next_start") or "soon"
        return Word.STALLED, f"the recorder ended ({how}); it is started again at {again}"
    if evidence.lock_holder not in {None, evidence.recorder_pid}:
        # It is there again; what it would say of itself does not get to the disk.
        why = f": {DISK_FULL}" if is_full(evidence.disk_free) else ""
        if why or (evidence.state_age or 0.0) > evidence.late:
            return Word.STALLED, f"pid {evidence.lock_holder} can not write its state{why}"
    told_nothing = evidence.exit is None and evidence.state_age is not None
    if told_nothing and (evidence.state_age or 0.0) > _LONGEST_BETWEEN:
        return Word.STALLED, "the recorder ended, and its supervisor has not started another"
    return Word.STARTING, f"the recorder ended{f' ({how})' if how else ''} and is started again"


def _ended(evidence: Evidence) -> tuple[Word, str]:
    """It runs no more: by what its supervisor saw last, or by its own last word."""
    told = evidence.exit
    if told is not None and told.get("by_hand"):
        return Word.STOPPED, str(told.get("reason") or "")
    if told is not None and told.get("orphaned"):
        return Word.DEAD, _ORPHANED
    if told is not None:
        return (Word.STOPPED, "") if told.get("code") == 0 else (Word.DEAD, how_it_ended(told))
    state = evidence.state or {}
    if evidence.taken_by:
        return Word.DEAD, f"it does not run, and session {evidence.taken_by} has its state file now"
    if state.get("status") != "stopped":
        why = f" ({DISK_FULL})" if is_full(evidence.disk_free) else ""
        return Word.DEAD, f"the process is gone and said no last word{why}"
    if section(state, "metadata").get("orphaned"):
        return Word.DEAD, _ORPHANED
    return Word.STOPPED, str(state.get("error") or "")


def how_it_ended(told: Json) -> str:
    """``killed by SIGKILL``, or the exit code and its last words; empty where nothing is known."""
    if told.get("signal"):
        return f"killed by {told['signal']}"
    if told.get("code") is None:
        return ""
    last = told.get("reason") or ""
    return f"exit code {told['code']}{': ' if last else ''}{last}"
