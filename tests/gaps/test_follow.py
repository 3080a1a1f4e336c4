"""A candle file that grows, is merged into and replaced: each look shows it as it stands."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kline_ops.errors import InputError
from kline_ops.gaps import follow
from kline_ops.gaps.coverage import Kind, Ledger
from kline_ops.gaps.follow import RowFollower
from kline_ops.market import interval as intervals
from kline_ops.market.candle import HEADERS, Candle
from kline_ops.market.span import Span
from kline_ops.record.journal import Journal

START = 1_767_225_600_000
SECOND = intervals.parse("1s")


def candle(slot: int) -> Candle:
    return Candle(START + slot * 1000, "1.5", "2.0", "1.0", "1.25", "3.5")


def write(path: Path, slots: list[int]) -> None:
    path.write_bytes(
        b"".join([f"{HEADERS['basic']}\n".encode(), *(candle(s).row() for s in slots)])
    )


def on_disk(ledger: Ledger, end: int = 400) -> set[int]:
    cells = ledger.coverage(Span(ledger.first_ms, START + end * 1000), START + end * 1000)
    flags = ledger._flags[: end - (ledger.first_ms - START) // 1000]
    found = {slot for slot, flag in enumerate(flags) if flag & 1}
    assert cells.counts[Kind.STREAM] == len(found)
    return {slot + (ledger.first_ms - START) // 1000 for slot in found}


@settings(max_examples=40)
@given(st.lists(st.sets(st.integers(0, 300), max_size=40), min_size=1, max_size=6), st.data())
def test_after_each_merge_it_has_what_the_file_has(
    tmp_path_factory: pytest.TempPathFactory, batches: list[set[int]], data: st.DataObject
) -> None:
    """The recorder's own journal writes, late candles and all; pieces are small here."""
    folder = tmp_path_factory.mktemp("follow")
    path = folder / "candles_BTCUSDT_1s.csv"
    from_slot = data.draw(st.sampled_from([0, 120]))
    ledger = Ledger(SECOND, START + from_slot * 1000)
    follower = RowFollower(str(path), ledger)
    journal = Journal(path, SECOND, owner="test", sync=False)
    journal.lock()
    journal.open()
    known: set[int] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(follow, "BLOCK", 512)
        for batch in batches:
            new = sorted(batch - known)
            known |= batch
            if new:
                journal.write([candle(slot) for slot in new])
            follower.update()
            assert on_disk(ledger) == {slot for slot in known if slot >= from_slot}
            if known:
                assert follower.first_ms == START + min(known) * 1000
    journal.close()


def test_only_what_is_new_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "candles.csv"
    write(path, list(range(20_000)))
    reads: list[int] = []
    pread = os.pread

    def counted(fd: int, length: int, offset: int) -> bytes:
        found = pread(fd, length, offset)
        reads.append(len(found))
        return found

    monkeypatch.setattr(os, "pread", counted)
    ledger = Ledger(SECOND, START + 9_960_000)
    follower = RowFollower(str(path), ledger)
    follower.update()
    assert on_disk(ledger, 20_000) == set(range(9_960, 20_000))
    assert sum(reads) < path.stat().st_size * 0.6  # what lies before is not read
    for slot in range(20_000, 20_050):
        with path.open("ab") as file:
            file.write(candle(slot).row())
        reads.clear()
        follower.update()
        assert sum(reads) < 2_000
    assert len(follower._pieces) < 10  # a row at a time is no piece of its own
    reads.clear()
    follower.update()
    assert not reads
    assert len(on_disk(ledger, 20_050)) == 10_090


