"""What a drill goes through."""

from __future__ import annotations

import pytest

from kline_ops.drill import pace
from kline_ops.drill.faults import TROUBLES, Sign
from kline_ops.drill.plan import make_plan
from kline_ops.errors import InputError
from kline_ops.exchange.faults import FaultKind

DEFAULT_SECONDS = 90


def names(troubles) -> list[str]:
    return [trouble.name for trouble in troubles]


def test_every_fault_of_the_exchange_is_drilled() -> None:
    assert frozenset().union(*(trouble.kinds for trouble in TROUBLES)) == frozenset(FaultKind)


def test_names_are_unique_and_all_can_be_within_the_default_time() -> None:
    assert len(set(names(TROUBLES))) == len(TROUBLES) >= 40
    plan = make_plan(1, DEFAULT_SECONDS)
    assert sorted(names(plan.chosen)) == sorted(names(TROUBLES))
    assert plan.left_out == ()
    assert plan.seconds == pytest.approx(DEFAULT_SECONDS)


def test_what_has_to_be_noticed_has_a_deadline() -> None:
    for trouble in TROUBLES:
        assert (trouble.within > 0) == bool(trouble.signs), trouble.name


def test_deadlines_are_those_that_are_promised() -> None:
    within = {trouble.name: trouble.within for trouble in TROUBLES}
    assert within["silence"] <= pace.STALL
    assert within["withhold"] <= pace.GRACE + 1.0


def test_the_same_seed_is_the_same_order() -> None:
    assert make_plan(7, 300) == make_plan(7, 300)
    assert names(make_plan(7, 300).chosen) != names(make_plan(8, 300).chosen)


def test_what_leaves_traces_comes_last() -> None:
    for seed in range(5):
        assert make_plan(seed, 300).chosen[-1].name == "skew"


def test_without_backfill_what_makes_it_forget_comes_first() -> None:
    for seed in range(5):
        plan = make_plan(seed, 300, backfill=False)
        assert plan.chosen[0].name == "file-moved"
        assert plan.chosen[-1].name == "skew"
        others = [name for name in names(make_plan(seed, 300).chosen) if name != "file-moved"]
        assert names(plan.chosen)[1:] == others


def test_causes_are_kinds_that_there_are() -> None:
    kinds = {
        "restart", "disconnect", "refused", "silence", "unclosed", "rejected", "crash", "stopped",
        "hung", "disk", "repaired", "suspended", "ban", "exchange",
    }  # fmt: skip
    for trouble in TROUBLES:
        assert trouble.causes <= kinds, trouble.name


def test_with_less_time_faults_are_left_out_and_named() -> None:
    plan = make_plan(1, 30)
    assert plan.seconds <= 30
    assert sorted(names((*plan.chosen, *plan.left_out))) == sorted(names(TROUBLES))
    assert len(plan.left_out) > 5


def test_with_more_time_all_is_slower() -> None:
    plan = make_plan(1, 900)
    silence = next(trouble for trouble in plan.chosen if trouble.name == "silence")
    assert plan.seconds == pytest.approx(900)
    assert plan.lasts(silence) > silence.lasts


def test_no_time_for_any_and_names_that_are_none() -> None:
    with pytest.raises(InputError, match="--seconds 2 is too short"):
        make_plan(1, 2)
    with pytest.raises(InputError, match="no fault 'cat'") as error:
        make_plan(1, 90, ["cut", "cat"])
    assert error.value.exit_code == 2
    assert "close-1001" in error.value.hint


def test_a_sign_is_an_event_with_its_fields() -> None:
    event = {"kind": "disconnected", "code": 1001, "reason": "HTTP 503 it was"}
    assert Sign("disconnected").fits(event)
    assert Sign("disconnected", {"code": 1001, "reason": "HTTP 503"}).fits(event)
    assert not Sign("disconnected", {"code": 1000}).fits(event)
    assert not Sign("stalled").fits(event)
