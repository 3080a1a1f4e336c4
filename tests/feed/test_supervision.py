"""Missed closes and silent streams: who gets a strike, who is excused, and who is replaced."""

from __future__ import annotations

import pytest

from kline_ops import events
from kline_ops.feed.happenings import (
    Delivered,
    Ended,
    Missed,
    Open,
    Opened,
    Resubscribe,
    Tick,
    Witnessed,
)
from kline_ops.feed.plan import BETTER, MISSED, STALLED
from kline_ops.feed.states import Effort, State
from tests.feed.test_plan import EPOCH, HOUR_MS, A, B, Stage, live

#: The candle that is open at second 600 closes an hour after EPOCH.
OPEN_MS, CLOSE_MS = EPOCH, EPOCH + HOUR_MS


def miss(stage: Stage, hours: int, stream: str = A) -> list[object]:
    shift = hours * HOUR_MS
    return [*stage.happen(Missed(stream, OPEN_MS + shift, CLOSE_MS + shift))]


def test_the_first_missed_close_is_answered_by_a_new_subscription() -> None:
    stage = live()
    stage.flow(3_602.0, 1)
    assert Resubscribe(1, A) in miss(stage, 0)
    (told,) = stage.of(events.CloseMissed)
    assert told.strikes == 1  # type: ignore[attr-defined]
    assert len(stage.opens) == 1


def test_the_second_missed_close_is_answered_by_another_connection() -> None:
    stage = live()
    stage.flow(3_602.0, 1)
    miss(stage, 0)
    stage.flow(7_202.0, 1)
    assert Open(2) in miss(stage, 1)
    assert stage.plan.links[1].why == MISSED
    assert stage.state(1) is State.LIVE
    # It is to go already: what it misses from now on is no news.
    assert miss(stage, 2) == []


def test_a_close_that_was_brought_is_no_strike_and_ten_in_a_row_are_forgiveness() -> None:
    stage = live()
    stage.flow(3_602.0, 1)
    miss(stage, 0)
    for hour in range(1, 11):
        stage.flow(3_600.0 * (hour + 1), 1)
        stage.happen(Delivered(1, A, OPEN_MS + hour * HOUR_MS))
        assert miss(stage, hour) == []
    assert Resubscribe(1, A) in miss(stage, 11)


def test_a_close_before_it_was_live_is_none_of_its_doing() -> None:
    stage = live(start=3_601.0)
    assert miss(stage, 0) == []


def test_streams_are_counted_apart() -> None:
    stage = live((A, B))
    stage.flow(3_602.0, 1)
    assert Resubscribe(1, A) in miss(stage, 0, A)
    assert Resubscribe(1, B) in miss(stage, 0, B)
    assert len(stage.opens) == 1
    assert Open(2) in miss(stage, 1, B)


# -- silence ----------------------------------------------------------------------------------------


def asked(stage: Stage, until: float) -> list[float]:
    """When REST was asked while time passed, with nobody answering."""
    stage.asks.clear()
    times = []
    while stage.now < until:
        stage.wait(min(until, max(stage.plan.wake_at(), stage.now)))
        times += [stage.now] * len(stage.asks)
        stage.asks.clear()
    return times


def test_rest_is_asked_after_half_of_the_time_out() -> None:
    stage = live()
    assert asked(stage, 650.0) == [630.0]


def test_a_connection_whose_market_trades_is_replaced_before_the_time_out() -> None:
    stage = live()
    asked(stage, 631.0)
    assert stage.happen(Witnessed(A, traded=True), 631.0) == []
    stage.wait(633.999)
    assert len(stage.opens) == 1
    stage.wait(634.0)
    assert stage.opens[1:] == [(634.0, 2)]
    assert stage.plan.links[1].why == STALLED


def test_a_stream_that_was_only_slower_than_rest_is_left_alone() -> None:
    stage = live()
    asked(stage, 631.0)
    stage.happen(Witnessed(A, traded=True), 631.0)
    stage.happen(Delivered(1, A), 632.0)
    stage.wait(660.0)
    assert len(stage.opens) == 1


def test_a_quiet_market_is_asked_after_again_and_again_and_replaces_nothing() -> None:
    stage = live()
    for _ in range(100):
        asked(stage, stage.plan.wake_at())
        stage.happen(Witnessed(A, traded=False))
    assert stage.now >= 600.0 + 100 * 30.0 - 60.0
    assert len(stage.opens) == 1
    assert not stage.of(events.Stalled)


def test_without_a_witness_the_time_out_decides() -> None:
    stage = live()
    while stage.now < 660.0:
        stage.wait(min(stage.plan.wake_at(), 660.0))
        if stage.asks and stage.now < 659.0:
            stage.happen(Witnessed(stage.asks.pop(), traded=None))
    assert [number for _, number in stage.opens] == [1, 2]


