"""Whose missing candles are: what REST said, known outages, and what was looked for before."""

from pathlib import Path

import pytest

from kline_ops.errors import InputError
from kline_ops.gaps import looks, report
from kline_ops.gaps.history import history_of
from kline_ops.gaps.looks import Judged, Look, judge
from kline_ops.gaps.model import Whose
from kline_ops.gaps.outages import read_outages
from kline_ops.gaps.whose import Answer, Known, explained
from kline_ops.market import interval as intervals
from kline_ops.market.span import Span
from kline_ops.market.timestamp import to_ms

HOUR = 3_600_000
START = to_ms("2026-01-27T00:00:00Z")
H1 = intervals.parse("1h")


def span(first: int, end: int) -> Span:
    return Span(START + first * HOUR, START + end * HOUR)


def file(folder: Path, *hours: int) -> Path:
    path = folder / "candles_BTCUSDT_1h.csv"
    rows = "".join(f"{START + hour * HOUR},1,2,0.5,1,9\n" for hour in hours)
    path.write_text("open_time,open,high,low,close,volume\n" + rows)
    return path


def test_a_first_look_is_provisional_and_a_second_one_confirms() -> None:
    now = START + 10 * HOUR
    gone = [span(4, 6)]
    assert judge(gone, [], now) == Judged([], gone)
    soon = [Look(gone[0], now - 29 * 60_000)]
    assert judge(gone, soon, now).confirmed == []
    later = [Look(gone[0], now - 30 * 60_000)]
    assert judge(gone, later, now) == Judged(gone, [])
    half = [Look(span(4, 5), now - HOUR)]
    assert judge(gone, half, now) == Judged([span(4, 5)], [span(5, 6)])


def test_what_is_older_than_a_day_is_confirmed_at_once() -> None:
    now = START + 30 * HOUR
    assert judge([span(2, 10)], [], now) == Judged([span(2, 6)], [span(6, 10)])


def test_looks_are_kept(tmp_path: Path) -> None:
    path = looks.looks_path(str(tmp_path / "x.csv"))
    assert looks.read_looks(path) == []
    looks.note_looks(path, [span(1, 3), span(5, 6)], H1, START)
    with path.open("a") as torn:
        torn.write('{"first": "2026-')
    assert looks.read_looks(path) == [Look(span(1, 3), START), Look(span(5, 6), START)]
    assert looks.fresh([span(0, 6)], looks.read_looks(path)) == [span(0, 1), span(3, 5)]


def test_what_rest_has_is_ours_whatever_else_is_said(tmp_path: Path) -> None:
    outages = tmp_path / "outages.txt"
    outages.write_text("# known\n2026-01-27T02:00Z, 2026-01-27T06:00Z, upgrade\n")
    events = [
        b'{"ts":"2026-01-27T08:00:00Z","kind":"session_started","name":"x","pid":1}',
        b'{"ts":"2026-01-27T12:00:00Z","kind":"hole_confirmed","candles":1,"first":"%s","last":"%s"}'
        % ((b"2026-01-27T06:00:00Z",) * 2),
    ]
    found = report(file(tmp_path, 0, 1, 9, 10))
    answer = Answer([span(2, 4)], Judged([span(4, 7)], [span(7, 8)]))
    (gap,) = explained(found, Known(history_of(events), read_outages(outages), answer)).gaps
    assert gap.whose == {
        Whose.OURS: 2,
        Whose.EXCHANGE: 3,
        Whose.PROVISIONAL: 1,
        Whose.UNKNOWN: 1,
    }
    assert gap.note.startswith("upgrade; the recorder asked REST twice")
    (unasked,) = explained(found, Known()).gaps
    assert unasked.whose == {Whose.UNKNOWN: 7}


@pytest.mark.parametrize(
    "line",
    [
        "2018-02-08T00:28Z, 2018-02-09T09:28Z, system upgrade",
        "2018-02-08 2018-02-09 a day",
        "2018-02-08 00:28 2018-02-09 09:28",
        "1518048000000;1518134400000",
    ],
)
def test_outages_as_people_write_them(tmp_path: Path, line: str) -> None:
    path = tmp_path / "outages"
    path.write_text(f"from,until,what\n\n{line}  # said so\n")
    (outage,) = read_outages(path)
    assert outage.from_ms < outage.until_ms


def test_outages_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "outages"
    for text in ("from,until\n2018-02-09, 2018-02-08\n", "x\ny\n"):
        path.write_text(text)
        with pytest.raises(InputError, match="line 2 is no outage"):
            read_outages(path)
    path.write_text("from,until\n")
    with pytest.raises(InputError, match="no outage in it"):
        read_outages(path)
    with pytest.raises(InputError, match="No such file"):
        read_outages(tmp_path / "gone")
