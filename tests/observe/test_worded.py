"""What is told of an event beside its own fields."""

from __future__ import annotations

import json

import pytest

from kline_ops.events import Disconnected
from kline_ops.observe.worded import worded


def test_an_event_has_the_words_of_the_log() -> None:
    line = b'{"ts":"x","kind":"disconnected","connection":3,"endpoint":"wss://x","code":1006,"reason":"<b>","seconds":2.0}'
    told = json.loads(worded(line) or b"")
    assert told.pop("told") == {"level": "warning", "text": "connection 3: ended, 1006 <b>"}
    assert told == json.loads(line)
    event = Disconnected(connection=3, endpoint="wss://x", code=1006, reason="<b>", seconds=2.0)
    assert worded(line, event) == worded(line)


def test_a_level_of_its_own_stays() -> None:
    line = (
        b'{"ts":"x","kind":"alerted","level":"CRITICAL","title":"Stalled",'
        b'"topic":"stream","step":"opened"}'
    )
    told = json.loads(worded(line) or b"")
    assert (told["level"], told["told"]["level"]) == ("CRITICAL", "debug")


def test_a_kind_of_another_version_is_told_by_its_name() -> None:
    told = json.loads(worded(b'{"ts":"x","kind":"flown","height":3}') or b"")
    assert told["told"] == {"level": "info", "text": "flown"}


@pytest.mark.parametrize(
    "line", [b"", b"{", b'{"kind":"live"', b'{"ts":"x"}', b"[]", b"\xff", b"7"]
)
def test_a_damaged_line_is_none(line: bytes) -> None:
    assert worded(line) is None
