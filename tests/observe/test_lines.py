"""Lines of the logs: what they say, which are shown, and how."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops import events
from kline_ops.clock import SystemClock
from kline_ops.market.timestamp import to_ms
from kline_ops.observe import lines
from kline_ops.observe.lines import Coming, Line, Wanted, newest
from kline_ops.observe.logs import Logging, event_line, log_event, text_handler
from tests.support.machine import until

AT = "2026-01-27T14:00:00.123Z"
MS = to_ms(AT)


def record(message: str, level: str = "info", ts: str = AT, **more: str) -> str:
    return json.dumps({"ts": ts, "level": level, "message": message, **more})


def test_a_line_of_the_log_is_read_as_people_read_it() -> None:
    read = lines.read_record(record("live", kind="live"))
    assert read == Line(MS, logging.INFO, ("2026-01-27T14:00:00Z INFO     live",))
    read = lines.read_record(record("failed", "error", traceback="a\n  b\x1b[1m\n"))
    assert read.level == logging.ERROR
    assert read.shown == ("2026-01-27T14:00:00Z ERROR    failed", "a", "  b\\u001b[1m")


def test_what_is_in_a_message_forges_no_line_and_moves_no_cursor() -> None:
    (shown,) = lines.read_record(record("closed: \x1b[2J\r\n2026-01-27T14:00:00Z INFO   x")).shown
    assert shown.endswith(r"INFO     closed: \u001b[2J\r\n2026-01-27T14:00:00Z INFO   x")


@pytest.mark.parametrize("word", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_a_line_of_an_earlier_version_has_a_time_and_a_level(word: str) -> None:
    text = f"2026-01-27T14:00:00Z {word:<8} connection 1: live"
    read = lines.read_record(text)
    assert (read.ms, read.shown) == (MS - 123, (text,))
    assert read.level == min(getattr(logging, word), logging.ERROR)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "Traceback (most recent call last):",
        '{"ts": "2026-01-27T14:00:00.123Z", "level": "inf',
        '{"ts": 1}',
        "null",
        "[" * 5000,
        "2026-01-27T14:00:00Z LOUD     x",
        "\ufffd\ufffd",
        "{}",
    ],
)
def test_what_says_neither_time_nor_level_is_shown_as_it_is(raw: str) -> None:
    assert lines.read_record(raw) == Line(None, None, (raw,))
    assert lines.read_event(raw).shown == (raw,)
    assert lines.read_event(raw).level in {None, logging.INFO}


def test_a_damaged_time_or_an_unknown_level_is_not_known() -> None:
    assert lines.read_record(record("x", ts="yesterday")).ms is None
    assert lines.read_record("2026-99-27T14:00:00Z INFO     x").ms is None
    assert lines.read_record(record("x", "loud")).level is None


@given(st.text())
def test_any_line_is_taken(raw: str) -> None:
    for read in (lines.read_record, lines.read_event, lines.read_output):
        shown = lines.harmless(read)(raw).shown
        assert all("\x1b" not in text and "\n" not in text for text in shown)


def test_the_level_of_an_event_is_that_of_its_text() -> None:
    def level(event: events.Event) -> int | None:
        return lines.read_event(event_line(event, SystemClock()).decode()).level

    assert level(events.SessionStopped(reason="q")) == logging.INFO
    assert level(events.SessionStopped(reason="q", unwritten=1)) == logging.ERROR
    assert level(events.Connected(connection=1, endpoint="x")) == logging.DEBUG
    assert lines.read_event(f'{{"ts":"{AT}","kind":"of_tomorrow"}}').level == logging.INFO
    assert lines.read_event(f'{{"ts":"{AT}","kind":"live","connection":"x"}}').ms == MS


def test_a_command_says_nothing_of_time_and_level_whatever_it_prints() -> None:
    assert lines.read_output(record("x")) == Line(None, None, (record("x"),))
    assert lines.read_output("\x1b[32mok\x1b[0m\x07\r").shown == (r"ok\u0007",)


def test_all_that_the_log_writes_is_read_again(tmp_path: Path) -> None:
    path, console = tmp_path / "session.log", io.StringIO()
    log = Logging(path, "dev", text_handler(console))
    try:
        log_event(events.Live(connection=3, endpoint="ws://h", seconds=0.5))
        logging.getLogger("urllib3").warning("odd: %s", "a\x1b[1m\nb")
        try:
            raise OSError(28, "full")
        except OSError:
            logging.getLogger("kline_ops.x").exception("a listener failed")
        until(lambda: "full" in console.getvalue() and "full" in path.read_text())
    finally:
        log.close()
    read = [lines.read_record(line) for line in path.read_text().splitlines()]
    assert [line.level for line in read] == [20, 30, 40]
    assert [text for line in read for text in line.shown] == console.getvalue().splitlines()


# -- which are shown ------------------------------------------------------------------------------


def line(text: str, ms: int | None = None, level: int | None = None) -> Line:
    return Line(ms, level, (text,))


LINES = [
    line("torn"),
    line("a", 1000, logging.INFO),
    line("b", 2000, logging.ERROR),
    line("b's traceback"),
    line("c", 3000, logging.DEBUG),
    line("c's"),
    line("d", 4000, logging.WARNING),
]


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (Wanted(), ["torn", "a", "b", "b's traceback", "c", "c's", "d"]),
        (Wanted(level=logging.WARNING), ["torn", "b", "b's traceback", "d"]),
        (Wanted(since_ms=2000), ["b", "b's traceback", "c", "c's", "d"]),
        (Wanted(since_ms=2001, level=logging.INFO), ["d"]),
        (Wanted(since_ms=9999), []),
    ],
)
def test_the_last_lines_of_those_that_are_asked_for(wanted: Wanted, shown: list[str]) -> None:
    for count in (0, 1, 2, 3, 99):
        expected = shown[-count:] if count else []
        assert newest([reversed(LINES)], wanted, count) == expected
    assert newest([reversed(LINES)], wanted, None) == shown


def test_a_line_with_a_traceback_counts_as_its_lines() -> None:
    told = [line("a", 1, 20), Line(2, 40, ("b", "below", "last"))]
    assert newest([reversed(told)], Wanted(), 2) == ["below", "last"]


def test_no_more_is_read_than_is_needed() -> None:
    def unread():
        yield line("d", 4000, logging.WARNING)
        yield line("c", 3000, logging.INFO)
        pytest.fail("read on")

    assert newest([unread()], Wanted(), 2) == ["c", "d"]


def test_no_file_is_read_after_one_whose_lines_are_all_older() -> None:
    def unread():
        yield [line("d", 4000), line("c", 3000)]
        yield []
        yield [line("b's"), line("b", 2000), line("no time", None, logging.INFO)]
        pytest.fail("read on")

    assert newest(unread(), Wanted(since_ms=2500), None) == ["no time", "c", "d"]


def test_a_clock_that_was_set_back_hides_no_line() -> None:
    files = [
        [line("e", 3100), line("d's"), line("d", 1500), line("c", 3000)],
        [line("b", 1400), line("a", 2900), line("x", 1300), line("x's")],
    ]
    assert newest(files, Wanted(since_ms=2000), None) == ["a", "c", "e"]
    assert newest(files, Wanted(since_ms=2000), 2) == ["c", "e"]


def test_what_comes_is_shown_with_the_line_it_belongs_to() -> None:
    coming = Coming(Wanted(level=logging.WARNING))
    shown = [text for each in LINES for text in coming.take(each)]
    assert shown == ["torn", "b", "b's traceback", "d"]


def minute(text: str, ms: int) -> Line:
    return Line(ms, logging.INFO, (text,), is_routine=True)


MINUTES = [
    minute("1", 1000),
    minute("2", 2000),
    line("a", 2500, logging.INFO),
    minute("3", 3000),
    line("torn"),
    minute("4", 4000),
    line("debug", 4500, logging.DEBUG),
    minute("5", 5000),
]


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (Wanted(), ["2", "a", "3", "torn", "4", "debug", "5"]),
        (Wanted(level=logging.INFO), ["2", "a", "3", "torn", "5"]),
        (Wanted(level=logging.DEBUG), ["1", "2", "a", "3", "torn", "4", "debug", "5"]),
        (Wanted(since_ms=2600), ["3", "torn", "4", "debug", "5"]),
    ],
)
def test_the_newest_record_of_a_minute_stands_for_those_before_it(
    wanted: Wanted, shown: list[str]
) -> None:
    for count in (1, 2, 3, 99):
        assert newest([reversed(MINUTES)], wanted, count) == shown[-count:]