def test_a_file_that_is_another_one_is_read_anew(tmp_path: Path) -> None:
    path, ledger = tmp_path / "candles.csv", Ledger(SECOND, START)
    follower = RowFollower(str(path), ledger)
    follower.update()  # nothing was recorded yet
    assert (on_disk(ledger), follower.first_ms) == (set(), None)
    write(path, list(range(50)))
    follower.update()
    assert on_disk(ledger) == set(range(50))
    beside = tmp_path / "other"
    write(beside, [3, 7, 9])
    beside.replace(path)
    follower.update()
    assert (on_disk(ledger), follower.first_ms) == ({3, 7, 9}, START + 3000)
    path.write_bytes(f"{HEADERS['basic']}\n".encode())  # in its place
    follower.update()
    assert (on_disk(ledger), follower.first_ms) == (set(), None)
    write(path, [1, 2])
    follower.update()
    path.unlink()
    follower.update()
    assert (on_disk(ledger), follower.first_ms) == (set(), None)


def test_a_row_on_its_way_counts_when_it_is_whole(tmp_path: Path) -> None:
    path, ledger = tmp_path / "candles.csv", Ledger(SECOND, START)
    write(path, [0, 1])
    row = candle(2).row()
    with path.open("ab") as file:
        file.write(row[:30])
    follower = RowFollower(str(path), ledger)
    follower.update()
    assert on_disk(ledger) == {0, 1}
    with path.open("ab") as file:
        file.write(row[30:])
    follower.update()
    assert on_disk(ledger) == {0, 1, 2}


def test_full_columns_and_damage_are_read_as_analyze_gaps_does(tmp_path: Path) -> None:
    path, ledger = tmp_path / "candles.csv", Ledger(SECOND, START)
    full = Candle(START, "1.5", "2", "1", "1.2", "3", 5, START + 999, "4.5", "1", "1.5").row("full")
    path.write_bytes(
        f"{HEADERS['full']}\n".encode()
        + full
        + b"\0" * 700
        + b"\n"
        + full.replace(b":00Z", b":05Z")
    )
    RowFollower(str(path), ledger).update()
    assert on_disk(ledger) == {0, 5}


def test_what_is_no_candle_file_is_told(tmp_path: Path) -> None:
    path, ledger = tmp_path / "candles.csv", Ledger(SECOND, START)
    for make, told in (
        (lambda: path.write_text("a,b\n1,2\n"), "not a candle file"),
        (lambda: (path.unlink(), path.mkdir()), "regular file|directory"),
        (lambda: (path.rmdir(), os.mkfifo(path)), "regular file"),
    ):
        make()
        with pytest.raises(InputError, match=told):
            RowFollower(str(path), ledger).update()


def test_a_merge_is_waited_for_and_one_that_does_not_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, ledger = tmp_path / "candles.csv", Ledger(SECOND, START)
    write(path, [0, 1])
    redo = tmp_path / "candles.csv.redo"
    redo.write_bytes(b"")
    follower = RowFollower(str(path), ledger)
    looks: list[float] = []

    def ends_after_three(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            redo.unlink()

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", ends_after_three)
        follower.update()
        assert (len(looks), on_disk(ledger)) == (3, {0, 1})
        redo.write_bytes(b"")
        with path.open("ab") as file:
            file.write(candle(2).row())
        patch.setattr(time, "sleep", looks.append)
        with pytest.raises(InputError, match="being merged"):
            follower.update()
    redo.unlink()
    follower.update()
    assert on_disk(ledger) == {0, 1, 2}


def test_who_reads_while_the_recorder_merges_misses_nothing(tmp_path: Path) -> None:
    """Late candles all over the file, each a merge, while another thread looks without a pause."""
    path, ledger = tmp_path / "candles_BTCUSDT_1s.csv", Ledger(SECOND, START)
    journal = Journal(path, SECOND, owner="test", sync=False)
    journal.lock()
    journal.open()
    slots = list(range(4000))
    late = slots[7::100]
    journal.write([candle(slot) for slot in slots if slot not in set(late)])
    follower = RowFollower(str(path), ledger)

    def merge() -> None:
        for slot in late:
            journal.write([candle(slot)])

    thread = threading.Thread(target=merge)
    thread.start()
    looks = 0
    while thread.is_alive():
        follower.update()
        found = on_disk(ledger, 4000)
        assert found >= set(slots) - set(late)
        looks += 1
    thread.join()
    follower.update()
    assert on_disk(ledger, 4000) == set(slots)
    assert looks
    journal.close()
