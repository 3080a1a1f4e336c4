"""A circuit breaker around calls: what fails again and again is left alone for a while.

The rule is pure (``resilience/circuit_breaker.py``); this is its shell.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from kline_ops.clock import Clock, SystemClock
from kline_ops.errors import KlineOpsError
from kline_ops.resilience.circuit_breaker import Breaker, BreakerState

P = ParamSpec("P")
T = TypeVar("T")


class CircuitOpenError(KlineOpsError):
    """The breaker lets nothing through for another :attr:`remaining_seconds`, at the most."""

    def __init__(self, name: str, remaining_seconds: float) -> None:
        super().__init__(f"{name} is open for another {remaining_seconds:.1f} s")
        self.name = name
        self.remaining_seconds = remaining_seconds


class CircuitBreaker:
    """Put it around what may fail: ``with``, ``async with``, as a decorator, or by :meth:`call`.

    CLOSED lets every call through. After ``failures`` errors in a row it is OPEN: calls are refused
    with :class:`CircuitOpenError`. After ``cooldown`` seconds it is HALF_OPEN and lets one probe through
    at a time (another one, where a probe has not ended after a cool-down); ``successes`` of those close
    it, one error opens it again. A call counts for the state in which it began: one that ends after the
    breaker has turned changes nothing. It may be shared by threads and tasks.

    >>> breaker = CircuitBreaker(failures=1, cooldown=60.0, name="REST")
    >>> @breaker
    ... def ask():
    ...     raise ConnectionError("refused")
    >>> try:
    ...     ask()
    ... except ConnectionError:
    ...     breaker.state
    <BreakerState.OPEN: 'open'>
    >>> try:
    ...     with breaker:
    ...         ask()
    ... except CircuitOpenError as error:
    ...     print(error)
    REST is open for another 60.0 s

    Args:
        failures: errors in a row that open it.
        cooldown: seconds until it is tried again.
        successes: probes in a row that close it.
        excluded_exceptions: these are answers, not failures (a 404): they count for nothing.
        name: what an error calls it.
        clock: the system's, unless told otherwise.

    Raises:
        ValueError: less than one failure or success, or a cool-down that is no positive number.
    """

    def __init__(
        self,
        failures: int = 5,
        cooldown: float = 60.0,
        *,
        successes: int = 1,
        excluded_exceptions: tuple[type[Exception], ...] = (),
        name: str = "the circuit",
        clock: Clock | None = None,
    ) -> None:
        if failures < 1 or successes < 1:
            raise ValueError("failures and successes are 1 or more")
        if not 0.0 < cooldown < float("inf"):
            raise ValueError(f"{cooldown!r} is no cool-down in seconds")
        self.name = name
        self._rule = Breaker(failures, cooldown, successes)
        self._excluded = excluded_exceptions
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        #: How often it has turned.
        self._turns = 0

    @property
    def state(self) -> BreakerState:
        """CLOSED, OPEN, or HALF_OPEN, now."""
        with self._lock:
            self._allows()
            return self._rule.state

    @property
    def failures(self) -> int:
        """Errors in a row."""
        return self._rule.failures

    @property
    def remaining_seconds(self) -> float:
        """Until a call may begin; 0.0 where it may now."""
        with self._lock:
            return self._rule.remaining(self._clock.monotonic())

    def call(self, func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it. Where it answers a coroutine, what comes of that is what counts.

        Raises:
            CircuitOpenError: it was not called.
        """
        turns = self._begin()
        try:
            answer = func(*args, **kwargs)
        except BaseException as error:
            self._end(turns, error)
            raise
        if inspect.iscoroutine(answer):
            return cast("T", self._awaited(answer, turns))
        self._end(turns, None)
        return answer

    async def acall(
        self, func: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call and await it.

        Raises:
            CircuitOpenError: it was not called.
        """
        with self:
            return await func(*args, **kwargs)

    def __call__(self, func: Callable[P, T]) -> Callable[P, T]:
        """Put it around each call of a function, a plain one or an ``async`` one."""
        if inspect.iscoroutinefunction(func):

            @functools.wraps(func)
            async def around(*args: P.args, **kwargs: P.kwargs) -> Any:
                return await self.acall(func, *args, **kwargs)

            return cast("Callable[P, T]", around)

        @functools.wraps(func)
        def plain(*args: P.args, **kwargs: P.kwargs) -> T:
            return self.call(func, *args, **kwargs)

        return plain

    async def _awaited(self, coroutine: Awaitable[T], turns: int) -> T:
        try:
            answer = await coroutine
        except BaseException as error:
            self._end(turns, error)
            raise
        self._end(turns, None)
        return answer

    def __enter__(self) -> Self:
        _begun.set((*_begun.get(), (self, self._begin())))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        begun = list(_begun.get())
        mine = [at for at, (breaker, _) in enumerate(begun) if breaker is self]
        # Entered in another task (a fixture, an async generator that is closed late): as of now.
        turns = begun.pop(mine[-1])[1] if mine else self._turns
        _begun.set(tuple(begun))
        self._end(turns, error)

    def _begin(self) -> int:
        """A call begins; answers how often the breaker had turned by then."""
        with self._lock:
            if not self._allows():
                raise CircuitOpenError(self.name, self._rule.remaining(self._clock.monotonic()))
            self._rule.began(self._clock.monotonic())
            return self._turns

    def _end(self, turns: int, error: BaseException | None) -> None:
        """A call that began then is over."""
        with self._lock:
            if turns != self._turns:
                return  # the world is another one by now
            before, now = self._rule.state, self._clock.monotonic()
            if error is None:
                self._rule.succeeded(now)
            elif isinstance(error, self._excluded) or not isinstance(error, Exception):
                # An answer, or an end (Ctrl+C, a cancelled task): it says nothing of what was called.
                self._rule.abandoned()
            else:
                self._rule.failed(now)
            self._turns += self._rule.state is not before

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _allows(self) -> bool:
        before = self._rule.state
        allowed = self._rule.allows(self._clock.monotonic())
        self._turns += self._rule.state is not before
        return allowed


#: The breakers that this thread or task is within, and how often each had turned by then.
_begun: ContextVar[tuple[tuple[CircuitBreaker, int], ...]] = ContextVar("_begun", default=())
