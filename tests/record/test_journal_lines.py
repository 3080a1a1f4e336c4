"""Each line is verified when a file is opened; what is no row, doubled or disordered is put right."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kline_ops.market.candle import Candle
from kline_ops.market.span import Span
from kline_ops.record.contents import HEADER_LINE
from kline_ops.record.disk import Disk
from kline_ops.record.journal import Journal
from tests.support.disks import Crash, CrashingDisk, FailingDisk, PowerDisk, ShortDisk
from tests.support.journals import HOUR, INTERVAL, START, candle, fails, file_of, journal

GARBAGE = b"#" * 40 + b"\n"
ROWS = [candle(hour).row() for hour in range(6)]
OTHER_2 = candle(2, "99").row()


def torn_of(path: Path) -> bytes:
    torn = path.with_name(path.name + ".torn")
    return torn.read_bytes() if torn.exists() else b""


#: What stands in the file, what is left of it, what is put aside, and how it is told.
BAD = {
    "a row replaced by garbage": (
        [*ROWS[:2], GARBAGE, *ROWS[3:]], (0, 1, 3, 4, 5), GARBAGE, "1 line that is no row",
    ),
    "garbage between rows": (
        [*ROWS[:2], GARBAGE, *ROWS[2:]], range(6), GARBAGE, "1 line that is no row",
    ),
    "a doubled row": (
        [*ROWS[:3], OTHER_2, *ROWS[3:]], range(6), OTHER_2, "1 doubled row",
    ),
    "a double far behind": (
        [*ROWS[:5], OTHER_2, ROWS[5]], range(6), OTHER_2, "1 doubled row",
    ),
    "a double and a hole": (
        [*ROWS[:3], OTHER_2, *ROWS[4:]], (0, 1, 2, 4, 5), OTHER_2, "1 doubled row",
    ),
    "two rows changed about": (
        [ROWS[0], ROWS[2], ROWS[1], *ROWS[3:]], range(6), b"", "1 row out of order",
    ),
    "the first row last": (
        [*ROWS[1:], ROWS[0]], range(6), b"", "1 row out of order",
    ),
    "a doubled row, and later ones disordered": (
        [*ROWS[:2], ROWS[1], ROWS[4], ROWS[3], ROWS[2], ROWS[5]], range(6), ROWS[1],
        "1 doubled row, 2 rows out of order",
    ),
    "newest first": (ROWS[::-1], range(6), b"", "5 rows out of order"),
    "a second header": (
        [*ROWS[:3], HEADER_LINE, *ROWS[3:]], range(6), HEADER_LINE, "1 line that is no row",
    ),
    "a blank line": ([*ROWS[:3], b"\n", *ROWS[3:]], range(6), b"\n", "1 line that is no row"),
    "NULs": (
        [*ROWS[:3], b"\0" * 99_999, *ROWS[3:]], (0, 1, 2, 4, 5),
        b"\0" * 99_999 + ROWS[3], "1 line that is no row",
    ),
    "a row glued onto half a row": (
        [*ROWS[:2], ROWS[2][:25], *ROWS[3:]], (0, 1, 4, 5),
        ROWS[2][:25] + ROWS[3], "1 line that is no row",
    ),
    "a time out of all bounds": (
        [ROWS[0], b"9" + ROWS[1][1:], *ROWS[2:]], (0, 2, 3, 4, 5),
        b"9" + ROWS[1][1:], "1 line that is no row",
    ),
    "a carriage return": (
        [*ROWS[:2], b"x\r" + ROWS[2], *ROWS[3:]], (0, 1, 3, 4, 5),
        b"x\r" + ROWS[2], "1 line that is no row",
    ),
    "all of it": (
        [ROWS[0], GARBAGE, ROWS[4], ROWS[1], b"\n", OTHER_2, ROWS[1], ROWS[2]], (0, 1, 4),
        GARBAGE + b"\n" + ROWS[1] + ROWS[2],
        "2 lines that are no rows, 2 doubled rows, 2 rows out of order",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_taken_out_and_its_slot_is_a_hole(path: Path, name: str) -> None:
    lines, hours, torn, told = BAD[name]
    path.write_bytes(HEADER_LINE + b"".join(lines))
    expected = file_of(*hours)
    if name == "all of it":  # the row that was first keeps its place, whatever it says
        expected = HEADER_LINE + ROWS[0] + ROWS[1] + OTHER_2 + ROWS[4]
        hours = (0, 1, 2, 4)
    with journal(path) as made:
        found = made.open()
        assert path.read_bytes() == expected
        assert found.rows == len(hours)
        assert found.bad_at is None
        assert found.holes == [
            Span(START + (a + 1) * HOUR, START + b * HOUR) for a, b in pairwise(hours) if b > a + 1
        ]
        assert made.repaired is not None
        assert set(told.split(", ")) == set(made.repaired[0].split(", "))
        assert torn_of(path) == torn
        assert made.repaired[1] == (path.with_name(path.name + ".torn") if torn else path)
        made.write([candle(hour) for hour in range(8)])
    if name != "all of it":
        assert path.read_bytes() == file_of(*range(8))
    with journal(path) as made:
        made.open()
        assert made.repaired is None


def test_a_torn_end_and_a_bad_line_are_told_as_one(path: Path) -> None:
    path.write_bytes(HEADER_LINE + ROWS[0] + GARBAGE + ROWS[1] + ROWS[2][:9])
    with journal(path) as made:
        assert made.open().rows == 2
        assert made.repaired is not None
        assert "9 torn bytes" in made.repaired[0]
        assert "1 line that is no row" in made.repaired[0]
    assert torn_of(path) == ROWS[2][:9] + b"\n" + GARBAGE


def test_rows_off_the_grid_are_rows(path: Path) -> None:
    """The exchange's own history has bars that open at 09:28:14.789."""
    off = Candle(START + 2 * HOUR + 1_234_567, "1", "1", "1", "1", "0").row()
    data = HEADER_LINE + ROWS[0] + ROWS[1] + off + ROWS[3]
    path.write_bytes(data)
    with journal(path) as made:
        found = made.open()
        # They stay, and fill no slot: the candle of theirs is owed all the same.
        slot = Span(START + 2 * HOUR, START + 3 * HOUR)
        assert (found.rows, found.holes, made.repaired) == (4, [slot], None)
    assert path.read_bytes() == data


