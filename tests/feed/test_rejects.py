"""Frames that could not be used: each counted, told once a minute and reason."""

import pytest

from kline_ops.events import FrameRejected
from kline_ops.feed.rejects import Rejects


def test_the_first_of_a_kind_is_told_at_once_with_a_sample() -> None:
    rejects = Rejects()
    assert rejects.count("not JSON", b"{x", 0.0) == FrameRejected(
        reason="not JSON", count=1, sample="{x"
    )
    assert rejects.total == 1


@pytest.mark.parametrize("start", [0.0, 1e6])
def test_more_of_a_kind_are_told_together_after_a_minute(start: float) -> None:
    rejects = Rejects()
    rejects.count("not JSON", b"a", start)
    for second in range(59):
        assert rejects.count("not JSON", b"b", start + second) is None
    told = rejects.count("not JSON", b"c", start + 60.0)
    assert told == FrameRejected(reason="not JSON", count=60, sample="c", seconds=60.0)
    assert rejects.count("not JSON", b"d", start + 61.0) is None
    assert rejects.total == 62


def test_one_kind_does_not_silence_another() -> None:
    rejects = Rejects()
    assert rejects.count("a", b"", 0.0) is not None
    assert rejects.count("b", b"", 0.0) is not None
    assert rejects.count("a", b"", 1.0) is None


def test_no_frame_is_counted_twice_or_forgotten() -> None:
    rejects, told = Rejects(), 0
    for number in range(10_000):
        event = rejects.count(f"reason {number % 7}", b"x", number * 0.5)
        told += event.count if event is not None else 0
    for number in range(7):
        event = rejects.count(f"reason {number}", b"x", 1e6)
        assert event is not None
        told += event.count
    assert told == rejects.total == 10_007


def test_reasons_without_end_become_one() -> None:
    rejects = Rejects()
    events = [rejects.count(f"reason {number}", b"x", 0.0) for number in range(5_000)]
    told = [event for event in events if event is not None]
    assert len(told) <= 101
    assert told[-1].reason == "other"
    last = rejects.count("yet another", b"x", 60.0)
    assert last is not None
    assert sum(event.count for event in told) + last.count == rejects.total == 5_001


def test_what_was_not_told_is_told_when_asked_for_with_how_long_ago_it_came() -> None:
    rejects = Rejects()
    assert rejects.untold(0.0) == []
    for second in range(4):
        rejects.count("not JSON", b"%d" % second, float(second))
    rejects.count("other", b"x", 4.0)
    assert rejects.untold(10.0) == [
        FrameRejected(reason="not JSON", count=3, sample="3", seconds=2.0, ago=7.0)
    ]  # fmt: skip
    assert rejects.untold(11.0) == []
    assert rejects.count("not JSON", b"e", 12.0) is None
    told = rejects.count("not JSON", b"f", 61.0)
    assert told == FrameRejected(reason="not JSON", count=2, sample="f", seconds=49.0)
    assert rejects.untold(70.0) == []


@pytest.mark.parametrize(
    ("frame", "sample"),
    [
        (b"", ""),
        (b"\xff\x00", "\ufffd\x00"),
        (b"x" * 10_000, "x" * 200),
        ("é".encode() * 200, "é" * 100),
        (b"x" + "é".encode() * 200, "x" + "é" * 99 + "\ufffd"),
    ],
)
def test_a_sample_is_short_text_whatever_the_frame_is(frame: bytes, sample: str) -> None:
    event = Rejects().count("reason", frame, 0.0)
    assert event is not None
    assert event.sample == sample


def test_all_that_came_is_known_by_reason_and_bounded() -> None:
    rejects = Rejects()
    for number in range(1_000):
        rejects.count(f"reason {number}", b"x", 0.0)
        rejects.count("reason 1", b"x", 0.0)
    assert sum(rejects.by_reason.values()) == rejects.total == 2_000
    assert rejects.by_reason["reason 1"] == 1_001
    assert len(rejects.by_reason) == 101
