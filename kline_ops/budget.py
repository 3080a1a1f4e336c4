"""One budget of connection attempts and request weight for all processes of this machine.

The exchange counts by IP, so what asks it must count together: in ``budget.json``, replaced whole under
a lock. It never stops anything. Where the file is damaged it begins again; where it can not be read,
written or locked in time, this process keeps to the limits by itself until it can.

All calls block for at most a second: make them in a worker thread.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from kline_ops.clock import Clock
from kline_ops.places import machine_folder
from kline_ops.resilience.allowance import WEIGHT_PER_MINUTE, Allowance, Usage, What
from kline_ops.worker import Worker

#: Seconds that the file may take; a disk that hangs holds up nobody for longer.
_PATIENCE = 1.0
#: Tries to get the lock, and the seconds between two of them.
_TRIES, _BETWEEN = 25, 0.02

#: 80 % of what a venue allows a minute, where that is not Binance's 6000 (Binance.US API: 1200).
_WEIGHT_PER_MINUTE = {"us": 960}

_Change = Callable[[Allowance, int], float | None]

_log = logging.getLogger(__name__)


def budget_path() -> Path:
    """Where the processes of this machine share their budget."""
    return machine_folder() / "budget.json"


class Budget:
    """What one venue allows. The waits are in seconds; 0.0 means go on, and that it is counted.

    Args:
        path: the file that all processes share, :func:`budget_path`.
        venue: what is counted together: ``mainnet``, ``testnet``, ``us``, or host:port of another.
        clock: its wall time is what the processes have in common.
    """

    def __init__(self, path: Path, venue: str, clock: Clock) -> None:
        self._path = path
        self._venue = venue
        self._clock = clock
        self._known = Allowance()
        self._guard = threading.Lock()
        self._hanging: Future[float | None] | None = None
        self._alone = False

    def connect(self) -> float:
        """Seconds until a connection attempt may begin."""
        return self._change(Allowance.connect) or 0.0

    def request(self, weight: int) -> float:
        """Seconds until a REST request of this weight may be sent."""
        limit = _WEIGHT_PER_MINUTE.get(self._venue, WEIGHT_PER_MINUTE)
        return self._change(lambda books, now_ms: books.request(weight, now_ms, limit)) or 0.0

    def refused(self, what: What, seconds: float) -> None:
        """The exchange asked to be left alone for so long (429, 418): nobody here tries before."""
        self._change(lambda books, now_ms: books.refused(what, seconds, now_ms), durable=True)

    def used(self, weight: int) -> None:
        """The exchange says how much weight it has counted in this minute."""
        self._change(lambda books, now_ms: books.used(weight, now_ms))

    def usage(self) -> Usage:
        """What is used, as this process knew it when it asked last; reads no file, and never waits."""
        limit = _WEIGHT_PER_MINUTE.get(self._venue, WEIGHT_PER_MINUTE)
        with self._guard:
            return self._known.usage(self._clock.wall_ms(), limit)

    def _change(self, change: _Change, *, durable: bool = False) -> float | None:
        """Change the books, in the file if that answers in time, else in memory only."""
        if self._hanging is not None and not self._hanging.done():
            return self._change_alone(change)
        worker = Worker("budget")
        future = worker.submit(self._change_shared, change, durable)
        worker.shutdown(wait=False)
        try:
            return future.result(_PATIENCE)
        except TimeoutError:
            self._hanging = future
            self._tell("its disk hangs")
            return self._change_alone(change)

    def _change_alone(self, change: _Change) -> float | None:
        with self._guard:
            return change(self._known, self._clock.wall_ms())

    def _change_shared(self, change: _Change, durable: bool) -> float | None:  # noqa: FBT001
        changed, answer = False, None
        try:
            with _locked(self._path):
                books = _read(self._path)
                with self._guard:
                    now_ms = self._clock.wall_ms()
                    self._known.join(_allowance(books.get(self._venue)), now_ms)
                    changed, answer = True, change(self._known, now_ms)
                books = {
                    venue: told
                    for venue, told in books.items()
                    if not _allowance(told).idle(now_ms)
                }
                books[self._venue] = msgspec.to_builtins(self._known)
                _replace(self._path, msgspec.json.encode(books), durable=durable)
        except OSError as error:
            self._tell(error.strerror or str(error))
            return answer if changed else self._change_alone(change)
        self._tell(None)
        return answer

    def _tell(self, trouble: str | None) -> None:
        if trouble and not self._alone:
            _log.warning("the request budget is not shared: %s: %s", self._path, trouble)
        elif not trouble and self._alone:
            _log.info("the request budget is shared again")
        self._alone = bool(trouble)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone with the file. Raises OSError, TimeoutError where somebody holds it for too long."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(path.name + ".lock")
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for _ in range(_TRIES):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_BETWEEN)
            else:
                break
        else:
            raise TimeoutError("another process holds its lock")
        yield
    finally:
        os.close(fd)


def _read(path: Path) -> dict[str, Any]:
    """What all venues' books say; empty where there is no file, or a damaged one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return {}
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        _log.warning("%s is damaged and begun anew; a ban that it held is forgotten", path)
        return {}


def _allowance(told: Any) -> Allowance:
    try:
        return msgspec.convert(told, Allowance)
    except (msgspec.ValidationError, RecursionError):
        return Allowance()


def _replace(path: Path, data: bytes, *, durable: bool) -> None:
    # Under the lock there is one writer: one name will do, and a crash leaves one file at most.
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    beside.replace(path)
