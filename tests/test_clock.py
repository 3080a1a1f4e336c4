"""Clocks that are read together belong together, whatever holds the process up meanwhile."""

from kline_ops.clock import Reading, SystemClock, read
from tests.support.virtual_time import VirtualClock, run_virtual


class HeldUp(SystemClock):
    """Something happens to the machine at the Nth time that a clock is read."""

    def __init__(self, at: int, *, awake: float = 0.0, asleep: float = 0.0) -> None:
        self._reads, self._at = 0, at
        self._awake, self._slept = awake, asleep

    def _passed(self) -> tuple[float, float]:
        self._reads += 1
        return (self._awake, self._slept) if self._reads > self._at else (0.0, 0.0)

    def wall_ms(self) -> int:
        return 1_767_225_600_000 + int(sum(self._passed()) * 1000)

    def monotonic(self) -> float:
        return 100.0 + self._passed()[0]

    def asleep(self) -> float:
        return 7.0 + self._passed()[1]


def test_all_clocks_are_read_at_one_moment() -> None:
    for at in range(12):
        for awake, asleep in ((3.0, 0.0), (0.0, 3.0)):
            wall_ms, monotonic, slept = read(HeldUp(at, awake=awake, asleep=asleep))
            passed = monotonic - 100.0 + slept - 7.0
            assert (wall_ms - 1_767_225_600_000) / 1000 == passed


def test_the_clocks_of_this_machine_go_on_and_never_back() -> None:
    clock = SystemClock()
    first, second = read(clock), read(clock)
    assert second.monotonic >= first.monotonic
    assert abs(second.asleep - first.asleep) < 0.5


def test_a_suspended_machine_misses_what_its_wall_clock_does_not() -> None:
    async def main(clock: VirtualClock) -> tuple[Reading, Reading]:
        before = read(clock)
        clock.suspend(90)
        return before, read(clock)

    before, after = run_virtual(main)
    assert after.wall_ms - before.wall_ms == 90_000
    assert after.monotonic == before.monotonic
    assert after.asleep - before.asleep == 90.0
