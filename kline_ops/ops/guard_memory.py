"""What a watchdog keeps from one call of ``--once`` to the next: a small file in the machine's folder.

One that goes on reads and writes it as well, so that what one has told, or done, the others know.
Times in it are seconds since boot. After another boot they are moved, by the wall clock, so that an
alarm of before still has its length, and its end is told.
"""

from __future__ import annotations

import contextlib
import copy
import fcntl
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import msgspec

from kline_ops.alerts.message import Message
from kline_ops.clock import Clock, Reading, read
from kline_ops.ops.guard import Memory
from kline_ops.places import machine_folder
from kline_ops.watch.files import Json, read_json, write_with_room
from kline_ops.watch.remedy import Remedies
from kline_ops.watch.staleness import Seen
from kline_ops.watch.vigil import Vigil
from kline_ops.worker import HangsError, Patient

_BOOT = Path("/proc/sys/kernel/random/boot_id")
#: Seconds in which its disk may answer.
_PATIENCE = 5.0
#: Bytes that the file is larger than it needs to be: on a full disk it is written over in its place.
_ROOM = 4096


class _Kept(msgspec.Struct, frozen=True):
    state_file: str
    boot: str
    now: Reading
    seen: Seen | None
    vigil: Vigil
    remedies: Remedies
    problem: str = ""
    untold: list[Message] = []
    textfile: str = ""


def memory_file(name: str) -> Path:
    """Where it is."""
    return machine_folder() / "watchdog" / f"{name}.json"


@contextlib.contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Is no other call checking this session now? Two that do not know of each other tell all twice.

    Where that can not be found out, it is taken to be so.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield True
        return
    try:
        yield _is_locked_by_us(handle)
    finally:
        os.close(handle)


def _is_locked_by_us(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def recall(path: Path, state_file: Path, now: Reading, floor: float) -> Memory:
    """What was kept, if anything can be made of it; of another state file nothing is taken over."""
    found = _made_of(read_json(path), state_file, now, floor)
    return Memory(vigil=Vigil(floor=floor)) if found is None else found


def _made_of(told: Json | None, state_file: Path, now: Reading, floor: float) -> Memory | None:
    if told is None or told.get("state_file") != str(state_file):
        return None
    try:
        kept = msgspec.convert(told, _Kept)
    except msgspec.ValidationError:
        return None
    kept.vigil.floor = floor
    seen = kept.seen
    if kept.boot != _boot():
        _move(kept.vigil, kept.remedies, _moved_by(kept.now, now))
        if seen is not None:
            # Of the clocks of another boot nothing can be said; that there was a file stays true.
            seen = Seen(now, seen.was_there, seen.said_stopped, seen.mark, now.monotonic)
    return Memory(seen, kept.vigil, kept.remedies, kept.problem, kept.untold, kept.textfile)


def keep(path: Path, state_file: Path, now: Reading, memory: Memory) -> None:
    """Write it down; on a full disk over what is there, or each call would tell all anew.

    Raises:
        OSError: it can not be written.
    """
    told: Json = {
        "state_file": str(state_file),
        "boot": _boot(),
        "now": now,
        "seen": None if memory.seen is None else asdict(memory.seen),
        "vigil": asdict(memory.vigil),
        "remedies": asdict(memory.remedies),
        "problem": memory.problem,
        "untold": [asdict(message) for message in memory.untold],
        "textfile": memory.textfile,
    }
    write_with_room(path, told, _ROOM)


class Shared:
    """The file, for a watchdog that goes on: :meth:`learn` before a check, :meth:`keep` after it.

    It is no more than a help: where it can not be read or written, or its disk hangs, what this process
    knows itself counts.
    """

    def __init__(self, path: Path, state_file: Path, clock: Clock, memory: Memory) -> None:
        self._path = path
        self._state_file = state_file
        self._clock = clock
        self._memory = memory
        self._patient = Patient("watchdog memory")
        #: The file as we have seen it last, and what we have in common with it.
        self._mark = ""
        self._known = _gist(memory)

    def learn(self) -> None:
        """Take over what others have told and done since."""
        with contextlib.suppress(HangsError, OSError):
            mark, found = self._patient.call(_PATIENCE, self._look, self._memory.vigil.floor)
            self._mark = mark
            if found is not None:
                self._known = _gist(found)
                self._memory.vigil, self._memory.untold = found.vigil, found.untold
                _add(self._memory.remedies, found.remedies)

    def keep(self) -> None:
        """Write down what was told and done at this check, if anything was."""
        if _gist(self._memory) == self._known:
            return
        with contextlib.suppress(HangsError, OSError):
            self._patient.call(_PATIENCE, self._write, copy.deepcopy(self._memory))
            self._known = _gist(self._memory)

    def _look(self, floor: float) -> tuple[str, Memory | None]:
        told = read_json(self._path)
        mark = str((told or {}).get("now"))  # of the moment that it was written
        is_new = told is not None and mark != self._mark
        return mark, _made_of(told, self._state_file, read(self._clock), floor) if is_new else None

    def _write(self, memory: Memory) -> None:
        keep(self._path, self._state_file, read(self._clock), memory)


def _gist(memory: Memory) -> str:
    """What others are to know of: not each check, and nothing of this process."""
    vigil, remedies = memory.vigil, memory.remedies
    told = (vigil.told_at, vigil.told, vigil.alarms, remedies.done, remedies.gave_up)
    return repr(told)


def _add(remedies: Remedies, others: Remedies) -> None:
    """What others have done counts; how often we have found an ailment in a row is our own."""
    for kind, done in others.done.items():
        remedies.done[kind] = sorted({*done, *remedies.done.get(kind, [])})
    if others.gave_up and not remedies.gave_up:
        remedies.ailment, remedies.strikes, remedies.gave_up = others.ailment, others.strikes, True


def _moved_by(before: Reading, now: Reading) -> float:
    since_boot, then = now.monotonic + now.asleep, before.monotonic + before.asleep
    return since_boot - then - (now.wall_ms - before.wall_ms) / 1000.0


def _move(vigil: Vigil, remedies: Remedies, seconds: float) -> None:
    vigil.since = None if vigil.since is None else vigil.since + seconds
    vigil.told_at = None if vigil.told_at is None else vigil.told_at + seconds
    vigil.alarms = [at + seconds for at in vigil.alarms]
    remedies.done = {kind: [at + seconds for at in done] for kind, done in remedies.done.items()}


def _boot() -> str:
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
