"""What lives, and what follows where it does not: pure rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.market.timestamp import to_text
from kline_ops.resilience.heartbeat import (
    TARGET,
    Condition,
    Duty,
    Sign,
    TargetCare,
    age_of,
    is_alive,
)

NOW = 1_769_522_400_000
WELL, REPLACING, UNPROVED = Condition.WELL, Condition.REPLACING, Condition.UNPROVED


def test_the_table_holds_these_steps_and_no_other() -> None:
    assert TARGET == {
        (WELL, Sign.DEAD): REPLACING,
        (REPLACING, Sign.REPLACED): UNPROVED,
        (UNPROVED, Sign.DEAD): REPLACING,
        (UNPROVED, Sign.ALIVE): WELL,
    }


def test_each_death_is_told_once_and_replaced_until_it_lives() -> None:
    care = TargetCare()
    assert care.look(is_dead=False) == Duty(tell=False, replace=False)
    assert care.look(is_dead=True) == Duty(tell=True, replace=True)
    for _ in range(3):
        care.replaced()
        assert care.look(is_dead=True) == Duty(tell=False, replace=True)
    care.replaced()
    assert care.look(is_dead=False) == Duty(tell=False, replace=False)
    assert care.look(is_dead=True) == Duty(tell=True, replace=True)


@given(st.lists(st.sampled_from(["alive", "dead", "replaced"])))
def test_never_two_replacements_at_a_time(steps: list[str]) -> None:
    care, under_way = TargetCare(), 0
    for step in steps:
        if step == "replaced":
            care.replaced()
            under_way = 0
        else:
            under_way += care.look(is_dead=step == "dead").replace
        assert under_way <= 1


@pytest.mark.parametrize(
    ("age", "alive"), [(0.0, True), (29.9, True), (30.1, False), (-0.5, True), (-2.0, False)]
)
def test_alive_is_who_wrote_not_long_ago_and_not_in_the_future(age: float, alive: bool) -> None:
    state = {"timestamp": to_text(NOW - int(age * 1000))}
    assert is_alive(state, NOW, 30.0) is alive


def test_a_clean_end_is_no_life_however_fresh() -> None:
    assert not is_alive({"timestamp": to_text(NOW), "status": "stopped"}, NOW, 30.0)
    assert is_alive({"timestamp": to_text(NOW), "status": "recording"}, NOW, 30.0)


@pytest.mark.parametrize(
    "state",
    [None, {}, {"timestamp": None}, {"timestamp": 5}, {"timestamp": "soon"}, {"timestamp": ""}],
)
def test_a_state_that_does_not_say_is_no_life(state: dict[str, object] | None) -> None:
    assert not is_alive(state, NOW, 30.0)
    assert age_of(state or {}, NOW) is None


@pytest.mark.parametrize("text", ["2026-01-27T14:00:00.123456+00:00", "2026-01-27T15:00:00+01:00"])
def test_times_as_others_write_them_are_read(text: str) -> None:
    assert is_alive({"timestamp": text}, NOW + 1_000, 30.0)
