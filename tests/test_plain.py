"""A terminal shows a line, and obeys nothing in it."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.plain import encodable, visible, without_colours


@given(st.text())
def test_nothing_that_moves_a_cursor_is_left(text: str) -> None:
    shown = visible(text)
    assert not {unicodedata.category(c) for c in shown if c != "\t"} & {"Cc", "Cs", "Zl", "Zp"}
    assert len(shown.splitlines()) <= 1
    shown.encode()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escaped_json_is_the_same_json(text: str) -> None:
    assert json.loads(visible(json.dumps(text, ensure_ascii=False))) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[38;2;1;2;3mx\x1b[K", "x"),
        ("\x1b]0;title\x07x\x1b]8;;http://x\x1b\\link", "xlink"),
        ("\x1b(Bx\x1b7y\x1b=", "xy"),
        ("10 %\r50 %\r100 %\r", "100 %"),
        ("plain [31m text", "plain [31m text"),
        ("torn \x1b[3", "torn \x1b[3"),
    ],
)
def test_a_line_without_its_colours(text: str, shown: str) -> None:
    assert without_colours(text) == shown


def test_what_a_file_name_may_hold_can_be_encoded() -> None:
    assert encodable("a\udcffé") == "a?é"
