"""What waits for a channel: order, waits, what is lost and what is said of it. No I/O, no time."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.alerts.message import AlertError, Level, Message
from kline_ops.alerts.outbox import Outbox, Try
from kline_ops.market.timestamp import to_ms

AT = to_ms("2026-11-30T14:02:30Z")
PASSES = AlertError("answered 500")
REFUSED = AlertError("answered 404", retryable=False)


def message(title: str, level: Level = Level.INFO) -> Message:
    return Message(level, title, "text")


class World:
    """An outbox and its time; jitter is at its longest."""

    def __init__(self, most: int = 100, draw: Callable[[], float] = lambda: 1.0) -> None:
        self.outbox = Outbox(draw, most=most)
        self.now = 1000.0

    @property
    def now_ms(self) -> int:
        return AT + round((self.now - 1000.0) * 1000)

    def put(self, *titles: str, level: Level = Level.INFO) -> None:
        for title in titles:
            self.outbox.put(message(title, level), self.now_ms)

    def take(self) -> Try:
        """What comes next, after all waits."""
        while (attempt := self.outbox.take(self.now, self.now_ms)) is None:
            wait = self.outbox.wait(self.now)
            assert 0.0 < wait < math.inf
            self.now += wait
        return attempt

    def deliver(self) -> Message:
        attempt = self.take()
        self.outbox.taken(attempt, self.now)
        return attempt.message

    def fail(self, error: AlertError = PASSES) -> int | None:
        return self.outbox.failed(self.take(), error, self.now)

    def titles(self) -> list[str]:
        told = []
        while self.outbox.wait(self.now) < math.inf:
            told.append(self.deliver().title)
        return told


def test_nothing_waits() -> None:
    outbox = Outbox(lambda: 1.0)
    assert outbox.wait(0.0) == math.inf
    assert outbox.take(0.0, AT) is None
    assert len(outbox) == 0


def test_in_order_and_unchanged() -> None:
    world = World()
    world.put("a", "b", "c")
    first = world.deliver()
    assert (first.title, first.text, first.at_ms) == ("a", "text", AT)
    assert world.titles() == ["b", "c"]


def test_a_burst_then_one_a_second() -> None:
    world = World()
    world.put(*"abcdefgh")
    moments = []
    for _ in range(8):
        world.deliver()
        moments.append(world.now - 1000.0)
    assert moments == pytest.approx([0, 0, 0, 0, 0, 1, 2, 3])


def test_waits_double_to_a_plateau_and_end_at_five_minutes() -> None:
    world = World()
    world.put("a")
    waits = []
    for _ in range(25):
        world.fail()
        waits.append(world.outbox.wait(world.now))
    assert waits[:5] == pytest.approx([1, 2, 4, 8, 8])
    assert waits[18:] == pytest.approx([8] + [300] * 6)
    assert world.deliver().title == "a"
    world.put("b")
    world.fail()
    assert world.outbox.wait(world.now) == pytest.approx(1)


def test_order_is_kept_over_a_failure() -> None:
    world = World()
    world.put("a", "b")
    world.fail()
    world.put("c")
    assert world.titles() == ["a", "b", "c"]


@pytest.mark.parametrize(("asked", "kept"), [(30.0, 30.0), (0.2, 1.0), (1e9, 3600.0)])
def test_a_silence_that_is_asked_for_is_kept(asked: float, kept: float) -> None:
    world = World()
    world.put("a")
    world.fail(AlertError("answered 429", retry_after=asked))
    assert world.outbox.wait(world.now) == pytest.approx(kept)


def test_at_the_end_it_is_tried_at_once_but_no_silence_is_broken() -> None:
    world = World()
    world.put("a")
    for _ in range(4):
        world.fail()
    assert world.outbox.wait(world.now) == pytest.approx(8)
    world.outbox.hurry(world.now)
    assert world.outbox.wait(world.now) == 0.0
    world.fail(AlertError("answered 429", retry_after=60.0))
    world.outbox.hurry(world.now)
    assert world.outbox.wait(world.now) == pytest.approx(60)


def test_what_matters_least_is_lost_first() -> None:
    world = World(most=4)
    world.put("w1", level=Level.WARNING)
    world.put("i1")
    world.put("s1", level=Level.SUCCESS)
    world.put("c1", level=Level.CRITICAL)
    world.put("c2", level=Level.CRITICAL)
    world.put("c3", level=Level.CRITICAL)
    assert world.outbox.lost == 2
    world.put("i2")  # the only one of its kind
    assert world.outbox.lost == 3
    world.put("c4", level=Level.CRITICAL)
    assert world.outbox.lost == 4
    assert world.titles() == ["c1", "c2", "c3", "c4"]


def test_critical_ones_are_never_lost_but_merged() -> None:
    world = World(most=3)
    for title in ("a", "b", "a", "c", "d"):
        world.put(title, level=Level.CRITICAL)
        world.now += 60
    assert (world.outbox.lost, len(world.outbox)) == (0, 5)
    # The two of one title first; then the two oldest.
    told = [world.deliver() for _ in range(3)]
    assert [one.title for one in told] == ["a", "c", "d"]
    assert told[0].text.splitlines()[2] == (
        "This stands for 3 messages since 14:02 UTC, among them: b"
    )
    assert "stands for" not in told[1].text


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(Level)), max_size=60),
    st.integers(1, 8),
)
def test_every_message_is_delivered_or_counted(given: list[tuple[str, Level]], most: int) -> None:
    world = World(most)
    for title, level in given:
        world.put(title, level=level)
    waiting, lost = len(world.outbox), world.outbox.lost
    assert waiting + lost == len(given)
    critical = {title for title, level in given if level is Level.CRITICAL}
    told = ""
    tries = 0
    while world.outbox.wait(world.now) < math.inf:
        one = world.deliver()
        told += f" {one.title} {one.text.rpartition('among them: ')[2]}"
        tries += 1
    assert tries <= most
    assert all(title in told for title in critical)


def test_what_was_lost_is_told_with_the_next_message() -> None:
    world = World(most=1)
    world.put("a", "b", "c")
    world.now += 20
    assert world.deliver().text == "text\n\n2 messages were not delivered since 14:02 UTC"
    world.put("d")
    assert world.deliver().text == "text"


def test_what_is_lost_while_the_news_of_lost_ones_is_under_way() -> None:
    world = World(most=1)
    world.put("a", "b")
    attempt = world.take()
    assert attempt.message.text.endswith("1 message was not delivered since 14:02 UTC")
    world.put("c", "d")
    world.outbox.taken(attempt, world.now)
    assert world.deliver().text.endswith("1 message was not delivered since 14:02 UTC")
    world.put("e")
    assert world.deliver().text == "text"


def test_a_late_message_says_when_it_was_true() -> None:
    world = World()
    world.put("a")
    world.now += 60
    assert world.take().message.text == "text"

    world.put("b")
    world.now += 61
    told = world.deliver().text
    assert told == "text\n\nTold late: this was at 14:03 UTC"

    world.put("c")
    world.now += 86_400
    assert "this was at 2026-11-30 14:04 UTC" in world.deliver().text


def test_what_is_said_of_the_way_finds_room() -> None:
    world = World()
    world.outbox.put(Message(Level.INFO, "a", "x" * 5000), world.now_ms)
    world.now += 3600
    assert len(world.deliver().text) < 2500


def test_failing_is_news_once() -> None:
    world = World()
    world.put("a")
    assert [world.fail() for _ in range(3)] == [0, None, None]
    world.outbox.taken(world.take(), world.now)
    world.put("b")
    assert world.fail() == 0


def test_losing_is_news_once_and_what_it_came_to() -> None:
    world = World(most=2)
    world.put("a", "b")
    assert world.fail() == 0
    world.put("c")
    assert world.fail() == 1
    world.put("d", "e")
    assert world.fail() is None
    attempt = world.take()
    assert attempt.message.text.startswith("text\n\n")
    assert world.outbox.taken(attempt, world.now) == 3
    assert world.outbox.taken(world.take(), world.now) is None


def test_a_refused_message_is_lost_and_the_next_one_is_tried() -> None:
    world = World()
    world.put("a", "b", "c")
    assert world.fail(REFUSED) == 1
    assert world.outbox.wait(world.now) == 0.0
    assert world.fail(REFUSED) is None
    assert world.deliver().text.endswith("2 messages were not delivered since 14:02 UTC")


def test_a_critical_message_that_is_refused_waits_for_the_channel() -> None:
    world = World()
    world.put("a", level=Level.CRITICAL)
    world.put("b")
    assert world.fail(REFUSED) == 0
    assert world.fail(REFUSED) == 1  # b is lost
    assert world.outbox.wait(world.now) == pytest.approx(300)
    for _ in range(20):
        assert world.fail(REFUSED) is None
        assert world.outbox.wait(world.now) == pytest.approx(300)
    assert len(world.outbox) == 1
    world.put("c")
    # The channel works again: what waits follows at once.
    assert world.titles() == ["c", "a"]


def test_a_critical_message_that_is_at_fault_itself_is_lost_in_the_end() -> None:
    world = World()
    world.put("a", level=Level.CRITICAL)
    world.fail(REFUSED)
    world.put("b")
    assert world.deliver().title == "b"
    assert world.outbox.wait(world.now) == 0.0
    assert world.fail(REFUSED) == 1
    assert len(world.outbox) == 0
    assert world.outbox.lost == 1


def test_what_was_refused_and_then_can_not_be_sent_lets_nobody_wait_for_long() -> None:
    world = World()
    world.put("a", level=Level.CRITICAL)
    world.fail(REFUSED)
    world.fail(PASSES)
    assert len(world.outbox) == 1
    world.put("b")
    assert world.titles() == ["b", "a"]


def test_refused_critical_messages_are_bounded() -> None:
    world = World(most=3)
    for number in range(10):
        world.put(f"c{number}", level=Level.CRITICAL)
        world.fail(REFUSED)
    assert len(world.outbox) == 10
    world.put("i")
    assert len(world.titles()) == 4


@given(st.lists(st.sampled_from(["put", "critical", "ok", "fail", "refuse"]), max_size=80))
def test_nothing_vanishes(steps: list[str]) -> None:
    """Whatever happens: put = delivered + waiting + told as lost + lost and still to be told."""
    world = World(most=5, draw=lambda: 0.5)
    put = delivered = told_lost = 0
    for step in steps:
        if step in {"put", "critical"}:
            put += 1
            world.put(f"t{put % 3}", level=Level.CRITICAL if step == "critical" else Level.WARNING)
            continue
        if not len(world.outbox):
            continue
        attempt = world.take()
        if step == "ok":
            world.outbox.taken(attempt, world.now)
            delivered += attempt.letter.times
            told_lost += attempt.lost
        else:
            world.outbox.failed(attempt, PASSES if step == "fail" else REFUSED, world.now)
        assert put == delivered + told_lost + len(world.outbox) + world.outbox.lost
