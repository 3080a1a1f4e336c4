"""The end of a log, and what is added to it while somebody looks."""

import gc
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kline_ops.watch import tail
from kline_ops.watch.tail import Tail


def last_lines(path: Path, count: int) -> list[str]:
    with Tail(path) as log:
        return list(islice(log.backwards(), count))[::-1]


def follow_lines(path: Path) -> Iterator[str]:
    return Tail(path, whole=True).follow()


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


def test_all_rotated_files_are_read_where_they_are_needed(log: Path) -> None:
    for number in (2, 3, 10):
        log.with_name(f"session.log.{number}").write_text(f"{number}a\n{number}b\n")
    log.with_name("session.log.old").write_text("no\n")
    rotated = ["10a", "10b", "3a", "3b", "2a", "2b"]
    assert last_lines(log, 99) == [*rotated, "one", "two", "three"]
    log.unlink()
    assert last_lines(log, 99) == rotated


def test_a_rotation_while_it_is_read_tells_no_line_twice(log: Path) -> None:
    log.with_name("session.log.1").write_text("zero\n")
    with Tail(log) as tail:
        lines = tail.backwards()
        assert next(lines) == "three"
        log.with_name("session.log.1").rename(log.with_name("session.log.2"))
        rotate(log, "four\n")
        assert list(lines) == ["two", "one", "zero"]


def test_no_log_has_no_lines_and_what_is_no_file_is_an_error(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none", 3) == []
    for place in (tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match=r"[Ii]s (a directory|no regular file)"):
            last_lines(place, 3)


def test_from_a_large_log_only_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "session.log"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole: reading it would take for ever
        file.seek(0, 2)
        file.write(b"\none\ntwo\n")
    assert last_lines(path, 2) == ["one", "two"]


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


def test_from_the_last_lines_to_the_next_ones_none_is_lost_or_told_twice(log: Path) -> None:
    append(log, "fo")
    with Tail(log, whole=True) as tail:
        append(log, "ur\nfive\n")
        assert list(tail.backwards()) == ["three", "two", "one"]
        rotate(log, "six\n")
        following = tail.follow()
        assert [next(following) for _ in range(3)] == ["four", "five", "six"]
        following.close()  # type: ignore[attr-defined]


def test_a_log_that_does_not_exist_yet_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, waits = tmp_path / "later" / "session.log", []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            path.parent.mkdir()
            path.write_text("one\n")

    monkeypatch.setattr(tail.time, "sleep", wait)
    with Tail(path, whole=True) as log:
        assert list(log.backwards()) == []
        following = log.follow()
        assert next(following) == "one"
        following.close()  # type: ignore[attr-defined]
    assert len(waits) == 3


def test_what_was_rotated_before_the_first_look_is_told_as_well(tmp_path: Path) -> None:
    path = tmp_path / "session.log"
    path.with_name("session.log.1").write_text("before\n")
    with Tail(path, whole=True) as log:
        path.with_name("session.log.1").rename(path.with_name("session.log.2"))
        path.with_name("session.log.1").write_text("one\n")
        path.write_text("two\n")
        following = log.follow()
        assert [next(following), next(following)] == ["one", "two"]
        following.close()  # type: ignore[attr-defined]
    path.unlink()
    path.with_name("session.log.2").unlink()
    path.with_name("session.log.1").unlink()
    with Tail(path, whole=True) as log:
        path.with_name("session.log.1").write_text("one\n")
        path.write_text("two\n")
        following = log.follow()
        assert [next(following), next(following)] == ["one", "two"]
        following.close()  # type: ignore[attr-defined]


def test_files_that_came_and_were_rotated_meanwhile_are_not_passed_over(
    log: Path, follower: Iterator[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rotate_twice() -> None:
        append(log, "four\n")
        rotate(log, "five\nsix\n")
        log.with_name("session.log.1").rename(log.with_name("session.log.2"))
        rotate(log, "seven\n")

    assert step(follower, log, monkeypatch, rotate_twice) == "four"
    assert [next(follower) for _ in range(3)] == ["five", "six", "seven"]


def test_a_rotation_at_any_moment_loses_no_line_and_tells_none_twice(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the follower looks for the next file, it is rotated just before or just after."""
    told, original = ["one", "two", "three"], tail._open

    def rotate_all() -> None:
        for number in range(9, 0, -1):
            older = log.with_name(f"session.log.{number}")
            if older.exists():
                older.rename(log.with_name(f"session.log.{number + 1}"))
        told.append(str(len(told)))
        rotate(log, f"{told[-1]}\n")

    def rotate_and_open(path: Path) -> object:
        turn = len(told) if path == log and len(told) < 40 else None
        if turn is not None and turn % 2:
            rotate_all()
        file = original(path)
        if turn is not None and not turn % 2:
            rotate_all()
        return file

    with Tail(log) as reader:
        monkeypatch.setattr(tail, "_open", rotate_and_open)
        reader._end = 0
        following = reader.follow()
        rotate_all()
        read = []
        while len(read) < 40:
            read.append(next(following))
        following.close()  # type: ignore[attr-defined]
    assert read == told


def test_a_log_that_is_emptied_is_followed_from_its_beginning(
    log: Path, follower: Iterator[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    acts = [lambda: None, lambda: log.write_text("a\n")]
    assert step(follower, log, monkeypatch, *acts) == "a"


def test_a_torn_last_line_of_a_rotated_log_is_told(
    log: Path, follower: Iterator[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def tear_and_rotate() -> None:
        append(log, "to")
        rotate(log, "four\n")

    assert step(follower, log, monkeypatch, tear_and_rotate) == "to"
    assert next(follower) == "four"


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
