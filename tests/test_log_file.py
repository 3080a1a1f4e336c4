"""One kind of log file for all that writes one."""

from __future__ import annotations

import logging
from pathlib import Path

from kline_ops.log_file import KEPT, LOG_BYTES, MAX_BYTES, LogFile


def test_what_a_log_may_take() -> None:
    assert (MAX_BYTES, KEPT, LOG_BYTES) == (10_000_000, 5, 60_000_000)


def test_it_leaves_a_file_that_was_moved_away(tmp_path: Path) -> None:
    path, moved = tmp_path / "session.log", tmp_path / "moved"
    file = LogFile(path)
    for text in ("one", "two"):
        file.handle(logging.LogRecord("", logging.INFO, "", 0, text, None, None))
        path.replace(moved)
    file.close()
    assert moved.read_text() == "two\n"


def test_a_disk_that_takes_nothing_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "session.log").symlink_to("/dev/full")
    for path in (tmp_path / "session.log", tmp_path / "session.log" / "x"):
        file = LogFile(path)
        file.handle(logging.LogRecord("", logging.INFO, "", 0, "x", None, None))
        file.close()
