"""Watching over one session from outside: what is found is told, and, if asked for, something done.

Takes no lock and needs no tmux: files, and what the kernel says of processes. It shares nothing with
the session that could fail with it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from kline_ops.alerts.message import Message
from kline_ops.clock import Clock, Reading, read
from kline_ops.ops.guard_messages import of_remedy, of_telling
from kline_ops.ops.rescue import Outcome, Rescuer
from kline_ops.watch.diagnosis import Ailment, ailment, of_command, of_session
from kline_ops.watch.process import Process
from kline_ops.watch.registry import KnownSession
from kline_ops.watch.remedy import Remedies, Remedy
from kline_ops.watch.sight import sight_of
from kline_ops.watch.staleness import Finding, Pulse, Seen, judge
from kline_ops.watch.status import gather, judge_session
from kline_ops.watch.verdict import Evidence, Word
from kline_ops.watch.vigil import Vigil
from kline_ops.worker import HangsError, Patient

#: Seconds after which a session that changes its processes has done so.
_CONFIRM = 0.5
#: Seconds, at the least, in which a disk may answer.
_PATIENCE = 5.0
#: What is taken from processes, and not from an age: it may be so for a moment.
_OF_PROCESSES = {Pulse.DEAD, Pulse.STALLED}

Tell = Callable[[Message], None]


@dataclass(slots=True)
class Memory:
    """All that is kept from one check to the next."""

    seen: Seen | None = None
    vigil: Vigil = field(default_factory=Vigil)
    remedies: Remedies = field(default_factory=Remedies)
    #: What was wrong with the config, when that was told.
    problem: str = ""
    #: What reached nobody; see ``--once``.
    untold: list[Message] = field(default_factory=list)
    #: Why its textfile could not be written, when that was told.
    textfile: str = ""


@dataclass(frozen=True, slots=True)
class Ward:
    """Who is watched over."""

    name: str
    #: Its entry as it is now: a start changes it.
    find: Callable[[], KnownSession]
    #: Another state file than the session's own.
    state_file: Path | None
    max_age: float


class _Check(NamedTuple):
    """What a look at a session came to. ``session`` is None where it came to nothing."""

    now: Reading
    finding: Finding
    evidence: Evidence
    session: KnownSession | None = None


#: What can be seen by a look that came to nothing.
_NOTHING = Evidence(None, None, 0.0, Process.GONE, Process.GONE, None)


class Guard:
    """Checks a session: :meth:`round`, each time anew.

    A look that fails, or does not come back from a disk that hangs, is a finding like another: who is
    to watch over a session must not fall silent with it.

    Args:
        ward: the session.
        clock: the clocks.
        memory: what is known of the checks before.
        rescuer: does something about it; None: it is told only.
        settles: seconds from now on in which an alarm is not told: it may be starting just now.
    """

    def __init__(
        self,
        ward: Ward,
        clock: Clock,
        memory: Memory,
        rescuer: Rescuer | None = None,
        *,
        settles: float = 0.0,
    ) -> None:
        self._ward = ward
        self._clock = clock
        self._memory = memory
        self._rescuer = rescuer
        self._settled_at = clock.monotonic() + settles
        #: What was done at the last check, and what came of it.
        self.done = ""
        #: What was seen at the last check.
        self.evidence = _NOTHING
        #: Reading a file may hang.
        self._patient = Patient("watchdog")
        #: The state file at the look before.
        self._path: Path | None = None

    def round(self, tell: Tell, held_up: float = 0.0) -> Finding:
        """Check once; tell what is to be told, and do what is to be done.

        ``held_up``: seconds by which this check is too late.
        """
        self.done = ""
        now, finding, evidence, session = self._check(held_up)
        # That it is stalled, a recorder says itself.
        told_itself = (evidence.state or {}).get("status") == "stalled"
        of_processes = finding.word in _OF_PROCESSES and not told_itself
        if of_processes and not self._memory.vigil.is_on:
            time.sleep(_CONFIRM)
            now, finding, evidence, session = self._check()
        self.evidence = evidence
        if finding.is_alarm and now.monotonic < self._settled_at:
            left = self._settled_at - now.monotonic
            return replace(
                finding, word=Pulse.WAITING, reason=f"{finding}; it has {left:.0f} s to begin"
            )
        since_boot = now.monotonic + now.asleep
        try:
            self._speak(finding, evidence, since_boot, tell)
        finally:
            if self._rescuer is not None and session is not None:
                trouble = ailment(finding, evidence, is_unit=bool(session.unit))
                remedy = self._choose(trouble, since_boot)
                if remedy is not None:
                    outcome = self._help(self._rescuer, session, remedy, evidence.recorder_pid)
                    told = of_remedy(session.name, remedy, outcome.text, is_done=outcome.is_done)
                    self.done = f"{told.title.removeprefix(f'{session.name}: ')}: {told.text}"
                    tell(told)
        return finding

    def _speak(self, finding: Finding, evidence: Evidence, now: float, tell: Tell) -> None:
        vigil = copy.deepcopy(self._memory.vigil)
        telling = vigil.hear(finding, now)
        if telling is not None:
            tell(of_telling(self._ward.name, telling, evidence))
        self._memory.vigil = vigil  # where that failed, it is not told yet

    def _check(self, held_up: float = 0.0) -> _Check:
        """Look at it, for so long as it may be silent at the most."""
        patience = max(self._ward.max_age, _PATIENCE)
        try:
            return self._patient.call(patience, self._look, held_up)
        except HangsError:
            return self._blind(f"its disk has not answered for {patience:g} s")
        except Exception as error:  # noqa: BLE001 - a boundary: it is told, and looked again
            return self._blind(f"it can not be looked at: {type(error).__name__}: {error}")

    def _blind(self, reason: str) -> _Check:
        return _Check(read(self._clock), Finding(Pulse.BAD, reason), _NOTHING)

    def _look(self, held_up: float) -> _Check:
        session, max_age = self._ward.find(), self._ward.max_age
        own = Path(session.state_file)
        path = self._ward.state_file or own
        if path != self._path and self._path is not None:
            self._memory.seen = None  # begun with another folder: of that nothing was seen yet
        self._path = path
        sight = sight_of(path)
        now = read(self._clock)  # after it: what a slow disk brings is not from the future
        finding, self._memory.seen = judge(sight, self._memory.seen, now, max_age, held_up=held_up)
        evidence = gather(session, now.wall_ms, max_age)
        word, reason = judge_session(session, evidence, now.wall_ms)
        if path != own:
            # Somebody else's heartbeat: of the session only its clean end counts.
            ended = word is Word.STOPPED
            finding = replace(finding, word=Pulse.STOPPED, reason=reason) if ended else finding
        elif session.command:
            finding = of_command(finding, evidence, word, reason)
        else:
            finding = of_session(finding, evidence, word, reason)
        return _Check(now, finding, evidence, session)

    def _choose(self, trouble: Ailment, now: float) -> Remedy | None:
        if self._ward.state_file is not None:
            return None  # what beats there is not what could be restarted here
        return self._memory.remedies.choose(trouble, now)

    def _help(
        self, rescuer: Rescuer, session: KnownSession, remedy: Remedy, pid: object
    ) -> Outcome:
        try:
            return rescuer.help(session, remedy, pid)
        except Exception as error:  # noqa: BLE001 - a boundary: it is told, and tried again
            return Outcome(f"{type(error).__name__}: {error}", is_done=False)