def test_what_is_owed_after_a_row_off_the_grid_is_on_the_grid(path: Path) -> None:
    off = Candle(START + 2 * HOUR + 1_234_567, "1", "1", "1", "1", "0").row()
    path.write_bytes(HEADER_LINE + ROWS[0] + ROWS[1] + off)
    with journal(path) as made:
        assert made.open().last_ms == START + HOUR
        made.write([candle(3)])
        made.write([candle(2)])
    assert path.read_bytes() == HEADER_LINE + ROWS[0] + ROWS[1] + ROWS[2] + off + ROWS[3]


# -- long files: a block at a time ------------------------------------------------------------------

LONG = 30_000  # rows: some 1.6 MB, more than one block


def long_rows() -> list[bytes]:
    return [candle(hour).row() for hour in range(LONG)]


@pytest.mark.parametrize("at", [1, 700, 20_000, LONG - 2])
@pytest.mark.parametrize(
    "what", ["replaced", "inserted", "doubled", "swapped", "a digit for a comma", "hole and double"]
)
def test_a_bad_line_is_found_far_inside_a_long_file(path: Path, at: int, what: str) -> None:
    rows, expected = long_rows(), long_rows()
    match what:
        case "replaced":
            rows[at] = b"x" * (len(rows[at]) - 1) + b"\n"
            del expected[at]
        case "inserted":
            rows.insert(at, GARBAGE)
        case "doubled":
            rows.insert(at, rows[at])
        case "swapped":
            rows[at], rows[at - 1] = rows[at - 1], rows[at]
        case "a digit for a comma":
            # One line has a column too few, its neighbour one too many: the sum is right.
            rows[at] = rows[at].replace(b",0\n", b"00\n")
            rows[at - 1] = rows[at - 1].replace(b",0\n", b",0,0\n")
            del expected[at - 1 : at + 1]
        case "hole and double":
            rows[at] = rows[at - 1]
            del expected[at]
    path.write_bytes(HEADER_LINE + b"".join(rows))
    with journal(path, sync=False) as made:
        found = made.open()
        assert found.rows == len(expected)
        assert made.repaired is not None
    assert path.read_bytes() == HEADER_LINE + b"".join(expected)


