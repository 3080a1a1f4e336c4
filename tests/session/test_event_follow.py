"""An event log that grows, is rotated, emptied, torn or no log at all: what is told of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kline_ops.errors import InputError
from kline_ops.events import Event
from kline_ops.market.timestamp import to_ms
from kline_ops.session.event_follow import EventFollower
from kline_ops.watch.tail import Tail

KINDS = ("session_stopped", "hole_filled")
STOP = '{"ts":"2026-01-01T00:%02d:00Z","kind":"session_stopped","reason":"%s","unwritten":0}\n'
NOISE = '{"ts":"2026-01-01T00:%02d:00Z","kind":"connected","connection":1,"endpoint":"wss://x"}\n'


def follower(log: Path, since: str = "2026-01-01T00:00:00Z") -> EventFollower:
    return EventFollower(str(log), to_ms(since), iter(KINDS))


def reasons(told: EventFollower) -> list[str]:
    found: list[Event] = [event for _, event in told.new()]
    return [getattr(event, "reason", event.kind) for event in found]


def test_what_was_rotated_away_is_told_first_and_what_is_older_is_not(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    (tmp_path / "events.jsonl.2").write_text(STOP % (1, "too old") + NOISE % 2 + STOP % (3, "a"))
    (tmp_path / "events.jsonl.1").write_text(STOP % (4, "b"))
    log.write_text(STOP % (5, "c"))
    told = follower(log, "2026-01-01T00:02:30Z")
    assert reasons(told) == ["a", "b", "c"]
    assert reasons(told) == []
    with log.open("a") as file:
        file.write(STOP % (6, "d"))
    assert reasons(told) == ["d"]
    # It is rotated under the reader: all of it is to be told anew, and nothing has gone.
    (tmp_path / "events.jsonl.2").rename(tmp_path / "events.jsonl.3")
    (tmp_path / "events.jsonl.1").rename(tmp_path / "events.jsonl.2")
    log.rename(tmp_path / "events.jsonl.1")
    assert reasons(told) == []  # between the two there is no log
    log.write_text(STOP % (7, "e"))
    assert (reasons(told), told.is_anew) == ([], True)
    assert reasons(follower(log, "2026-01-01T00:02:30Z")) == ["a", "b", "c", "d", "e"]


def test_half_a_line_costs_itself_and_not_the_one_that_went_on_from_there(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    half = STOP % (1, "lost")
    log.write_text(
        half[:30] + STOP % (2, "a")  # torn within its kind
        + half[:70] + STOP % (3, "b")  # and after it
        + (NOISE % 4)[:60] + STOP % (5, "c")
        + half[:70] + NOISE % 6
        + STOP % (7, "d")
    )  # fmt: skip
    told = [(at, getattr(event, "reason", "")) for at, event in follower(log).new()]
    assert told == [
        ("2026-01-01T00:02:00Z", "a"), ("2026-01-01T00:03:00Z", "b"),
        ("2026-01-01T00:05:00Z", "c"), ("2026-01-01T00:07:00Z", "d"),
    ]  # fmt: skip


def test_a_log_that_was_emptied_and_grew_longer_than_it_was_is_another_one(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    log.write_text(STOP % (1, "a"))
    told = follower(log)
    assert reasons(told) == ["a"]
    inode = log.stat().st_ino
    log.write_text("".join(STOP % (at, "x" * at) for at in range(2, 9)))
    assert log.stat().st_ino == inode
    assert reasons(told) == []
    assert told.is_anew
    assert len(reasons(follower(log))) == 7


def test_what_is_no_log_is_told_at_once_and_one_that_is_not_there_is_none(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    assert reasons(follower(log)) == []
    os.mkfifo(log)
    with pytest.raises(InputError, match="no regular file"):
        reasons(follower(log))
    with pytest.raises(OSError, match="no regular file"):
        Tail(log)
    log.unlink()
    log.write_text(STOP % (1, "a"))
    os.mkfifo(tmp_path / "events.jsonl.1")
    with pytest.raises(InputError, match="no regular file"):
        reasons(follower(log))


def test_garbage_of_any_size_is_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    log.write_bytes(
        b"\0" * 200_000 + b"\n" + STOP.encode() % (1, b"a") + b'{"ts":"' + b"x" * 100_000 + b"\n"
        + b"\xff\xfe\n[]\n{}\n" + b'{"ts":"2026-01-01T00:02:00Z","kind":"session_stopped"}\n'
        + b'{"ts":7,"kind":"session_stopped","reason":"r"}\n' + STOP.encode() % (3, b"b")
    )  # fmt: skip
    assert reasons(follower(log)) == ["a", "b"]
