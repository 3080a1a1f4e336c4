"""The end of a log, and what is added to it while somebody looks."""

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kline_ops.watch import tail
from kline_ops.watch.tail import follow_lines, last_lines


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "session.log"
    path.write_text("one\ntwo\nthree\n")
    return path


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "_POLL", 0.002)


@pytest.mark.parametrize(
    ("count", "lines"),
    [
        (-1, []),
        (0, []),
        (1, ["three"]),
        (2, ["two", "three"]),
        (3, ["one", "two", "three"]),
        (9, ["one", "two", "three"]),
    ],
)
def test_as_many_lines_as_asked_for_come_from_the_end(
    log: Path, count: int, lines: list[str]
) -> None:
    assert last_lines(log, count) == lines


def test_a_line_without_an_end_is_the_last_one(log: Path) -> None:
    log.write_text("one\ntwo")
    assert last_lines(log, 1) == ["two"]
    log.write_text("")
    assert last_lines(log, 5) == []


def test_the_file_before_the_rotation_gives_the_older_lines(log: Path) -> None:
    log.rename(log.with_name("session.log.1"))
    log.write_text("four\n")
    assert last_lines(log, 3) == ["two", "three", "four"]
    assert last_lines(log, 1) == ["four"]


def test_no_log_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        last_lines(tmp_path / "none", 3)


def test_bytes_that_are_no_text_do_no_harm(log: Path) -> None:
    log.write_bytes(b"one\n\xff\xfe\nthree\n")
    assert last_lines(log, 2) == ["\ufffd\ufffd", "three"]


@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8"))), st.integers(0, 9)
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_line_ends_at_a_line_feed_and_nowhere_else(
    tmp_path: Path, lines: list[str], count: int
) -> None:
    path = tmp_path / "x.log"
    path.write_text("".join(f"{line}\n" for line in lines), newline="")
    assert last_lines(path, count) == (lines[-count:] if count else [])


@pytest.mark.parametrize("count", [1, 7, 1_000])
def test_lines_far_longer_than_a_block_are_whole(log: Path, count: int) -> None:
    lines = [str(n) * 30_000 for n in range(12)]
    log.write_text("\n".join(lines) + "\n")
    assert last_lines(log, count) == lines[-count:]


@pytest.fixture
def follower(log: Path) -> Iterator[Iterator[str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        lines = follow_lines(log)
        yield lines
        lines.close()  # type: ignore[attr-defined]
        gc.collect()


def step(lines: Iterator[str], log: Path, monkeypatch: pytest.MonkeyPatch, *acts: object) -> str:
    """The next line, while something happens each time the follower has reached the end."""
    waiting, original = list(acts), tail._was_replaced

    def act(path: Path, fd: int) -> bool:
        if waiting:
            waiting.pop(0)()  # type: ignore[operator]
        return original(path, fd)

    monkeypatch.setattr(tail, "_was_replaced", act)
    return next(lines)


def append(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def rotate(log: Path, first: str) -> None:
    log.rename(log.with_name(log.name + ".1"))
    log.write_text(first)


def test_a_line_that_is_added_in_pieces_is_told_when_it_ends(
    log: Path, follower: Iterator[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = [lambda: append(log, "fo"), lambda: append(log, "ur"), lambda: append(log, "\nfive\n")]
    assert step(follower, log, monkeypatch, *pieces) == "four"
    assert next(follower) == "five"


def test_a_rotated_log_is_followed_to_its_successor(
    log: Path, follower: Iterator[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    acts = [
        lambda: None,
        lambda: rotate(log, "four\n"),
        lambda: None,
        lambda: append(log, "five\n"),
    ]
    assert step(follower, log, monkeypatch, *acts) == "four"
    assert next(follower) == "five"


def test_a_line_that_is_written_just_before_the_rotation_is_not_lost(
    log: Path, follower: Iterator[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def last_word_and_rotate() -> None:
        append(log, "last word\n")
        rotate(log, "four\n")

    assert step(follower, log, monkeypatch, last_word_and_rotate) == "last word"
    assert next(follower) == "four"


def test_a_log_that_is_away_for_a_moment_is_waited_for(
    log: Path, follower: Iterator[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    acts = [log.unlink, lambda: None, lambda: log.write_text("four\n")]
    assert step(follower, log, monkeypatch, *acts) == "four"


def test_who_stops_following_leaves_no_file_open(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        lines = follow_lines(log)
        assert step(lines, log, monkeypatch, lambda: append(log, "four\n")) == "four"
        unclosed: list[object] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.unraisablehook", unclosed.append)
            lines.close()  # type: ignore[attr-defined]
            del lines
            gc.collect()
    assert not unclosed
