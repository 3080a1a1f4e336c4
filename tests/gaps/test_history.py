"""An event log is read whatever a crash, a power cut or another version left in it."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from kline_ops import events
from kline_ops.errors import InputError
from kline_ops.gaps.explain import cause_of
from kline_ops.gaps.history import Batch, Timeline, history_of, read_history
from tests.gaps.logs import (
    MINUTE,
    WELL,
    confirmed,
    ended,
    filled,
    gap,
    hole,
    line,
    live,
    ms,
    started,
    told,
)
from tests.test_events import KINDS, example


def test_an_empty_log_has_no_history() -> None:
    history = history_of([])
    assert (history.began_ms, history.ended_ms, history.skipped) == (None, None, 0)
    assert history.spells.touching(0, 1 << 60) == []
    assert history.live(ms(0)) == ()


def test_holes_are_kept_by_what_became_of_them() -> None:
    history = told(
        hole(130, 1, 2), filled(131, 1, 1), filled(131, 2, 2, source="stream"), confirmed(900, 2, 2)
    )  # fmt: skip
    assert history.found.spans == [Batch(ms(130), ms(60), ms(120), 2)]
    assert history.filled.spans == [Batch(ms(131), ms(60), ms(60), 1)]
    assert history.confirmed.spans == [Batch(ms(900), ms(120), ms(120), 1)]
    assert (history.began_ms, history.ended_ms) == (ms(-90), ms(900))


def test_which_connections_brought_data() -> None:
    planned = line(20, "replaced", old=1, new=2, why="planned", overlap=2.0)
    history = told(live(10, 2), planned, ended(30, 2), live(31, 3))
    at = [history.live(ms(second)) for second in (-100, 0, 10, 25, 30, 40)]
    assert at == [(), (1,), (1, 2), (2,), (), (3,)]


@pytest.mark.parametrize(
    "broken",
    [
        b"\n",
        b'{"ts":"2026-01-27T14:00:00Z","kind":"li',
        b"\x00\x00\x00\n",
        b"[1,2]\n",
        b'"live"\n',
        b'{"kind":"live","connection":9}\n',
        b'{"ts":"yesterday","kind":"live","connection":9}\n',
        b'{"ts":17,"kind":"live","connection":9}\n',
        b'{"ts":"9999999-01-01T00:00:00Z","kind":"live"}\n',
        b"\xff\xfe{}\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_broken_line_is_passed_over_and_counted(broken: bytes) -> None:
    history = history_of([*WELL, broken, live(10, 2)])
    assert history.skipped == (broken != b"\n")
    assert history.live(ms(20)) == (1, 2)


def test_what_a_torn_line_was_glued_to_is_read() -> None:
    torn = live(5, 7)[:30]
    history = history_of([*WELL, torn + started(10)])
    assert history.skipped == 1
    assert history.live(ms(20)) == ()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_is_taken_whole_and_without_any_of_its_fields(kind: type[events.Event]) -> None:
    event = example(kind)
    whole = {"ts": "2026-01-27T14:00:30Z", **json.loads(events.msgspec.json.encode(event))}
    odd = {name: {"an": ["odd", 1e300]} for name in whole}
    for fields in (whole, {}, odd):
        bare = {"ts": whole["ts"], "kind": event.kind}
        history = told(json.dumps({**fields, **bare}).encode())
        assert history.skipped == 0
        cause_of(history, gap(0, 3), MINUTE)


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(WELL))
    assert read_history(path).live(ms(0)) == (1,)
    for bad in (tmp_path, tmp_path / "none", "nul\0"):
        with pytest.raises(InputError, match="can not be read"):
            read_history(bad)


def test_a_timeline_finds_what_a_look_at_each_finds() -> None:
    draw = random.Random(1)
    spans = []
    for _ in range(300):
        first = draw.randrange(1000)
        spans.append(Batch(0, first, first + draw.choice([0, 1, 5, 200]), 1))
    timeline = Timeline(spans)
    for _ in range(300):
        first = draw.randrange(-10, 1010)
        last = first + draw.randrange(50)
        expected = [s for s in timeline.spans if s.first_ms <= last and s.last_ms >= first]
        assert timeline.touching(first, last) == expected


def test_years_are_read_and_asked_in_seconds() -> None:
    lines = [*WELL]
    for number in range(25_000):
        at = 3600 * number
        lines += [
            ended(at + 30, number + 1),
            live(at + 32, number + 2),
            hole(at + 125, 60 * number, 60 * number),
        ]
        lines.append(filled(at + 126, 60 * number, 60 * number))
    began = time.process_time()
    history = history_of(lines)
    causes = [cause_of(history, gap(60 * number), MINUTE) for number in range(0, 25_000, 10)]
    assert {cause.kind for cause in causes} == {"unclosed"}
    assert time.process_time() - began < 10
