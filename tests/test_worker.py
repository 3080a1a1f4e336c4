"""One daemon thread for blocking calls."""

import asyncio
import gc
import subprocess
import sys
import threading
import weakref
from concurrent.futures import CancelledError

import pytest

from kline_ops.worker import Breath, HangsError, Patient, Worker


class Thing:
    """Something that can be seen to go away."""


@pytest.fixture
def worker() -> Worker:
    return Worker("test")


def gone(seen: "weakref.ref[Thing]") -> bool:
    """True once nothing holds it; the thread has a moment to come round to its next wait."""
    for attempt in range(200):
        if seen() is None:
            return True
        if attempt == 100:
            gc.collect()
        threading.Event().wait(0.002)
    return False


def test_calls_are_made_in_order_in_one_thread_of_that_name(worker: Worker) -> None:
    names: list[tuple[int, str]] = []
    futures = [
        worker.submit(lambda n: names.append((n, threading.current_thread().name)), number)
        for number in range(100)
    ]
    for future in futures:
        future.result(5)
    assert names == [(number, "test") for number in range(100)]
    worker.shutdown()


def test_arguments_and_results_pass_through(worker: Worker) -> None:
    assert worker.submit(divmod, 7, 2).result(5) == (3, 1)
    assert worker.submit(dict, a=1).result(5) == {"a": 1}
    assert list(worker.map(str, [1, 2])) == ["1", "2"]
    worker.shutdown()


@pytest.mark.parametrize(
    "kind", [ValueError, OSError, SystemExit, KeyboardInterrupt, GeneratorExit]
)
def test_whatever_is_raised_arrives_and_the_thread_lives_on(
    worker: Worker, kind: type[BaseException]
) -> None:
    def fail() -> None:
        raise kind("x")

    assert isinstance(worker.submit(fail).exception(5), kind)
    assert worker.submit(int, "5").result(5) == 5
    worker.shutdown()


def test_a_call_that_was_cancelled_while_it_waited_is_not_made(worker: Worker) -> None:
    hold, made = threading.Event(), []
    first = worker.submit(hold.wait, 5)
    second = worker.submit(made.append, 1)
    third = worker.submit(made.append, 2)
    assert second.cancel()
    hold.set()
    assert first.result(5)
    third.result(5)
    assert made == [2]
    with pytest.raises(CancelledError):
        second.result(5)
    worker.shutdown()


def test_shutdown_finishes_what_is_queued(worker: Worker) -> None:
    made: list[int] = []
    for number in range(50):
        worker.submit(made.append, number)
    worker.shutdown(wait=True)
    assert made == list(range(50))
    assert worker.join(0.0)


def test_what_is_submitted_after_the_end_is_refused_and_never_waited_for(worker: Worker) -> None:
    worker.shutdown()
    with pytest.raises(RuntimeError):
        worker.submit(int)


def test_shutting_down_twice_does_no_harm(worker: Worker) -> None:
    worker.shutdown()
    worker.shutdown()


def test_join_is_bounded_while_a_call_hangs(worker: Worker) -> None:
    hold = threading.Event()
    worker.submit(hold.wait, 5)
    worker.shutdown(wait=False)
    assert not worker.join(0.01)
    hold.set()
    assert worker.join(5)


def test_the_process_ends_though_a_call_hangs() -> None:
    program = (
        "import threading; from kline_ops.worker import Worker; "
        "Worker('x').submit(threading.Event().wait); print('end')"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=10, check=True
    )
    assert run.stdout == b"end\n"


def test_a_loop_awaits_it_without_being_blocked(worker: Worker) -> None:
    async def main() -> tuple[int, int]:
        hold, turns = threading.Event(), 0
        call = asyncio.get_running_loop().run_in_executor(worker, hold.wait, 5)
        while turns < 50:
            turns += 1
            await asyncio.sleep(0)
        hold.set()
        return turns, int(await call)

    assert asyncio.run(main()) == (50, 1)
    worker.shutdown()


@pytest.mark.parametrize("fate", ["result", "argument", "error", "cancelled"])
def test_a_thread_that_waits_keeps_nothing_of_its_last_call_alive(
    worker: Worker, fate: str
) -> None:
    thing = Thing()
    seen = weakref.ref(thing)
    hold = threading.Event()
    worker.submit(hold.wait, 5)

    def call(what: Thing) -> Thing | None:
        if fate == "error":
            raise ValueError
        return what if fate == "result" else None

    future = worker.submit(call, thing)
    if fate == "cancelled":
        assert future.cancel()
    hold.set()
    if fate != "cancelled":
        future.exception(5)
    del thing, future
    assert gone(seen)
    worker.shutdown()


def test_what_hangs_is_waited_for_so_long_and_costs_one_thread() -> None:
    patient, answers = Patient("patient"), threading.Event()
    assert patient.call(10.0, pow, 2, 3) == 8
    before = threading.active_count()
    for _ in range(3):
        with pytest.raises(HangsError):
            patient.call(0.05, answers.wait, 30)
    assert threading.active_count() <= before + 1
    answers.set()
    assert patient.call(10.0, pow, 2, 4) == 16
    with pytest.raises(ZeroDivisionError):
        patient.call(10.0, divmod, 1, 0)


def test_a_breath_is_taken_only_where_the_interpreter_was_held_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, slept = [0.0], []
    monkeypatch.setattr("kline_ops.worker.time.perf_counter", lambda: now[0])
    monkeypatch.setattr("kline_ops.worker.time.sleep", slept.append)
    breathe = Breath()
    for _ in range(100):
        now[0] += 0.001
        breathe()
    assert len(slept) == 33
    assert 0.0 < slept[0] < 0.001
