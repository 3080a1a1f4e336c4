"""What happened to this machine's clocks: a suspend, a step, a wrong time of day. Pure.

The monotonic clock stands still while the machine is suspended and the wall clock goes on; else they go
apart only when somebody sets the wall clock, or slowly, when NTP steers it.
"""

from __future__ import annotations

from kline_ops.clock import Reading
from kline_ops.events import ClockSkewed, ClockStepped, Event, Suspended

#: Less than this (s) is not worth telling.
_NOTABLE = 1.0
#: A clock that is nearer than this (s) to the exchange's is right again.
_RIGHT = 0.5
#: NTP steers a clock by no more than this (adjtimex(2): 500 parts in a million).
_SLEW = 500e-6


def between(before: Reading, now: Reading) -> tuple[float, float]:
    """How long the machine slept, and how far its wall clock was stepped besides, in seconds.

    0 for what is not worth telling.
    """
    slept, awake = now.asleep - before.asleep, now.monotonic - before.monotonic
    step = (now.wall_ms - before.wall_ms) / 1000.0 - awake - slept
    is_step = abs(step) > _NOTABLE + _SLEW * abs(awake)
    return (slept if slept > _NOTABLE else 0.0), (step if is_step else 0.0)


class ClockWatch:
    """Compares each look with the one before, so that what NTP steers does not add up."""

    def __init__(self) -> None:
        #: Seconds that the wall clock is ahead of the exchange's time; None while that is not known.
        self.skew: float | None = None
        self._before: Reading | None = None
        self._told_skew: float | None = None

    def look(
        self, wall_ms: int, monotonic: float, asleep: float, exchange_ms: int | None
    ) -> list[Event]:
        """What happened since the last look. Clocks as in ``kline_ops.clock``, read at one moment.

        ``exchange_ms`` is None while the exchange has not told its time, or not since a suspend.
        """
        now = Reading(wall_ms, monotonic, asleep)
        slept, step = between(self._before or now, now)
        self._before = now
        told: list[Event] = []
        if slept:
            told.append(Suspended(seconds=round(slept, 3)))
            # Carried by the monotonic clock, which has missed that.
            exchange_ms = None
        if step:
            told.append(ClockStepped(seconds=round(step, 3)))
        self.skew = None if exchange_ms is None else round((wall_ms - exchange_ms) / 1000.0, 3)
        return told + self._judge_skew()

    def _judge_skew(self) -> list[Event]:
        skew, told = self.skew, self._told_skew
        if skew is None:
            return []
        if abs(skew) < _RIGHT:
            self._told_skew = None
        elif abs(skew) > _NOTABLE and (told is None or abs(skew - told) > _NOTABLE):
            self._told_skew = skew
            return [ClockSkewed(seconds=skew)]
        return []
