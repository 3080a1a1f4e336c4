"""A look at the clocks tells each suspend, each step and a skew once; of NTP's steering nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kline_ops.events import ClockSkewed, ClockStepped, Event, Suspended
from kline_ops.watch.clocks import ClockWatch

WALL = 1_769_522_400_000


class Machine:
    """Its clocks, and what a watch says of them."""

    def __init__(self) -> None:
        self.wall, self.mono, self.asleep = float(WALL), 1_000.0, 50.0
        self.watch = ClockWatch()
        assert not self.look()

    def passes(self, seconds: float, slew: float = 0.0) -> None:
        self.mono += seconds
        self.wall += seconds * (1 + slew) * 1000

    def suspend(self, seconds: float) -> None:
        self.asleep += seconds
        self.wall += seconds * 1000

    def look(self, skew: float | None = None) -> list[Event]:
        exchange_ms = None if skew is None else int(self.wall) - int(skew * 1000)
        return self.watch.look(int(self.wall), self.mono, self.asleep, exchange_ms)


@given(st.lists(st.tuples(st.floats(0.0, 40_000), st.floats(-500e-6, 500e-6)), max_size=60))
def test_what_ntp_steers_tells_nothing_however_far_apart_the_looks(
    looks: list[tuple[float, float]],
) -> None:
    machine = Machine()
    for seconds, slew in looks:
        machine.passes(seconds, slew)
        assert machine.look() == []


signed = st.floats(1.2, 1e6) | st.floats(-1e6, -1.2)


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 60.0), st.floats(-500e-6, 500e-6),
            st.none() | st.floats(1.2, 1e6), st.none() | signed,
        ),
        max_size=40,
    )
)  # fmt: skip
def test_each_suspend_and_each_step_is_told_once_with_its_size(
    happenings: list[tuple[float, float, float | None, float | None]],
) -> None:
    machine = Machine()
    for seconds, slew, slept, step in happenings:
        machine.passes(seconds, slew)
        if slept is not None:
            machine.suspend(slept)
        if step is not None:
            machine.wall += step * 1000
        told = machine.look()
        sizes = {type(event): event.seconds for event in told}  # type: ignore[attr-defined]
        assert len(sizes) == len(told)
        assert sizes.keys() == {
            *([Suspended] if slept is not None else []),
            *([ClockStepped] if step is not None else []),
        }
        assert abs(sizes.get(Suspended, 0.0) - (slept or 0.0)) < 0.05
        assert abs(sizes.get(ClockStepped, 0.0) - (step or 0.0)) < 0.05
        assert machine.look() == []


def test_what_is_too_small_to_matter_is_not_told_and_does_not_add_up() -> None:
    machine = Machine()
    for _ in range(20):
        machine.passes(1.0)
        machine.suspend(0.9)
        machine.wall += 900
        assert machine.look() == []


def skews(*told: float | None) -> list[float]:
    machine = Machine()
    return [e.seconds for skew in told for e in machine.look(skew) if isinstance(e, ClockSkewed)]


def test_a_skew_is_told_once() -> None:
    assert skews(0.9, -0.9, 5.0, 5.0, 5.4, 4.6, None, 5.0) == [5.0]
    assert skews(-5.0, -5.0) == [-5.0]
    assert skews(None, None) == []


def test_a_skew_is_told_again_when_it_has_changed_or_had_been_right() -> None:
    assert skews(5.0, 6.5, 6.0) == [5.0, 6.5]
    assert skews(1.2, -1.2) == [1.2, -1.2]
    assert skews(1.2, 0.4, 1.2) == [1.2, 1.2]
    # Between right and wrong: neither over nor new.
    assert skews(2.5, 0.8, 2.5) == [2.5]


def test_the_skew_is_known_while_the_exchange_has_told_its_time() -> None:
    machine = Machine()
    assert machine.watch.skew is None
    machine.look(-0.25)
    assert machine.watch.skew == -0.25
    machine.look()
    assert machine.watch.skew is None


def test_a_suspend_is_no_skew() -> None:
    machine = Machine()
    machine.look(0.0)
    machine.suspend(90)
    (told,) = machine.look(skew=90.0)
    assert told == Suspended(seconds=90.0)
    assert machine.watch.skew is None
