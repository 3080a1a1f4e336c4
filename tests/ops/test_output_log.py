"""What a command prints, in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from kline_ops import log_file
from kline_ops.ops.output_log import OutputLog


def test_lines_are_whole_whatever_the_pieces(tmp_path: Path) -> None:
    log = OutputLog(tmp_path / "session.log")
    for piece in (b"on", b"e\r\ntwo", "\r\n\x1b[31mred\x1b[0m é".encode()[:-1], b"\xa9\nlast"):
        log.feed(piece)
    assert log.last == "\x1b[31mred\x1b[0m é"
    assert (tmp_path / "session.log").read_text() == "one\ntwo\n\x1b[31mred\x1b[0m é\n"
    log.close()
    assert (tmp_path / "session.log").read_text().endswith("\nlast\n")
    assert log.last == "last"


def test_what_is_no_text_is_kept_readable(tmp_path: Path) -> None:
    log = OutputLog(tmp_path / "session.log")
    log.feed(b"\xff\xfe\n\n")
    log.close()
    assert (tmp_path / "session.log").read_text() == "\\xff\\xfe\n\n"


def test_a_line_without_end_is_cut(tmp_path: Path) -> None:
    log = OutputLog(tmp_path / "session.log")
    log.feed(b"." * 100_000)
    assert (tmp_path / "session.log").read_text() == "." * 100_000 + "\n"
    log.close()


def test_it_is_rotated_between_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "MAX_BYTES", 1000)
    log = OutputLog(tmp_path / "session.log")
    for number in range(1000):
        log.feed(f"line {number}\n".encode())
    log.close()
    files = [tmp_path / f"session.log.{number}" for number in (5, 4, 3, 2, 1)]
    files.append(tmp_path / "session.log")
    assert all(file.stat().st_size <= 1000 for file in files)
    lines = "".join(file.read_text() for file in files).splitlines()
    assert lines == [f"line {number}" for number in range(1000 - len(lines), 1000)]
    assert not (tmp_path / "session.log.6").exists()


def test_it_comes_back_where_it_was_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    log = OutputLog(folder / "session.log")
    log.feed(b"one\n")
    (folder / "session.log").unlink()
    folder.rmdir()
    log.feed(b"two\n")
    assert (folder / "session.log").read_text() == "two\n"
    log.close()


def test_a_full_disk_is_no_end(tmp_path: Path) -> None:
    (tmp_path / "session.log").symlink_to("/dev/full")
    log = OutputLog(tmp_path / "session.log")
    log.feed(b"one\ntwo\n")
    log.close()
    assert log.last == "two"
