"""The rules of a feed, by scripted histories with exact times, and under any history at all."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kline_ops import events
from kline_ops.events import Event
from kline_ops.feed import happenings as rules
from kline_ops.feed.attempts import Attempts
from kline_ops.feed.endpoints import Endpoints
from kline_ops.feed.happenings import (
    Ask,
    Close,
    Delivered,
    Ended,
    Happening,
    Open,
    Opened,
    Replace,
    Settled,
    Tell,
    Tick,
)
from kline_ops.feed.plan import AGED, SHUTDOWN, STALLED, Plan, Timing
from kline_ops.feed.states import Effort, State
from kline_ops.market.interval import parse
from kline_ops.resilience import Backoff

PLANNED = "planned"
HOUR_MS = 3_600_000
INTERVAL = parse("1h")
#: 2026-01-27T14:00:00Z at monotonic 0: a close of the hourly candle.
EPOCH = 1_769_522_400_000
A, B = "btcusdt@kline_1h", "ethusdt@kline_1h"


def near_close(now_ms: int, near: float) -> int:
    coming = INTERVAL.ceil(now_ms)
    return coming if coming - now_ms <= near * 1000 else INTERVAL.floor(now_ms)


class Stage:
    """A plan on a clock of its own; keeps what was asked for and told."""

    def __init__(
        self,
        streams: tuple[str, ...] = (A,),
        *,
        want: int = 1,
        start: float = 600.0,
        draw: Callable[[], float] = lambda: 0.5,
        max_attempts: int = 20,
        hosts: tuple[str, ...] = ("ws://x",),
    ) -> None:
        self.plan = Plan(
            streams,
            near_close,
            attempts=Attempts(Endpoints(hosts), Backoff(max_attempts=max_attempts), draw),
            timing=Timing(),
            want=want,
        )
        self.now = start
        self.opens: list[tuple[float, int]] = []
        self.closes: list[tuple[float, int]] = []
        self.told: list[tuple[float, Event]] = []
        self.asks: list[str] = []

    def happen(self, happening: Happening, now: float | None = None) -> list[rules.Action]:
        self.now = self.now if now is None else now
        actions = self.plan.advance(happening, self.now, EPOCH + round(self.now * 1000))
        for action in actions:
            match action:
                case Open(number):
                    self.opens.append((self.now, number))
                case Close(number):
                    self.closes.append((self.now, number))
                case Ask(stream):
                    self.asks.append(stream)
                case Tell(event):
                    self.told.append((self.now, event))
        return actions

    def wait(self, until: float) -> None:
        """Let time pass as the shell does: a tick whenever the plan asked for one."""
        for _ in range(10_000):
            wake = self.plan.wake_at()
            if wake > until:
                self.now = until
                return
            self.happen(Tick(), max(wake, self.now))
        raise AssertionError("it wakes up without end")

    def go_live(self, number: int, *streams: str) -> None:
        self.happen(Opened(number))
        for stream in streams or (A,):
            self.happen(Delivered(number, stream))

    def flow(self, until: float, *numbers: int, step: float = 2.0) -> None:
        """These connections deliver, as a healthy exchange does."""
        while self.now < until:
            self.wait(min(until, self.now + step))
            for number in numbers:
                if number in self.plan.links:
                    self.happen(Delivered(number, A))

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for _, event in self.told if isinstance(event, kind)]

    def state(self, number: int) -> State:
        return self.plan.links[number].state


def live(streams: tuple[str, ...] = (A,), **options: object) -> Stage:
    """A feed with connection 1 LIVE since second 600."""
    stage = Stage(streams, **options)  # type: ignore[arg-type]
    stage.happen(Tick())
    stage.go_live(1, *streams)
    return stage


# -- start ------------------------------------------------------------------------------------------


def test_it_begins_with_one_connection() -> None:
    stage = Stage()
    assert stage.happen(Tick()) == [Open(1)]
    assert stage.happen(Tick()) == []
    assert stage.plan.wake_at() == float("inf")


def test_a_handshake_proves_nothing_and_data_does() -> None:
    stage = Stage()
    stage.happen(Tick())
    stage.happen(Opened(1), 600.4)
    opened = events.Connected(connection=1, endpoint="ws://x", seconds=0.4)
    assert stage.of(events.Connected) == [opened]
    assert stage.plan.live() == []
    stage.happen(Delivered(1, A), 601.25)
    assert stage.of(events.Live) == [events.Live(connection=1, endpoint="ws://x", seconds=1.25)]
    assert [link.number for link in stage.plan.live()] == [1]
    assert not stage.closes


def test_as_many_connections_are_opened_as_are_wanted() -> None:
    assert Stage(want=3).happen(Tick()) == [Open(1), Open(2), Open(3)]


# -- replace ----------------------------------------------------------------------------------------


def test_a_planned_restart_keeps_the_old_connection_until_the_candles_are_settled() -> None:
    # Ten seconds before the close at 15:00.
    stage = live(start=3_000.0)
    stage.flow(3_590.0, 1)
    assert stage.happen(Replace(PLANNED)) == [Open(2)]
    stage.happen(Opened(2), 3_590.5)
    assert stage.state(1) is State.LIVE
    stage.happen(Delivered(2, A), 3_591.0)
    assert stage.state(1) is State.DRAINING
    stage.happen(Settled(EPOCH + HOUR_MS), 3_592.0)
    assert not stage.closes
    stage.flow(3_601.0, 1, 2)
    assert not stage.closes
    # Every candle that closes before 16:00 is on disk, the one of 15:00 among them.
    assert stage.happen(Settled(EPOCH + 2 * HOUR_MS), 3_601.5) == [Close(1)]
    stage.happen(Ended(1, 1000, ""), 3_601.75)
    replaced = events.Replaced(old=1, new=2, why=PLANNED, overlap=10.75)
    assert stage.of(events.Replaced) == [replaced]
    assert not stage.of(events.Disconnected)


def test_a_planned_restart_lets_go_at_the_deadline_where_nothing_settles() -> None:
    stage = live(start=3_000.0)
    stage.flow(3_590.0, 1)
    stage.happen(Replace(PLANNED))
    stage.go_live(2)
    stage.flow(3_700.0, 1, 2, step=0.5)
    # The close is ten seconds ahead; then it lingers for five.
    assert stage.closes == [(3_605.0, 1)]


def test_far_from_a_close_the_old_connection_goes_as_soon_as_the_last_close_is_settled() -> None:
    stage = live()
    stage.happen(Settled(EPOCH + HOUR_MS), 620.0)
    stage.happen(Replace(PLANNED), 700.0)
    assert stage.happen(Opened(2)) == [Tell(events.Connected(connection=2, endpoint="ws://x"))]
    assert Close(1) in stage.happen(Delivered(2, A), 700.5)


def test_a_restart_is_asked_for_twice_and_made_once() -> None:
    stage = live()
    assert stage.happen(Replace(PLANNED), 700.0) == [Open(2)]
    assert stage.happen(Replace(PLANNED), 700.1) == []
    assert stage.happen(Replace(SHUTDOWN), 700.2) == []


def test_the_old_connection_stays_while_its_successors_fail() -> None:
    stage = live()
    stage.flow(700.0, 1)
    stage.happen(Replace(PLANNED))
    for _ in range(50):
        number = stage.opens[-1][1]
        stage.happen(Ended(number, None, "connection refused"), stage.now + 0.05)
        while stage.opens[-1][1] == number:
            stage.flow(stage.now + 0.25, 1)
    assert stage.state(1) is State.LIVE
    assert not stage.closes
    stage.go_live(stage.opens[-1][1])
    assert stage.state(1) is State.DRAINING


@pytest.mark.parametrize("want", [1, 2])
def test_successors_that_fail_are_tried_ever_more_rarely_though_an_old_connection_is_live(
    want: int,
) -> None:
    draw = random.Random(3).random
    stage = live(draw=draw, want=want)
    if want == 1:
        stage.flow(700.0, 1)
        stage.happen(Replace(PLANNED))
    start = stage.now
    while stage.now < start + 300.0:
        for number, link in list(stage.plan.links.items()):
            if number != 1 and link.state is State.CONNECTING:
                stage.happen(Ended(number, None, "connection refused"), stage.now + 0.02)
        stage.flow(stage.now + 0.1, 1)
    # The exchange bans an address after 300 in five minutes.
    assert len(stage.opens) < 200


def test_a_shutdown_notice_opens_a_successor_at_once_and_the_notice_of_the_end_costs_nothing() -> (
    None
):
    stage = live()
    stage.flow(700.0, 1)
    assert stage.happen(Replace(SHUTDOWN)) == [Open(2)]
    stage.go_live(2)
    assert stage.state(1) is State.DRAINING
    stage.happen(Ended(1, 1001, "going away"), 700.5)
    assert stage.of(events.Replaced)[0].why == SHUTDOWN  # type: ignore[attr-defined]
    assert stage.plan.attempts.failures == 0
    assert len(stage.opens) == 2


def test_a_server_that_announces_its_end_to_every_connection_is_not_stormed() -> None:
    stage = Stage(draw=random.Random(5).random)
    stage.happen(Tick())
    answered: set[int] = set()
    for _ in range(6_000):
        for number, link in list(stage.plan.links.items()):
            if link.state is State.CONNECTING and number not in answered:
                answered.add(number)
                stage.happen(Opened(number))
                stage.happen(Replace(SHUTDOWN, number))
        stage.wait(stage.now + 0.05)
        for _, number in stage.closes:
            if number in stage.plan.links:
                stage.happen(Ended(number, 1000, ""))
        if stage.now > 900.0 or len(stage.opens) >= 300:
            break
    assert len(stage.opens) < 300


def test_a_connection_that_is_to_go_before_it_delivered_gets_a_successor() -> None:
    stage = Stage()
    stage.happen(Tick())
    stage.happen(Opened(1), 600.5)
    stage.happen(Replace(PLANNED), 601.0)
    stage.wait(601.5)
    assert [number for _, number in stage.opens] == [1, 2]
    # The old one delivers first, and is the one that serves until the other does.
    stage.happen(Delivered(1, A), 601.5)
    assert stage.state(1) is State.LIVE
    assert not stage.closes
    stage.go_live(2)
    assert stage.state(1) is State.DRAINING
    stage.happen(Ended(1, 1000, ""), 602.0)
    assert [link.number for link in stage.plan.live()] == [2]


def test_a_connection_that_never_delivered_drains_when_its_successor_is_first() -> None:
    stage = Stage()
    stage.happen(Tick())
    stage.happen(Opened(1))
    stage.happen(Replace(PLANNED))
    stage.wait(601.0)
    stage.go_live(2)
    assert stage.state(1) is State.DRAINING
    stage.wait(660.0)
    assert [number for _, number in stage.closes] == [1]


def test_a_restart_while_the_first_connection_is_being_made_changes_nothing() -> None:
    stage = Stage()
    stage.happen(Tick())
    assert stage.happen(Replace(PLANNED)) == []
    stage.go_live(1)
    assert stage.plan.links[1].why is None


# -- silence and age --------------------------------------------------------------------------------


def test_a_connection_that_falls_silent_is_told_once_and_replaced_without_overlap() -> None:
    stage = live()
    stage.happen(Delivered(1, A), 605.0)
    stage.wait(664.999)
    assert len(stage.opens) == 1
    stage.wait(665.0)
    assert stage.opens[1:] == [(665.0, 2)]
    assert stage.of(events.Stalled) == [events.Stalled(connection=1, seconds=60.0)]
    assert not stage.closes
    stage.happen(Opened(2), 665.5)
    assert Close(1) in stage.happen(Delivered(2, A), 666.0)
    stage.happen(Ended(1, 1006, ""), 666.1)
    assert stage.of(events.Replaced)[0].why == STALLED  # type: ignore[attr-defined]
    stage.wait(720.0)
    assert len(stage.of(events.Stalled)) == 1


def test_a_handshake_without_data_is_ended_after_the_same_time_and_counts_as_a_failure() -> None:
    stage = Stage()
    stage.happen(Tick())
    stage.happen(Opened(1), 600.5)
    stage.wait(700.0)
    assert stage.closes == [(660.5, 1)]
    assert stage.of(events.Stalled) == [events.Stalled(connection=1, seconds=60.0)]
    stage.happen(Ended(1, 1000, ""), 700.5)
    assert stage.plan.attempts.failures == 1
    assert stage.plan.attempts.effort is Effort.BACKOFF


def test_before_the_exchange_cuts_it_after_24_hours_a_connection_is_replaced() -> None:
    stage = live(start=0.0)
    stage.flow(23.5 * 3600 - 0.5, 1, step=30.0)
    assert len(stage.opens) == 1
    stage.flow(23.5 * 3600 + 0.5, 1, step=0.5)
    assert [number for _, number in stage.opens] == [1, 2]
    assert stage.plan.links[1].why == AGED
    assert stage.state(1) is State.LIVE


# -- endings ----------------------------------------------------------------------------------------


def test_a_connection_that_lasted_and_is_cut_is_followed_at_once() -> None:
    stage = live()
    stage.flow(640.0, 1)
    assert Open(2) in stage.happen(Ended(1, 1006, "reset"))
    assert stage.of(events.Disconnected) == [
        events.Disconnected(
            connection=1, endpoint="ws://x", code=1006, reason="reset", seconds=40.0
        )
    ]


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1008, 1011, 4000, None])
def test_every_code_of_an_ending_is_a_loss_of_the_connection(code: int | None) -> None:
    stage = live()
    stage.flow(640.0, 1)
    assert Open(2) in stage.happen(Ended(1, code, "x"))


def test_the_end_of_the_sole_connection_while_its_successor_is_being_made_opens_no_third() -> None:
    stage = live()
    stage.flow(700.0, 1)
    stage.happen(Replace(PLANNED))
    assert [type(a) for a in stage.happen(Ended(1, 1001, ""), 700.2)] == [Tell]
    stage.go_live(2)
    assert [link.number for link in stage.plan.live()] == [2]
    assert len(stage.opens) == 2


def test_a_successor_that_dies_leaves_the_old_connection_in_service() -> None:
    stage = live(start=3_000.0)
    stage.flow(3_590.0, 1)
    stage.happen(Replace(PLANNED))
    stage.go_live(2)
    stage.happen(Ended(2, 1006, "reset"), 3_592.0)
    # The old one still delivers; while nobody else does it must not be closed.
    while not any(link.state is State.LIVE for link in stage.plan.links.values()):
        stage.flow(stage.now + 1.0, 1)
        stage.happen(Settled(near_close(EPOCH + round(stage.now * 1000), 0.0) + HOUR_MS))
        assert stage.closes == []
        if stage.now > 3_640.0:
            stage.go_live(stage.opens[-1][1])
    stage.flow(3_700.0, 1, stage.opens[-1][1])
    assert [number for _, number in stage.closes] == [1]


def test_accept_and_close_at_once_is_answered_by_backoff_and_exhaustion_is_told_once() -> None:
    stage = Stage(max_attempts=5, draw=lambda: 1.0 - 2**-53)
    stage.happen(Tick())
    for attempt in range(1, 12):
        stage.happen(Opened(attempt), stage.now)
        stage.happen(Ended(attempt, 1001, "going away"), stage.now)
        assert stage.plan.attempts.failures == attempt
        stage.wait(stage.now + 31.0)
    at = [when for when, _ in stage.opens]
    waits = [round(after - before, 3) for before, after in itertools.pairwise(at)]
    assert waits[:4] == [31.0] * 4 or waits[0] <= 31.0
    assert [e.attempts for e in stage.of(events.AttemptsExhausted)] == [5]  # type: ignore[attr-defined]


def test_the_waits_of_accept_and_close_are_those_of_the_backoff() -> None:
    stage = Stage(max_attempts=6, draw=lambda: 0.5)
    stage.happen(Tick())
    for attempt in range(1, 9):
        stage.happen(Opened(attempt))
        stage.happen(Ended(attempt, 1001, "going away"))
        stage.wait(stage.plan.wake_at())
    at = [when for when, _ in stage.opens]
    waits = [after - before for before, after in itertools.pairwise(at)]
    assert waits == pytest.approx([0.25, 0.5, 1.0, 2.0, 2.0, 15.0, 15.0, 15.0])


def test_data_for_a_moment_is_no_recovery_and_data_that_lasts_is() -> None:
    stage = Stage()
    stage.happen(Tick())
    for attempt in (1, 2, 3):
        stage.go_live(attempt)
        stage.flow(stage.now + 9.9, attempt, step=1.0)
        stage.happen(Ended(attempt, 1006, ""))
        assert stage.plan.attempts.failures == attempt
        stage.wait(stage.plan.wake_at())
    stage.go_live(4)
    stage.flow(stage.now + 9.9, 4, step=1.0)
    assert stage.plan.attempts.effort is Effort.BACKOFF
    stage.flow(stage.now + 0.2, 4, step=0.05)
    assert stage.plan.attempts.effort is Effort.STEADY
    assert stage.plan.attempts.failures == 0


def test_after_a_recovery_exhaustion_is_told_again() -> None:
    stage = Stage(max_attempts=2)
    stage.happen(Tick())
    for _ in range(2):
        for _ in range(4):
            stage.happen(Ended(stage.opens[-1][1], None, "refused"))
            stage.wait(stage.plan.wake_at())
        number = stage.opens[-1][1]
        stage.go_live(number)
        stage.flow(stage.now + 11.0, number)
        stage.happen(Ended(number, 1006, ""))
    assert len(stage.of(events.AttemptsExhausted)) == 2


# -- several streams --------------------------------------------------------------------------------


def test_live_is_when_every_stream_has_delivered() -> None:
    stage = Stage((A, B))
    stage.happen(Tick())
    stage.happen(Opened(1))
    stage.happen(Delivered(1, A), 601.0)
    stage.wait(609.9)
    assert stage.state(1) is State.OPEN
    stage.happen(Delivered(1, B), 609.95)
    assert stage.state(1) is State.LIVE


def test_a_stream_that_is_silent_everywhere_holds_nothing_up_for_longer_than_the_proof() -> None:
    stage = Stage((A, B))
    stage.happen(Tick())
    stage.happen(Opened(1))
    stage.happen(Delivered(1, A), 601.0)
    stage.wait(609.999)
    assert stage.state(1) is State.OPEN
    stage.wait(610.0)
    assert stage.state(1) is State.LIVE


def test_a_stream_that_delivers_elsewhere_must_deliver_here_too() -> None:
    stage = live((A, B))
    stage.happen(Replace(PLANNED), 700.0)
    stage.happen(Opened(2), 700.0)
    for second in range(1, 40):
        stage.wait(700.0 + second)
        stage.happen(Delivered(1, A))
        stage.happen(Delivered(1, B))
        stage.happen(Delivered(2, A))
    assert stage.state(2) is State.OPEN
    assert stage.state(1) is State.LIVE
    stage.happen(Delivered(2, B))
    assert stage.state(2) is State.LIVE


def test_a_connection_of_two_that_is_cut_is_replaced_alone() -> None:
    stage = Stage(want=2)
    stage.happen(Tick())
    stage.go_live(1)
    stage.go_live(2)
    stage.flow(640.0, 1, 2)
    stage.happen(Ended(1, 1006, ""))
    assert [number for _, number in stage.opens] == [1, 2, 3]
    stage.go_live(3)
    assert not stage.closes


def test_two_connections_are_replaced_one_for_one() -> None:
    stage = Stage(want=2)
    stage.happen(Tick())
    stage.go_live(1)
    stage.go_live(2)
    stage.flow(640.0, 1, 2)
    assert stage.happen(Replace(PLANNED)) == [Open(3), Open(4)]
    stage.go_live(3)
    assert sorted(x.state.name for x in stage.plan.links.values()).count("DRAINING") == 1
    stage.go_live(4)
    assert [stage.state(number) for number in (1, 2)] == [State.DRAINING] * 2


# -- waking up --------------------------------------------------------------------------------------


def test_a_notice_dooms_the_connection_that_brought_it_and_no_other() -> None:
    stage = Stage(want=2)
    stage.happen(Tick())
    stage.go_live(1)
    stage.go_live(2)
    stage.flow(640.0, 1, 2)
    assert stage.happen(Replace(SHUTDOWN, 1)) == [Open(3)]
    assert [stage.plan.links[number].why for number in (1, 2, 3)] == [SHUTDOWN, None, None]


def test_data_that_comes_while_a_silent_connection_is_being_closed_proves_nothing() -> None:
    stage = live()
    stage.flow(700.0, 1)
    stage.happen(Replace(PLANNED))
    stage.happen(Opened(2))
    stage.flow(761.0, 1)
    assert [number for _, number in stage.closes] == [2]
    stage.happen(Delivered(2, A))
    assert stage.state(1) is State.LIVE


def assert_no_spin(stage: Stage, ticks: int = 4) -> None:
    """A tick at ``wake_at`` brings the plan on: it acts, or the next wake is later than now."""
    for _ in range(ticks):
        wake = stage.plan.wake_at()
        if wake > stage.now:
            return
        if stage.happen(Tick()):
            return
    raise AssertionError(f"it wakes at {wake} again and again, at {stage.now}")


def test_it_does_not_spin_while_a_silent_connection_takes_its_time_to_close() -> None:
    stage = Stage()
    stage.happen(Tick())
    stage.happen(Opened(1))
    stage.happen(Tick(), 660.0)
    assert [number for _, number in stage.closes] == [1]
    stage.now = 660.3
    assert_no_spin(stage)


def test_it_does_not_spin_while_a_draining_connection_takes_its_time_to_close() -> None:
    stage = live()
    stage.flow(700.0, 1)
    stage.happen(Replace(PLANNED))
    stage.go_live(2)
    deadline = stage.plan.wake_at()
    stage.happen(Tick(), deadline)
    assert [number for _, number in stage.closes] == [1]
    stage.happen(Delivered(2, A), deadline + 0.3)
    assert_no_spin(stage)


def test_it_does_not_spin_while_a_stream_is_awaited_that_delivers_elsewhere() -> None:
    stage = live((A, B))
    stage.happen(Replace(PLANNED), 700.0)
    stage.happen(Opened(2))
    stage.happen(Delivered(2, A), 701.0)
    stage.happen(Delivered(1, B), 709.0)
    stage.happen(Delivered(1, A), 710.5)
    assert_no_spin(stage)


KINDS = ["opened", "delivered", "ended", "replace", "settled", "wake", "wait", "stall"]


@given(
    st.integers(1, 2),
    st.integers(1, 2),
    st.lists(
        st.tuples(
            st.sampled_from(KINDS), st.integers(0, 5), st.floats(0, 8), st.sampled_from([A, B])
        ),
        max_size=70,
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=150)
def test_whatever_happens_no_connection_that_serves_alone_is_closed_and_nothing_spins(  # noqa: C901
    want: int,
    streams: int,
    steps: list[tuple[str, int, float, str]],
    chance: random.Random,
) -> None:
    stage = Stage((A, B)[:streams], want=want, draw=chance.random)
    stage.happen(Tick())
    for kind, which, wait, stream in steps:
        links = stage.plan.links
        number = sorted(links)[which % len(links)] if links else 0
        state = links[number].state if links else None
        serving = {n for n, x in links.items() if x.state in {State.LIVE, State.DRAINING}}
        stalled = {n for n, x in links.items() if x.why == STALLED}
        closing = {n for n, x in links.items() if x.closing}
        before = len(stage.closes)
        now = stage.now + wait / 10
        if kind == "opened" and state is State.CONNECTING:
            stage.happen(Opened(number), now)
        elif kind == "delivered" and state not in {None, State.CONNECTING}:
            stage.happen(Delivered(number, stream if streams == 2 else A), now)
        elif kind == "ended" and state is not None:
            stage.happen(Ended(number, 1006, "x"), now)
        elif kind == "replace":
            meant = chance.choice([None, number])
            stage.happen(Replace(chance.choice([PLANNED, SHUTDOWN]), meant), now)
        elif kind == "settled":
            stage.happen(Settled(EPOCH + round(now * 1000) + which * HOUR_MS), now)
        elif kind == "wake" and stage.plan.wake_at() < float("inf"):
            stage.happen(Tick(), max(stage.now, stage.plan.wake_at()))
        else:
            stage.happen(Tick(), stage.now + wait * (10 if kind == "stall" else 1))
        live_now = {
            n for n, x in stage.plan.links.items() if x.state is State.LIVE and n not in closing
        }
        for _, closed in stage.closes[before:]:
            assert closed not in closing
            if closed in serving and closed not in stalled:
                assert live_now - {closed}
        if stage.plan.wake_at() <= stage.now:
            stage.happen(Tick())
        assert len(stage.plan.links) >= want or stage.plan.attempts.retry_at > stage.now
        assert_no_spin(stage)


@given(st.floats(0.0, 1e7), st.booleans())
def test_a_deadline_is_over_at_the_moment_that_was_asked_for(start: float, proved: bool) -> None:
    """A sum and a difference round differently; else it would wake up without end."""
    stage = Stage(start=start)
    stage.happen(Tick())
    stage.happen(Opened(1))
    if proved:
        stage.happen(Delivered(1, A))
    stage.wait(start + 62)
    assert len(stage.of(events.Stalled)) == 1
    stage.happen(Ended(1, 1006, ""))
    stage.wait(stage.now + 5)
    stage.go_live(2)
    stage.wait(stage.now + 20)
    stage.happen(Delivered(2, A), stage.plan.links[2].began + 23.5 * 3600 - 30)
    stage.wait(stage.now + 40)
    assert stage.plan.links[2].why == AGED
