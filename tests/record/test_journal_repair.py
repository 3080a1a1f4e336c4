"""What is put right when a candle file is opened: torn ends, lines that are no rows, disorder."""

import os
from pathlib import Path

import pytest

from kline_ops.errors import JournalError
from kline_ops.record.contents import HEADER_LINE
from tests.support.journals import candle, file_of, journal, leave_redo


def test_a_row_torn_at_any_byte_is_kept_aside_and_never_glued_on(path: Path) -> None:
    last, torn_file = candle(2).row(), path.with_name(path.name + ".torn")
    for length in range(1, len(last)):
        path.write_bytes(file_of(0, 1) + last[:length])
        torn_file.unlink(missing_ok=True)
        with journal(path, sync=False) as made:
            assert made.open().rows == 2
            assert made.repaired is not None
            assert made.repaired[1] == torn_file
            assert torn_file.read_bytes() == last[:length] + b"\n"
            made.write([candle(2)])
        assert path.read_bytes() == file_of(0, 1, 2)


NOTHING = [b"\0", b"\0" * 4_096, b"\n", b"\xff" * 9]


@pytest.mark.parametrize(
    ("rows", "junk"),
    [((), junk) for junk in NOTHING]
    + [((0, 1), junk) for junk in (*NOTHING, b"garbage\n", b"a,b\n" * 99, b"\0" * 99_999)],
)
def test_whatever_stands_behind_the_last_row_is_kept_aside(
    path: Path, junk: bytes, rows: tuple[int, ...]
) -> None:
    path.write_bytes(file_of(*rows) + junk)
    with journal(path) as made:
        assert made.open().rows == len(rows)
        assert path.read_bytes() == file_of(*rows)
        assert path.with_name(path.name + ".torn").read_bytes() == junk + b"\n"
    with journal(path) as made:
        made.open()
        assert made.repaired is None


@pytest.mark.parametrize("size", [1, 9, 37, 4096])
def test_a_new_file_that_a_power_loss_left_as_nuls_is_begun_again(path: Path, size: int) -> None:
    path.write_bytes(b"\0" * size)
    with journal(path) as made:
        assert made.open().rows == 0
        made.write([candle(0)])
    assert path.read_bytes() == file_of(0)
    assert path.with_name(path.name + ".torn").read_bytes() == b"\0" * size + b"\n"


def test_torn_ends_are_collected_one_after_another(path: Path) -> None:
    for torn in (b"one", b"two"):
        path.write_bytes(file_of(0) + torn)
        with journal(path) as made:
            made.open()
    assert path.with_name(path.name + ".torn").read_bytes() == b"one\ntwo\n"


def test_a_header_torn_at_any_byte_is_written_anew(path: Path) -> None:
    for length in range(len(HEADER_LINE)):
        path.write_bytes(HEADER_LINE[:length])
        with journal(path, sync=False) as made:
            assert made.open().rows == 0
            made.write([candle(0)])
        assert path.read_bytes() == file_of(0)


#: The header is a common one; whole lines by the thousand are no torn write.
OTHER_TIMES = HEADER_LINE + b"1700000000000,1,2,0.5,1,3\n" * 5_000


@pytest.mark.parametrize(
    "data",
    [b"time,price\n1,2\n", b"x" * 99, HEADER_LINE[:-1] + b"\r\n", OTHER_TIMES],
    ids=["another header", "no header", "crlf", "our header and another kind of rows"],
)
@pytest.mark.parametrize("redo", [False, True])
def test_a_file_that_is_not_ours_is_refused_and_stays_as_it_is(
    path: Path, data: bytes, redo: bool
) -> None:
    if redo and data.startswith(HEADER_LINE):
        pytest.skip("the redo file is for a file that begins so")
    if redo:
        leave_redo(path)
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))
    with journal(path) as made:
        with pytest.raises(JournalError) as caught:
            made.open()
        assert not caught.value.transient
        assert caught.value.hint
        assert path.read_bytes() == data
        assert path.stat().st_mtime_ns == 1