def test_a_handshake_without_data_in_a_market_that_trades_is_ended_early() -> None:
    stage = Stage()
    stage.happen(Tick())
    stage.happen(Opened(1))
    assert asked(stage, 611.0) == [610.0]
    stage.happen(Witnessed(A, traded=True), 611.0)
    stage.wait(620.0)
    assert stage.closes == [(614.0, 1)]
    stage.happen(Ended(1, 1000, ""), 620.5)
    (told,) = stage.of(events.Disconnected)
    assert told.reason == "connected, but no data came"  # type: ignore[attr-defined]


def test_a_successor_without_data_is_ended_early_as_the_old_connection_is_a_witness() -> None:
    stage = Stage(want=2)
    stage.happen(Tick())
    stage.go_live(1)
    stage.happen(Opened(2))
    stage.flow(620.0, 1)
    assert stage.closes == [(613.0, 2)]
    assert not stage.asks


def test_one_dead_stream_among_live_ones_is_subscribed_anew_and_then_replaced() -> None:
    stage = live((A, B))

    def trade_on(until: float) -> None:
        while stage.now < until:
            stage.wait(stage.now + 1.0)
            stage.happen(Delivered(1, A))
            for stream in stage.asks:
                assert stream == B
                stage.happen(Witnessed(stream, traded=True))
            stage.asks.clear()

    trade_on(640.0)
    (silent,) = stage.of(events.StreamSilent)
    assert silent.stream == B  # type: ignore[attr-defined]
    assert len(stage.opens) == 1
    trade_on(680.0)
    assert [number for _, number in stage.opens] == [1, 2]


@pytest.mark.parametrize("answer", [True, False, None])
def test_an_answer_about_connections_that_are_gone_is_harmless(answer: bool | None) -> None:
    stage = live()
    asked(stage, 631.0)
    stage.happen(Ended(1, 1006, "reset"))
    stage.happen(Witnessed(A, answer))
    stage.go_live(2)
    stage.wait(stage.now + 20.0)
    assert stage.state(2) is State.LIVE


# -- addresses --------------------------------------------------------------------------------------


def two_hosts(**options: object) -> Stage:
    stage = Stage(hosts=("ws://a", "ws://b"), **options)  # type: ignore[arg-type]
    stage.happen(Tick())
    return stage


def endpoint(stage: Stage, number: int) -> str:
    return stage.plan.links[number].endpoint


def test_an_address_that_fails_is_followed_by_the_next() -> None:
    stage = two_hosts()
    assert endpoint(stage, 1) == "ws://a"
    stage.happen(Ended(1, None, "refused"))
    stage.wait(stage.now + 1.0)
    assert endpoint(stage, 2) == "ws://b"
    stage.go_live(2)
    assert stage.of(events.EndpointChanged) == [events.EndpointChanged(old="ws://a", new="ws://b")]


def back_to_a(stage: Stage) -> None:
    stage.happen(Ended(1, None, "refused"))
    stage.wait(stage.now + 1.0)
    stage.go_live(2)
    stage.flow(stage.now + 601.0, 2)


def test_a_better_address_is_probed_beside_and_takes_over() -> None:
    stage = two_hosts()
    back_to_a(stage)
    assert endpoint(stage, 3) == "ws://a"
    assert stage.state(2) is State.LIVE
    stage.go_live(3)
    assert stage.state(2) is State.DRAINING
    assert stage.plan.links[2].why == BETTER
    assert stage.plan.links[3].why is None


def test_a_probe_that_fails_disturbs_nobody() -> None:
    stage = two_hosts()
    back_to_a(stage)
    stage.happen(Ended(3, None, "refused"))
    stage.flow(stage.now + 100.0, 2)
    assert stage.plan.links[2].why is None
    assert stage.plan.attempts.effort is Effort.STEADY
    assert len(stage.opens) == 3
    stage.flow(stage.now + 510.0, 2)
    assert len(stage.opens) == 4


def test_two_connections_are_on_two_addresses_and_stay_there() -> None:
    stage = two_hosts(want=2)
    assert {endpoint(stage, 1), endpoint(stage, 2)} == {"ws://a", "ws://b"}
    stage.go_live(1)
    stage.go_live(2)
    stage.flow(2_000.0, 1, 2)
    stage.happen(Ended(1, 1006, "reset"))
    assert endpoint(stage, 3) == "ws://a"
    assert len(stage.opens) == 3


def test_exhaustion_of_all_addresses_is_a_state_of_its_own() -> None:
    stage = two_hosts()
    for _ in range(10):
        stage.happen(Ended(stage.opens[-1][1], None, "refused"))
        stage.wait(stage.now + 5.0)
    assert stage.plan.attempts.effort is Effort.BREAKER_OPEN
    assert len(stage.of(events.BreakerOpened)) == 2
    number = stage.opens[-1][1]
    stage.go_live(number)
    stage.flow(stage.now + 11.0, number)
    assert stage.plan.attempts.effort is Effort.STEADY
    assert stage.of(events.BreakerClosed)
