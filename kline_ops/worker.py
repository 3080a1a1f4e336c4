"""One thread for blocking calls, one after another.

A disk that hangs and a REST host that never answers must not hold up the event loop, nor the end of
the process: the thread is a daemon, so that nothing waits for a call that does not come back.
(The threads of ``ThreadPoolExecutor`` are joined at exit, whatever they hang in.)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds that a long piece of work may hold the interpreter, and for how long it lets go of it then.
_HELD, _LET_GO = 0.0025, 0.0001

_Job = tuple[Future[object], Callable[[], object]]


class Worker(Executor):
    """Runs what it is given in order, in a daemon thread of its own."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call; its result or exception arrives in the future."""
        if self._ended:
            raise RuntimeError("this worker has been shut down")
        future: Future[T] = Future()
        self._jobs.put((future, lambda: fn(*args, **kwargs)))  # type: ignore[arg-type]
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Let the thread end after what is queued; with ``wait``, wait for it."""
        self._ended = True
        self._jobs.put(None)
        if wait:
            self._thread.join()

    def join(self, timeout: float) -> bool:
        """Wait for the thread to end; False if it still hangs in a call."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            _do(job)
            # A thread that waits for its next job must not keep the last one alive.
            del job


class Breath:
    """Lets the event loop go on beside a long piece of work in Python: call it between two steps.

    Python takes the interpreter from a thread only after 5 ms, each time that the loop wants it.
    """

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def __call__(self) -> None:
        """Let go of the interpreter, where it was held for a while."""
        if time.perf_counter() - self._last >= _HELD:
            time.sleep(_LET_GO)  # nothing at all would give it back to this thread
            self._last = time.perf_counter()


class HangsError(Exception):
    """A call has not come back."""


class Patient:
    """Makes calls that may hang, one at a time, and waits for each only so long.

    One that has not come back is waited for first at the next: what hangs costs one thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._hanging: Future[object] | None = None

    @property
    def hangs(self) -> bool:
        """Has a call not come back yet?"""
        return self._hanging is not None and not self._hanging.done()

    def call(self, seconds: float, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What it answers, or raises.

        Raises:
            HangsError: it has not come back within so many seconds, or one before has not.
        """
        if self._hanging is not None and not wait({self._hanging}, seconds).done:
            raise HangsError
        worker = Worker(self._name)
        future = worker.submit(fn, *args, **kwargs)
        worker.shutdown(wait=False)
        self._hanging = None if wait({future}, seconds).done else future  # type: ignore[assignment]
        if self._hanging is not None:
            raise HangsError
        return future.result()


def _do(job: _Job) -> None:
    future, call = job
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - handed to whoever awaits it
        future.set_exception(error)
    else:
        future.set_result(result)
