"""The log files: they come back when somebody takes them away."""

from __future__ import annotations

import io
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kline_ops import events
from kline_ops.clock import SystemClock
from kline_ops.observe.logs import EventLog, Logging
from kline_ops.worker import Worker
from tests.support.machine import until

_log = logging.getLogger("kline_ops.test")


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    log = Logging(path, "prod", io.StringIO())
    try:
        yield
    finally:
        log.close()


def said(path: Path, text: str) -> None:
    """Say it, and wait until it stands in the file."""
    _log.info("%s", text)
    until(lambda: path.exists() and text in path.read_text())


@pytest.mark.parametrize(
    "take_away",
    [lambda path: path.unlink(), lambda path: shutil.rmtree(path.parent)],
    ids=["the file", "its folder"],
)
def test_a_log_that_was_deleted_is_begun_anew(
    tmp_path: Path, take_away: Callable[[Path], None]
) -> None:
    path = tmp_path / "data" / "session.log"
    path.parent.mkdir()
    with logging_to(path):
        said(path, "before")
        take_away(path)
        said(path, "after")
        assert "before" not in path.read_text()


def test_a_log_that_was_replaced_is_left_for_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "session.log"
    with logging_to(path):
        said(path, "before")
        path.rename(tmp_path / "kept.log")
        path.write_text("of somebody else\n")
        said(path, "after")
    assert path.read_text().startswith("of somebody else\n")
    assert "after" not in (tmp_path / "kept.log").read_text()


def test_the_event_log_makes_its_folder_again(tmp_path: Path) -> None:
    path = tmp_path / "data" / "events.jsonl"
    worker = Worker("test")
    log = EventLog(path, SystemClock(), worker)
    log.hear(events.AttemptsExhausted(attempts=1, reason="refused"))
    worker.shutdown()
    assert json.loads(path.read_text())["reason"] == "refused"
