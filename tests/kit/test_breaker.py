"""A breaker around calls: threads, tasks, probes, and what counts for nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from kline_ops import CircuitBreaker, CircuitOpenError
from kline_ops.resilience.circuit_breaker import BreakerState

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class HandClock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return int(self.now * 1000)

    def asleep(self) -> float:
        return 0.0


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def fail(error: type[BaseException] = ConnectionError) -> None:
    raise error("no")


def try_to(breaker: CircuitBreaker, call: Callable[[], object] = fail) -> str:
    """``refused``, or the name of what it raised, or ``good``."""
    try:
        breaker.call(call)
    except CircuitOpenError:
        return "refused"
    except BaseException as error:  # noqa: BLE001
        return type(error).__name__
    return "good"


def test_it_opens_refuses_and_says_for_how_long(clock: HandClock) -> None:
    breaker = CircuitBreaker(2, 60.0, name="REST", clock=clock)
    assert [try_to(breaker) for _ in range(3)] == ["ConnectionError"] * 2 + ["refused"]
    clock.now += 12.5
    with pytest.raises(CircuitOpenError, match="REST is open") as refused, breaker:
        pytest.fail("it was let through")
    assert refused.value.remaining_seconds == 47.5
    assert breaker.remaining_seconds == 47.5
    clock.now += 47.5
    assert breaker.state is HALF_OPEN
    assert breaker.remaining_seconds == 0.0
    assert try_to(breaker, lambda: None) == "good"
    assert breaker.state is CLOSED


def test_one_probe_at_a_time_in_many_threads(clock: HandClock) -> None:
    breaker = CircuitBreaker(1, 10.0, successes=2, clock=clock)
    try_to(breaker)
    clock.now += 10.0
    begun, go_on = threading.Semaphore(0), threading.Event()
    came = []

    def probe() -> None:
        begun.release()
        go_on.wait(10)

    threads = [
        threading.Thread(target=lambda: came.append(try_to(breaker, probe))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    assert begun.acquire(timeout=10)
    for thread in threads:
        thread.join(0.2)
        if len(came) == 19:
            break
    assert came == ["refused"] * 19
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert came.count("good") == 1
    # One more to go.
    assert breaker.state is HALF_OPEN
    assert try_to(breaker, lambda: None) == "good"
    assert breaker.state is CLOSED


def test_a_failed_probe_opens_it_for_a_whole_cool_down(clock: HandClock) -> None:
    breaker = CircuitBreaker(1, 10.0, clock=clock)
    try_to(breaker)
    clock.now += 10.0
    assert try_to(breaker) == "ConnectionError"
    clock.now += 9.9
    assert try_to(breaker) == "refused"


def test_answers_that_are_no_failures_count_for_nothing(clock: HandClock) -> None:
    breaker = CircuitBreaker(1, 10.0, excluded_exceptions=(KeyError,), clock=clock)
    assert [try_to(breaker, lambda: fail(KeyError)) for _ in range(5)] == ["KeyError"] * 5
    assert breaker.state is CLOSED
    try_to(breaker)
    clock.now += 10.0
    assert try_to(breaker, lambda: fail(KeyError)) == "KeyError"
    assert breaker.state is HALF_OPEN
    # The probe is over: the next one is let through.
    assert try_to(breaker, lambda: None) == "good"


def test_ctrl_c_in_a_probe_is_no_failure_and_bars_nobody(clock: HandClock) -> None:
    breaker = CircuitBreaker(1, 10.0, clock=clock)
    try_to(breaker)
    clock.now += 10.0
    assert try_to(breaker, lambda: fail(KeyboardInterrupt)) == "KeyboardInterrupt"
    assert try_to(breaker, lambda: None) == "good"


def test_what_began_before_it_opened_changes_nothing_when_it_ends(clock: HandClock) -> None:
    breaker = CircuitBreaker(1, 10.0, clock=clock)
    go_on, begun = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        go_on.wait(10)

    thread = threading.Thread(target=try_to, args=(breaker, slow))
    thread.start()
    assert begun.wait(10)
    try_to(breaker)
    clock.now += 10.0
    assert breaker.state is HALF_OPEN
    go_on.set()
    thread.join(10)
    assert breaker.state is HALF_OPEN  # that success was another world's


def test_the_forms_for_async_code(clock: HandClock) -> None:
    breaker = CircuitBreaker(2, 10.0, clock=clock)

    @breaker
    async def ask(*, good: bool) -> str:
        """Asks."""
        await asyncio.sleep(0)
        if not good:
            raise ConnectionError
        return "answer"

    async def main() -> None:
        assert await ask(good=True) == "answer"
        assert ask.__doc__ == "Asks."
        with pytest.raises(ConnectionError):
            await ask(good=False)
        with pytest.raises(ConnectionError):
            async with breaker:
                raise ConnectionError
        with pytest.raises(CircuitOpenError):
            await ask(good=True)
        with pytest.raises(CircuitOpenError):
            await breaker.acall(asyncio.sleep, 0)
        clock.now += 10.0
        # A probe that is cancelled was no answer.
        probe = asyncio.ensure_future(breaker.acall(asyncio.sleep, 60))
        await asyncio.sleep(0)
        assert breaker.state is HALF_OPEN
        with pytest.raises(CircuitOpenError):
            await ask(good=True)
        probe.cancel()
        await asyncio.wait({probe})
        results = await asyncio.gather(*(ask(good=True) for _ in range(5)), return_exceptions=True)
        assert results.count("answer") == 1
        assert breaker.state is CLOSED

    asyncio.run(main())


def test_breakers_within_one_another(clock: HandClock) -> None:
    outer, inner = (CircuitBreaker(1, 10.0, clock=clock) for _ in range(2))
    assert try_to(outer, lambda: inner.call(lambda: None)) == "good"
    with pytest.raises(ConnectionError), outer, inner:
        fail()
    assert (outer.state, inner.state) == (OPEN, OPEN)


def test_breakers_that_are_left_in_another_order(clock: HandClock) -> None:
    first, second = (CircuitBreaker(1, 10.0, clock=clock) for _ in range(2))
    try_to(second)
    clock.now += 10.0
    second.__enter__()  # a probe: that one has turned twice by now
    first.__enter__()
    second.__exit__(ConnectionError, ConnectionError(), None)
    first.__exit__(ConnectionError, ConnectionError(), None)
    assert (first.state, second.state) == (OPEN, OPEN)


def test_a_coroutine_counts_by_what_comes_of_it(clock: HandClock) -> None:
    """And not by having been made: a breaker around that would never open."""
    breaker = CircuitBreaker(1, 10.0, clock=clock)

    class Ask:
        async def __call__(self) -> str:
            raise ConnectionError

    async def main() -> None:
        with pytest.raises(ConnectionError):
            await breaker.call(Ask().__call__)
        assert breaker.state is OPEN
        clock.now += 10.0
        with pytest.raises(ConnectionError):
            await breaker(Ask())()
        assert breaker.state is OPEN
        clock.now += 10.0
        await breaker.call(asyncio.sleep, 0)
        assert breaker.state is CLOSED

    asyncio.run(main())


def test_a_block_that_is_left_in_another_task(clock: HandClock) -> None:
    breaker = CircuitBreaker(1, 10.0, clock=clock)

    async def main() -> None:
        await asyncio.create_task(breaker.__aenter__())
        await breaker.__aexit__(ConnectionError, ConnectionError(), None)

    asyncio.run(main())
    assert breaker.state is OPEN


@pytest.mark.parametrize("wrong", [{"failures": 0}, {"successes": 0}, {"cooldown": 0.0}])
def test_numbers_that_can_not_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        CircuitBreaker(**wrong)  # type: ignore[arg-type]
