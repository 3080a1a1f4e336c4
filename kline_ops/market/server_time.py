"""The exchange's time, from what it says, so that a wrong local clock invents no hole.

Every event time and every server time is a lower bound of the exchange's time at the moment that
it reached us. The estimate is the best (largest) bound seen lately, carried forward by the monotonic
clock. Being a lower bound it is late by the fastest delivery seen, and never early.
"""

from __future__ import annotations

#: Bounds older than two windows are forgotten, so that clock drift can not add up, a machine whose
#: monotonic clock stood still (suspend) is right again with the next event, and an exchange whose own
#: clock ran ahead for a moment is not believed for long: candles would be asked for before they close.
WINDOW_SECONDS = 120.0

#: A bound that leaps ahead by more than this (ms) is believed only with a witness.
_LEAP_MS = 2_000
#: The local clock, before the exchange has spoken, may be wrong by this much (ms) without one.
_LOCAL_MS = 3_600_000
#: Seconds between two observations that witness for one another.
_WITNESS_AFTER = 0.5
#: A bound that is later than the best one by no more than this (ms) is a fresh one.
_FRESH_MS = 500
#: A suspend is measured by a clock of whole seconds (the RTC): it may be too long by this much (ms).
_SLEEP_ERROR_MS = 1_000


class ServerTime:
    """Estimates the exchange's time; starts from the local wall clock until the exchange speaks.

    One wrong event time must not carry the estimate away: candles would count as closed while they are
    forming. A leap ahead needs a witness: this machine's clock, or a second observation that agrees. It
    has one after a suspend, where the monotonic clock has stood still and nobody has said so yet.
    """

    def __init__(self, wall_ms: int, monotonic: float) -> None:
        self._local = wall_ms - monotonic * 1000.0
        self._current: float | None = None
        self._previous: float | None = None
        self._window_end = monotonic + WINDOW_SECONDS
        self._candidate: tuple[float, float] | None = None
        #: Since when (monotonic) all that comes is later than what is known, or may be late by itself;
        #: None while that is not so.
        self.late_since: float | None = None
        #: When something was observed last (monotonic).
        self._observed_at = monotonic
        #: What was known before a long silence.
        self._before: float | None = None
        #: What was known at the last look at the clocks, and what was carried across a suspend.
        self._at_look: float | None = None
        self._carried: float | None = None

    @property
    def heard(self) -> bool:
        """True once the exchange itself has told a time."""
        return self._current is not None or self._previous is not None

    @property
    def heard_since_sleep(self) -> bool:
        """False too while all that is known was carried across a suspend: up to a second late."""
        return self._known() not in {None, self._carried}

    def slept(self, seconds: float) -> None:
        """Move what is known on by what the monotonic clock has missed since the last call.

        Call it at each look at the clocks, with 0 where nothing was missed. Only what was known at the
        look before is moved: what came since may have come after the suspend, and knows of it.
        """
        missed = seconds * 1000.0 - _SLEEP_ERROR_MS
        if missed > 0:
            self._local += missed
            self._before = None if self._before is None else self._before + missed
            self._candidate = None
            before = self._at_look
            self._carried = self._known() if before is None else before + missed
            known = self._known()
            moved = [bound for bound in (known, self._carried) if bound is not None]
            self._current = max(moved, default=None)
        self._at_look = self._known()

    def observe(
        self,
        exchange_ms: int,
        monotonic: float,
        wall_ms: int | None = None,
        *,
        took: float = 0.0,
    ) -> None:
        """Take in an event time or server time that arrived at ``monotonic``.

        ``took``: seconds between the question and the answer; the time may be late by so much.
        """
        self._roll(monotonic)
        bound = exchange_ms - monotonic * 1000.0
        if not self._is_near(bound) and not self._has_witness(bound, monotonic, wall_ms):
            return
        self._candidate = None
        self._observed_at = monotonic
        known = self._known()
        best = self._before if known is None else known
        fresh = took * 1000.0 <= _FRESH_MS and (best is None or bound >= best - _FRESH_MS)
        if fresh:
            self.late_since = None
        elif self.late_since is None:
            self.late_since = monotonic
        if self._current is None or bound > self._current:
            self._current = bound

    def is_old(self, monotonic: float) -> bool:
        """Has nothing been observed for so long that it would have been forgotten by now?"""
        return monotonic - self._observed_at > 2 * WINDOW_SECONDS

    def now_ms(self, monotonic: float) -> int:
        """The exchange's time in milliseconds at ``monotonic``."""
        known = self._known()
        return int((self._local if known is None else known) + monotonic * 1000.0)

    def _known(self) -> float | None:
        current, previous = self._current, self._previous
        if current is None or previous is None:
            return previous if current is None else current
        return max(current, previous)

    def _is_near(self, bound: float) -> bool:
        known = self._known()
        if known is None:
            return abs(bound - self._local) <= _LOCAL_MS
        return bound <= known + _LEAP_MS

    def _has_witness(self, bound: float, monotonic: float, wall_ms: int | None) -> bool:
        if wall_ms is not None and abs(wall_ms - monotonic * 1000.0 - bound) <= _LEAP_MS:
            return True
        if self._candidate is not None and abs(bound - self._candidate[0]) <= _LEAP_MS:
            return monotonic - self._candidate[1] >= _WITNESS_AFTER
        self._candidate = (bound, monotonic)
        return False

    def _roll(self, monotonic: float) -> None:
        if monotonic >= self._window_end:
            if monotonic >= self._window_end + WINDOW_SECONDS:
                # Too old to be a bound, and better than a local clock that may be hours off.
                known = self._known()
                self._local = self._local if known is None else known
                self._before = self._before if known is None else known
                self._previous = None
            else:
                self._previous = self._current
            self._current = None
            self._window_end = monotonic + WINDOW_SECONDS