def naive(lines: list[bytes]) -> list[bytes]:
    """The rule, said as simply as can be."""
    rows: dict[bytes, bytes] = {}
    for line in lines:
        if line.count(b",") == 5 and not line.startswith(b"#"):
            rows.setdefault(line[:20], line)
    return [rows[time] for time in sorted(rows)]


@given(st.integers(0, 300), st.integers(0, 40), st.randoms(use_true_random=False))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mixture_of_lines_comes_out_as_rows_in_order(
    tmp_path: Path, count: int, changes: int, draw: random.Random
) -> None:
    lines = [candle(hour).row() for hour in range(count + 1)]
    for _ in range(changes):
        at = draw.randrange(len(lines))
        change = draw.randrange(5)
        if change == 0:
            lines.insert(at, GARBAGE)
        elif change == 1:
            lines[at] = b"# no row\n"
        elif change == 2:
            lines.insert(at, draw.choice(lines))
        elif change == 3 and len(lines) > 1:
            del lines[at]
        else:
            other = draw.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
    lines.append(candle(400).row())
    path = tmp_path / "x.csv"
    path.write_bytes(HEADER_LINE + b"".join(lines))
    with journal(path, sync=False) as made:
        found = made.open()
        expected = naive(lines)
        assert path.read_bytes() == HEADER_LINE + b"".join(expected)
        assert found.rows == len(expected)
        assert (made.repaired is None) == (lines == expected)


# -- a crash or an error meanwhile ------------------------------------------------------------------

BROKEN = HEADER_LINE + b"".join([ROWS[0], ROWS[3], GARBAGE, ROWS[1], OTHER_2, ROWS[3], ROWS[5]])
MENDED = HEADER_LINE + b"".join([ROWS[0], ROWS[1], OTHER_2, ROWS[3], ROWS[5]])


def check_mended(path: Path) -> None:
    with journal(path, sync=False) as made:
        assert made.open().rows == 5
    assert path.read_bytes() == MENDED
    for lost in (GARBAGE, ROWS[3]):
        assert lost in torn_of(path)


def begin(path: Path) -> None:
    for old in path.parent.iterdir():
        old.unlink()
    path.write_bytes(BROKEN)


@pytest.mark.parametrize("keep", [0, 17])
def test_the_process_may_die_at_any_call_of_a_repair(path: Path, keep: int) -> None:
    for at in range(1, 200):
        begin(path)
        disk = CrashingDisk(at, keep)
        made = Journal(path, INTERVAL, owner="test", disk=disk)
        try:
            made.open()
        except Crash:
            disk.close_all()
        else:
            return
        if not path.with_name(path.name + ".redo").exists():
            assert path.read_bytes() in (BROKEN, MENDED)
        check_mended(path)
    raise AssertionError("it never came through")


def test_the_power_may_go_at_any_call_of_a_repair(path: Path) -> None:
    for at in range(1, 200):
        begin(path)
        disk = PowerDisk(path.parent, at)
        made = Journal(path, INTERVAL, owner="test", disk=disk)
        try:
            made.open()
        except Crash:
            disk.power_cut()
            check_mended(path)
        else:
            disk.power_cut()
            assert path.read_bytes() == MENDED
            assert torn_of(path)
            return
    raise AssertionError("it never came through")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("keep", [0, 11])
def test_a_repair_that_fails_at_any_call_is_done_by_the_next_try(
    path: Path, keep: int, after: bool
) -> None:
    for at in range(1, 200):
        begin(path)
        disk = FailingDisk()
        disk.fail(at, 28, keep=keep, after=after)
        with journal(path, disk) as made:
            failed = fails(made.open)
            disk.heal()
            if failed:
                assert made.open().rows == 5
            assert made.repaired is not None
        assert path.read_bytes() == MENDED
        assert torn_of(path) == GARBAGE + ROWS[3]
        if not failed:
            return
    raise AssertionError("it never came through")


@pytest.mark.parametrize("disk", [ShortDisk(1), ShortDisk(7)], ids=["1 byte", "7 bytes"])
def test_a_repair_on_a_disk_that_takes_a_few_bytes_at_a_time(path: Path, disk: Disk) -> None:
    path.write_bytes(BROKEN)
    with journal(path, disk) as made:
        made.open()
    check_mended(path)
