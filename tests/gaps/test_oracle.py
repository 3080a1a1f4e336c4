"""Counts and gaps of damaged files against a slow search that keeps everything in memory."""

import re
import tempfile
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from kline_ops.gaps import halves, read, report
from kline_ops.gaps.slots import SlotSet, holes
from kline_ops.gaps.times import time_ms
from kline_ops.market import interval as intervals
from kline_ops.market.timestamp import to_ms, to_text

HEADER = "timestamp,open,high,low,close,volume"
START = to_ms("2023-12-30T22:00:00Z")
NUMBER = re.compile(r"\d+(\.\d+)?")


def moment(text: str) -> int:
    if text.isdigit():
        ms = int(text) * 1000 / {10: 1, 13: 10**3, 16: 10**6, 19: 10**9}.get(len(text), 1)
        if len(text) not in {10, 13, 16, 19}:
            raise ValueError
        # Torn and glued digits may make a time that is finer than a millisecond.
        return int(ms) if ms % 1 == 0 or int(ms) % 1000 else int(ms) + 1
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def oracle(lines: list[str], interval: intervals.Interval) -> dict[str, object]:
    """Straight from the definitions."""
    times, bad, impossible = [], 0, 0
    values: dict[int, list[list[float]]] = {}
    for line in lines:
        fields = line.split(",")
        try:
            ms = moment(fields[0])
            ok = len(fields) == 6 and all(NUMBER.fullmatch(field) for field in fields[1:])
        except ValueError:
            ok = False
        if ok:
            times.append(ms)
            numbers = [float(field) for field in fields[1:]]
            impossible += numbers[1] < numbers[2]
            if interval.is_open(ms):
                values.setdefault(ms, []).append(numbers)
        elif line:
            bad += 1
    on_grid = [ms for ms in times if interval.is_open(ms)]
    owed, at = [], min(on_grid)
    while at <= max(on_grid):
        owed.append(at)
        at = interval.after(at)
    gone = [ms for ms in owed if ms not in set(on_grid)]
    gaps: list[list[int]] = []
    for ms in gone:
        if gaps and interval.after(gaps[-1][-1]) == ms:
            gaps[-1].append(ms)
        else:
            gaps.append([ms])
    return {
        "owed": len(owed),
        "missing": len(gone),
        "duplicates": len(on_grid) - len(set(on_grid)),
        "off_grid": len(times) - len(on_grid),
        "out_of_order": sum(b < a for a, b in pairwise(times)),
        "bad_rows": bad,
        "impossible": impossible,
        "zero_volume": sum(any(row[4] == 0 for row in rows) for rows in values.values()),
        "conflicts": sum(any(row != rows[0] for row in rows) for rows in values.values()),
        "gaps": [(interval.shift(gap[0], -1), gap[0], gap[-1], len(gap)) for gap in gaps],
    }


_DAMAGES = ["remove", "double", "move", "shuffle", "tear", "glue", "off", "amend"]


def damaged(draw: st.DrawFn, lines: list[str], step: int) -> list[str]:
    """A few times over: rows removed, doubled, moved, torn, glued together, put off the grid."""
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(lines) - 1))
        length = draw(st.integers(1, 30))
        part = lines[at : at + length]
        match draw(st.sampled_from(_DAMAGES)):
            case "remove":
                lines[at : at + length] = []
            case "double":
                lines[at:at] = part
            case "move":
                lines[at : at + length] = []
                to = draw(st.integers(0, len(lines)))
                lines[to:to] = part
            case "shuffle":
                lines[at : at + length] = draw(st.permutations(part))
            case "tear":
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case "glue":
                cut = draw(st.integers(0, len(lines[at])))
                lines[at : at + 2] = [lines[at][:cut] + "".join(lines[at + 1 : at + 2])]
            case "amend":
                fields = lines[at].split(",")
                column = draw(st.integers(0, len(fields) - 1))
                number = draw(st.sampled_from(["0.0", "0", "1.25", "300.25", "99999.5"]))
                lines[at] = ",".join(
                    [field if i != column else number for i, field in enumerate(fields)]
                )
            case "off":
                ms = START + draw(st.integers(1, 40)) * step + draw(st.integers(1, step - 1))
                lines[at:at] = [f"{to_text(ms)},1.5,2.5,0.5,1.5,10.5"]
        lines = lines or ["x"]
    return lines


