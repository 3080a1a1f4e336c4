"""What ``watchdog --once`` keeps from one call to the next: a small file in the machine's folder.

Times in it are seconds since boot. After another boot they are moved, by the wall clock, so that an
alarm of before still has its length, and its end is told.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import msgspec

from kline_ops.clock import Reading
from kline_ops.ops.guard import Memory
from kline_ops.places import machine_folder
from kline_ops.watch.files import Json, read_json, write_json
from kline_ops.watch.remedy import Remedies
from kline_ops.watch.staleness import Seen
from kline_ops.watch.vigil import Vigil

_BOOT = Path("/proc/sys/kernel/random/boot_id")


#: Bytes that the file is larger than it needs to be: on a full disk it is written over in its place.
_ROOM = 4096
_FULL = {errno.ENOSPC, errno.EDQUOT}


class _Kept(msgspec.Struct, frozen=True):
    state_file: str
    boot: str
    now: Reading
    seen: Seen | None
    vigil: Vigil
    remedies: Remedies
    problem: str = ""


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
    told = read_json(path)
    memory = Memory(vigil=Vigil(floor=floor))
    if told is None or told.get("state_file") != str(state_file):
        return memory
    try:
        kept = msgspec.convert(told, _Kept)
    except msgspec.ValidationError:
        return memory
    kept.vigil.floor = floor
    seen = kept.seen
    if kept.boot != _boot():
        _move(kept.vigil, kept.remedies, _moved_by(kept.now, now))
        if seen is not None:
            # Of the clocks of another boot nothing can be said; that there was a file stays true.
            seen = Seen(now, seen.was_there, seen.said_stopped, seen.mark, now.monotonic)
    return Memory(seen, kept.vigil, kept.remedies, kept.problem)


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
    }
    try:
        write_json(path, told | {"room": " " * _ROOM})
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _write_over(path, json.dumps(told).encode(), error)


def _write_over(path: Path, text: bytes, full: OSError) -> None:
    if not path.is_file() or len(text) > path.stat().st_size:
        raise full
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        file.write(text.ljust(size))
        file.flush()
        os.fsync(file.fileno())


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
