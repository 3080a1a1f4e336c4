"""An end in order: callbacks that hang and raise, signals, threads and event loops."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from kline_ops import GracefulShutdown
from kline_ops.kit.shutdown import ending_signals
from tests.support.machine import ROOT, until

FORMS = pytest.mark.parametrize("form", ["thread", "asyncio"])


def end(form: str, shutdown: GracefulShutdown) -> float:
    """Trigger it in this form; answers the seconds that it took."""
    began = time.monotonic()
    if form == "thread":
        shutdown.trigger()
    else:
        asyncio.run(shutdown.atrigger())
    return time.monotonic() - began


@FORMS
def test_the_lowest_priority_first_plain_and_async(form: str) -> None:
    done: list[str] = []

    async def last() -> None:
        await asyncio.sleep(0)
        done.append("last")

    shutdown = GracefulShutdown(timeout=10)
    shutdown.register("c", last, priority=300)
    shutdown.register("b", lambda: done.append("b"))
    shutdown.register("b2", lambda: done.append("b2"))
    shutdown.register("never", lambda: done.append("never"))
    shutdown.register("a", lambda: done.append("a"), 10)
    assert shutdown.unregister("never")
    assert not shutdown.unregister("never")
    assert not shutdown.is_shutting_down
    assert not shutdown.wait(0)
    assert end(form, shutdown) < 5
    assert done == ["a", "b", "b2", "last"]
    assert shutdown.is_shutting_down
    assert shutdown.wait(0)
    end(form, shutdown)  # once is enough
    assert len(done) == 4


@FORMS
def test_one_time_out_for_all(form: str, caplog: pytest.LogCaptureFixture) -> None:
    """One after another they would take twenty seconds."""
    shutdown, begun = GracefulShutdown(timeout=0.6), []

    def hang(name: str) -> Callable[[], Any]:
        def plain() -> None:
            begun.append(name)
            time.sleep(5)

        async def awaited() -> None:
            begun.append(name)
            await asyncio.sleep(60)

        return plain if name in "ab" else awaited

    for name in "abcd":
        shutdown.register(name, hang(name))
    with caplog.at_level(logging.ERROR):
        assert 0.5 < end(form, shutdown) < 3
    assert begun == list("abcd")
    assert "not done within 0.6 s, and left: a, b, c, d" in caplog.text


@FORMS
@pytest.mark.parametrize("kind", ["raises", "hangs", "hangs with a time of its own"])
def test_one_that_fails_does_not_keep_the_next_from_its_work(
    form: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    def bad() -> None:
        if kind == "raises":
            raise OSError("no")
        time.sleep(5)

    shutdown = GracefulShutdown(timeout=1.0)
    shutdown.register("bad", bad, 1, timeout=0.1 if "own" in kind else None)
    shutdown.register("good", lambda: done.append("good"), 2)
    took = end(form, shutdown)
    assert done == ["good"]
    assert took < 3
    assert "bad" in caplog.text


@FORMS
def test_who_needs_longer_than_its_share_may_go_on(form: str) -> None:
    done: list[str] = []

    async def slow() -> None:
        await asyncio.sleep(1.1)
        done.append("slow")

    shutdown = GracefulShutdown(timeout=2.0)
    shutdown.register("slow", slow, 1)
    shutdown.register("quick", lambda: done.append("quick"), 2)
    end(form, shutdown)
    assert done == ["quick", "slow"]


def test_an_async_one_with_a_time_of_its_own_is_cancelled() -> None:
    ended: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    shutdown = GracefulShutdown(timeout=10.0)
    shutdown.register("slow", slow, timeout=0.05)
    assert end("asyncio", shutdown) < 5.0
    assert ended == ["cancelled"]


def test_a_plain_callback_may_do_what_is_the_loops_own() -> None:
    async def main() -> list[str]:
        woken: list[str] = []
        event = asyncio.Event()
        loop = asyncio.get_running_loop()

        async def waits() -> None:
            await event.wait()
            woken.append("event")

        async def begun() -> None:
            woken.append("task")

        tasks = [asyncio.create_task(waits())]
        await asyncio.sleep(0)
        shutdown = GracefulShutdown(timeout=10)
        shutdown.register("event", event.set)
        shutdown.register("task", lambda: tasks.append(asyncio.create_task(begun())))
        shutdown.register("awaitable", lambda: asyncio.sleep(0, woken.append("awaited")))
        shutdown.register("loop", lambda: loop.call_soon(woken.append, "call"))
        began = loop.time()
        await shutdown.atrigger()
        await asyncio.wait(tasks, timeout=5)
        assert loop.time() - began < 5
        return woken

    assert sorted(asyncio.run(main())) == ["awaited", "call", "event", "task"]
    # A loop that is debugged wants all of this in its own thread.
    assert sorted(asyncio.run(main(), debug=True)) == ["awaited", "call", "event", "task"]


def test_whoever_waits_is_told_wherever_it_was_triggered() -> None:
    shutdown, seen = GracefulShutdown(timeout=10), []

    async def main() -> None:
        assert not await shutdown.await_shutdown(0.01)
        waiting = [asyncio.create_task(shutdown.await_shutdown()) for _ in range(3)]
        thread = threading.Thread(target=lambda: seen.append(shutdown.wait(10)))
        thread.start()
        await asyncio.to_thread(shutdown.trigger)
        assert await asyncio.gather(*waiting) == [True] * 3
        thread.join(10)
        assert await shutdown.await_shutdown()

    asyncio.run(main())
    assert seen == [True]


def test_trigger_within_a_loop_returns_at_once() -> None:
    done: list[str] = []

    async def main() -> None:
        async def slow() -> None:
            await asyncio.sleep(0.05)
            done.append("slow")

        async with GracefulShutdown(timeout=10) as shutdown:
            shutdown.register("slow", slow)
            shutdown.trigger()
            assert done == []
            assert await shutdown.await_shutdown(10)
        assert done == ["slow"]

    asyncio.run(main())


def test_what_can_not_be_registered() -> None:
    shutdown = GracefulShutdown()
    shutdown.register("a", print)
    with pytest.raises(ValueError, match="already"):
        shutdown.register("a", print)
    shutdown.unregister("a")
    shutdown.trigger()
    with pytest.raises(RuntimeError, match="begun"):
        shutdown.register("b", print)
    with pytest.raises(ValueError, match="no timeout"):
        GracefulShutdown(timeout=0)


def test_handlers_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with GracefulShutdown():
        assert all(signal.getsignal(number) != handler for number, handler in before.items())
    assert {number: signal.getsignal(number) for number in before} == before
    errors: list[BaseException] = []

    def elsewhere() -> None:
        try:
            GracefulShutdown().install()
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(10)
    assert "main thread" in str(errors[0])


def test_a_signal_that_nohup_has_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in ending_signals()
        with GracefulShutdown():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.SIGHUP in ending_signals()


PROGRAM = """
import asyncio, sys, time
from kline_ops import GracefulShutdown