@st.composite
def files(draw: st.DrawFn) -> tuple[list[str], intervals.Interval]:
    interval = intervals.parse(
        draw(st.sampled_from(["1s", "1m", "1h", "4h", "1d", "3d", "1w", "1M"]))
    )
    spelled = draw(st.sampled_from([to_text, str, lambda ms: f"{ms}000"]))
    at = interval.ceil(START)
    lines = []
    for n in range(draw(st.integers(2, 150))):
        lines.append(f"{spelled(at)},{100 + n}.5,200.25,50.125,{100 + n}.75,{n * n}.0")
        at = interval.after(at)
    lines = damaged(draw, lines, interval.typical_ms)
    return [f"{to_text(interval.ceil(START))},1.5,2.5,0.5,1.5,10.5", *lines], interval


@settings(max_examples=400, deadline=None)
@given(files(), st.booleans(), st.sampled_from([1, 1, 1, 2, 3]))
def test_counts_and_gaps(
    file: tuple[list[str], intervals.Interval], last_end: bool, jobs: int
) -> None:
    lines, interval = file
    expected = oracle(lines, interval)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(halves, "_WORTH", 0),
        mock.patch.object(read, "BLOCK", 4096),
    ):
        path = Path(folder) / f"candles_X_{interval.file_token}.csv"
        path.write_text("\n".join([HEADER, *lines]) + ("\n" if last_end else ""))
        found = report(path, jobs=jobs)
        lean = report(path, values=False)
    # Where the values are not looked at, a point without digits may pass for a number.
    if not any(re.search(r"[,.][.,]|\.$|,$", line) for line in lines):
        assert replace(lean, impossible=found.impossible, zero_volume=found.zero_volume) == replace(
            found, quiet=(), lines=lean.lines
        )
    told = {name: getattr(found, name) for name in expected if name != "gaps"}
    told["gaps"] = [
        (gap.before_ms, gap.first_missing_ms, gap.last_missing_ms, gap.missing)
        for gap in found.gaps
    ]
    assert told == expected
    assert found.on_disk == found.owed - found.missing


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 3000)), max_size=6), st.data())
def test_slot_set(runs: list[tuple[int, int]], data: st.DataObject) -> None:
    slots, plain = SlotSet(), set[int]()
    for start, length in runs:
        slots.add_run(start, start + length)
        plain.update(range(start, start + length))
    for number in data.draw(st.lists(st.integers(0, 9000), max_size=20)):
        assert slots.add(number) == (number not in plain)
        plain.add(number)
    first, end = sorted(data.draw(st.tuples(st.integers(-9, 9000), st.integers(-9, 9000))))
    found = list(holes(slots, first, end))
    assert [n for a, b in found for n in range(a, b)] == [
        n for n in range(first, end) if n not in plain
    ]
    assert all(b < c for (_, b), (c, _) in pairwise(found))


@given(st.integers(10**12, 10**13 - 1))
def test_times_in_every_spelling(ms: int) -> None:
    for text in (
        to_text(ms),
        to_text(ms).replace("Z", "+00:00"),
        f"{ms}",
        f"{ms}000",
        f"{ms}000000",
    ):
        assert time_ms(text.encode()) == ms


def test_no_times() -> None:
    for text in (b"", b"Z", b"12345", b"15147648000000", b"9" * 5000, b"1960-01-01", b"2300-01-01"):
        assert time_ms(text) is None
    assert time_ms(b"2026-01-27") == to_ms("2026-01-27T00:00:00Z")
    assert time_ms(b"2026-01-27 14:00:00") == to_ms("2026-01-27T14:00:00Z")
