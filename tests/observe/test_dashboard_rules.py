"""Small pure rules of the dashboard: the second press, what a terminal can show, numbers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kline_ops.observe.dashboard.confirm import Answer, SecondPress, prompts
from kline_ops.observe.dashboard.look import ASCII, UNICODE, look_of
from kline_ops.observe.dashboard.numbers import clock, decimals_of, opened, plain
from kline_ops.observe.dashboard.text import clean
from kline_ops.plain import duration

ASK, CONFIRMED = Answer.ASK, Answer.CONFIRMED


@pytest.mark.parametrize(
    ("presses", "answers"),
    [
        ([("q", 10.0)], [ASK]),
        ([("q", 10.0), ("q", 12.9)], [ASK, CONFIRMED]),
        ([("q", 10.0), ("q", 13.0)], [ASK, ASK]),
        ([("q", 10.0), ("F10", 11.0)], [ASK, CONFIRMED]),
        ([("Ctrl+C", 10.0), ("Ctrl+C", 14.0), ("q", 16.9)], [ASK, ASK, CONFIRMED]),
        ([("q", 10.0), ("q", 11.0), ("q", 12.0)], [ASK, CONFIRMED, ASK]),
    ],
)
def test_a_second_press_within_three_seconds_confirms(
    presses: list[tuple[str, float]], answers: list[Answer]
) -> None:
    rule = SecondPress(needed=True)
    assert [rule.press(key, now) for key, now in presses] == answers


def test_what_is_asked_is_forgotten_after_three_seconds() -> None:
    rule = SecondPress(needed=True)
    assert rule.asking(0.0) is None
    rule.press("F10", 5.0)
    assert (rule.asking(7.9), rule.asking(8.0)) == ("F10", None)


def test_where_nothing_is_at_stake_one_press_is_enough() -> None:
    assert SecondPress(needed=False).press("q", 1.0) is CONFIRMED


def test_the_wordings_get_shorter() -> None:
    long, middle, short = prompts("q", "Ctrl+B D")
    assert long == ("press q again within 3 s to end the recording; Ctrl+B D leaves it running")
    assert len(long) > len(middle) > len(short)
    assert len(prompts("Ctrl+C", None)[-1]) <= 38


UTF8 = {"TERM": "tmux-256color", "LANG": "de_DE.UTF-8"}


@pytest.mark.parametrize(
    ("environ", "unicode", "colour"),
    [
        (UTF8, True, True),
        (UTF8 | {"NO_COLOR": "1"}, True, False),
        (UTF8 | {"NO_COLOR": ""}, True, True),
        (UTF8 | {"LC_ALL": "C"}, False, True),
        ({"TERM": "xterm", "LANG": "C"}, False, True),
        ({"TERM": "xterm"}, False, True),
        # Python coerces the C locale and says so in its environment (PEP 538).
        ({"TERM": "xterm", "LANG": "C", "LC_CTYPE": "C.UTF-8"}, False, True),
        ({"TERM": "xterm", "LANG": "C", "LC_CTYPE": "de_DE.utf8"}, True, True),
        ({"TERM": "xterm", "LANG": "C.UTF-8"}, True, True),
        ({"TERM": "xterm", "LANG": "de_DE.ISO-8859-1"}, False, True),
    ],
)
def test_what_a_terminal_can_show(environ: dict[str, str], unicode: bool, colour: bool) -> None:
    look = look_of(environ)
    assert look is not None
    assert (look.glyphs is UNICODE, look.colour) == (unicode, colour)


@pytest.mark.parametrize(("term", "colour"), [("vt100", False), ("no-such-terminal", True)])
def test_terminals_without_colours_are_known_by_terminfo(term: str, colour: bool) -> None:
    """In a process of its own: terminfo is read once in a process."""
    script = "import os; from kline_ops.observe.dashboard.look import look_of as look; "
    asked = subprocess.run(
        [sys.executable, "-c", f"{script}print(look(os.environ).colour)"],
        env=os.environ | UTF8 | {"TERM": term}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert asked.stdout == f"{colour}\n"


@pytest.mark.parametrize("term", [None, "", "dumb", "unknown"])
def test_where_the_cursor_can_not_be_moved_there_is_no_dashboard(term: str | None) -> None:
    assert look_of({} if term is None else {"TERM": term, "LANG": "C.UTF-8"}) is None


def test_numbers_keep_their_digits() -> None:
    assert decimals_of(["100500.00000000", "1.5"]) == 2
    assert decimals_of(["0.00000638", "1"]) == 8
    assert decimals_of([]) == 2
    assert plain("100500.12900000", 3) == "100500.129"
    assert plain("7", 2) == "7.00"
    assert plain("0.00000638", 8) == "0.00000638"


def test_times_and_durations() -> None:
    assert clock(1_800_000_000_000) == "08:00:00"
    assert opened(1_800_000_000_000, 1_000) == "08:00:00"
    assert opened(1_800_000_000_000, 3_600_000) == "01-15 08:00"
    assert opened(1_800_000_000_000, 86_400_000) == "2027-01-15"
    told = [duration(s) for s in (-1, 0.9, 59, 192, 14_700, 1_047_600)]
    assert told == ["0 s", "0 s", "59 s", "3 min 12 s", "4 h 05 min", "12 d 3 h"]


def test_words_from_elsewhere_move_no_cursor() -> None:
    assert "\x1b" not in clean("a\x1b[2Jb\nc\td\u202ee", UNICODE)
    assert clean("größer …", ASCII) == "gr??er ?"