def say(text):
    print(text, flush=True)

shutdown = GracefulShutdown(timeout=20, force_exit_code=9)
hang = sys.argv[2] == "hang"

async def slow():
    say("slow began")
    await asyncio.sleep(60 if hang else 0.01)
    say("slow is done")

shutdown.register("plain", lambda: say("plain"), 1)
if hang and sys.argv[1] in {"plain", "parked"}:
    shutdown.register("slow", lambda: (say("slow began"), time.sleep(60)), 2)
else:
    shutdown.register("slow", slow, 2)

async def main():
    async with shutdown:
        say("ready")
        await shutdown.await_shutdown()
        say("over")

async def late():
    shutdown.register("here", lambda: asyncio.get_running_loop().call_soon(say, "in the loop"), 3)
    say("ready")
    while not shutdown.is_shutting_down:
        await asyncio.sleep(0.01)
    assert await shutdown.await_shutdown()
    say("over")

if sys.argv[1] == "late":
    shutdown.install()
    asyncio.run(late())
elif sys.argv[1] in {"asyncio", "parked"}:
    asyncio.run(main())
elif sys.argv[1] == "busy":
    with shutdown:
        say("ready")
        while not shutdown.is_shutting_down:
            pass
    say("over")
else:
    shutdown.install()
    say("ready")
    shutdown.wait()
    say("over")
"""


def program(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize("form", ["plain", "busy", "asyncio"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_real_program_in_order(form: str, number: signal.Signals) -> None:
    with program(form, "") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        told = child.stdout.read().split("\n")
        assert child.wait(20) == 0
    assert told == ["plain", "slow began", "slow is done", "over", ""]


def test_a_loop_that_began_after_the_signals_were_listened_to() -> None:
    with program("late", "") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        told = child.stdout.read().split("\n")
        assert child.wait(20) == 0
    assert told == ["plain", "slow began", "slow is done", "in the loop", "over", ""]


@pytest.mark.parametrize("form", ["plain", "asyncio", "parked"])
def test_a_second_signal_ends_it_at_once(form: str) -> None:
    with program(form, "hang") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        assert child.stdout.readline() == "plain\n"
        assert child.stdout.readline() == "slow began\n"
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.wait(10) == 9
        assert time.monotonic() - began < 2.0


def test_the_first_signal_of_a_program_that_ends_itself_forces_nothing() -> None:
    done: list[str] = []

    def slow() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)
        done.append("slow")

    with GracefulShutdown(timeout=10, force_exit_code=9) as shutdown:
        shutdown.register("slow", slow)
        shutdown.trigger()
    assert done == ["slow"]
    until(lambda: shutdown.wait(0))
