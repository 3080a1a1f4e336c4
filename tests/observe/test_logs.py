"""The log files: what stands in them, and that they come back when somebody takes them away."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kline_ops import events
from kline_ops.clock import SystemClock
from kline_ops.observe.logs import (
    EventLog,
    Logging,
    TextFormatter,
    event_line,
    log_event,
    text_handler,
)
from kline_ops.worker import Worker
from tests.support.machine import until

_log = logging.getLogger("kline_ops.test")


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    log = Logging(path, "prod", text_handler(io.StringIO()))
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


def test_while_a_disk_hangs_a_bounded_number_of_events_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It may hang for days, and what waits would take the memory of the recorder."""
    monkeypatch.setattr("kline_ops.observe.logs._QUEUE", 10)
    path, answers, worker = tmp_path / "events.jsonl", threading.Event(), Worker("test")
    worker.submit(answers.wait, 20)
    log = EventLog(path, SystemClock(), worker)
    for number in range(60):
        log.hear(events.AttemptsExhausted(attempts=number, reason="refused"))
    answers.set()
    worker.submit(lambda: None).result(20)
    log.hear(events.AttemptsExhausted(attempts=99, reason="refused"))
    worker.shutdown()
    told = [json.loads(line)["attempts"] for line in path.read_text().splitlines()]
    assert told == [*range(10), 99]
    assert "50 events were not logged" in caplog.text


class Heard(logging.Handler):
    """A console of somebody's own: keeps what it is told, as text."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(TextFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def told(
    tmp_path: Path, preset: str = "prod"
) -> Iterator[tuple[list[str], Callable[[], list[Any]]]]:
    """The lines of the console, and (once all is written) those of the file."""
    path, console = tmp_path / "session.log", Heard()
    log = Logging(path, preset, console, {"session": "demo"})

    def read() -> list[Any]:
        said(path, "the end")
        until(lambda: console.lines[-1].endswith("the end"))
        del console.lines[-1]
        return [json.loads(line) for line in path.read_text().splitlines()[:-1]]

    try:
        yield console.lines, read
    finally:
        log.close()


def test_an_event_is_told_once_as_text_and_as_its_fields(tmp_path: Path) -> None:
    with told(tmp_path) as (console, file):
        log_event(events.Live(connection=3, endpoint="ws://h/ws", seconds=0.25))
        (line,) = file()
    text = "connection 3: live after 0.25 s (ws://h/ws)"
    assert list(line)[:3] == ["@timestamp", "log", "message"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("@timestamp"))
    assert line == {
        "log": {"level": "info"},
        "message": text,
        "event": {"action": "live"},
        "connection": 3,
        "live": {"endpoint": "ws://h/ws", "seconds": 0.25},
        "session": "demo",
        "process": {"pid": os.getpid()},
    }
    assert re.fullmatch(
        rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO     {re.escape(text)}", console[0]
    )


def test_a_library_is_named_and_a_traceback_stands_apart(tmp_path: Path) -> None:
    with told(tmp_path) as (console, file):
        try:
            raise ValueError("why")
        except ValueError:
            logging.getLogger("urllib3.pool").critical("odd %s", "\x1b[2J", exc_info=True)
        _log.info("ours")
        odd, ours = file()
    assert odd["log"] == {"level": "error", "logger": "urllib3.pool"}
    assert odd["message"] == "odd \x1b[2J"
    assert odd["error"]["stack_trace"].startswith("Traceback (most recent call last):\n")
    assert odd["error"]["stack_trace"].endswith("ValueError: why")
    assert set(ours) == {"@timestamp", "log", "message", "session", "process"}
    assert console[0].splitlines()[0].endswith("CRITICAL odd \\u001b[2J")
    assert console[0].splitlines()[-1] == "ValueError: why"


@pytest.mark.parametrize("preset", ["prod", "dev", "trace"])
def test_what_each_preset_tells(tmp_path: Path, preset: str) -> None:
    with told(tmp_path, preset) as (console, file):
        _log.debug("detail")
        logging.getLogger("websockets.client").debug("frame")
        _log.info("news")
        messages = [line["message"] for line in file()]
    expected = {"prod": ["news"], "dev": ["detail", "news"], "trace": ["detail", "frame", "news"]}
    assert messages == expected[preset]
    origin = r"kline_ops\.test:\d+ " if preset == "trace" else ""
    assert re.search(rf"INFO     {origin}news$", console[-1])


def test_what_is_no_utf_8_is_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of a folder may be any bytes."""
    # A test's own report of what was logged can not hold such a text.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with told(tmp_path) as (console, file):
        _log.info("into %s", os.fsdecode(b"/d\xe9p\xc3\xb4t"))
        (line,) = file()
    assert line["message"] == "into /d?pôt"
    assert console[0].endswith(r"into /d\udce9pôt")
    event = events.JournalRepaired(what="torn", saved_to=os.fsdecode(b"/d\xe9"))
    assert json.loads(event_line(event, SystemClock()))["saved_to"] == "/d?"


SECRETS = "ws://user:hidden@host/ws?token=hidden"


def test_no_outlet_tells_a_password_or_a_token_whoever_says_it(tmp_path: Path) -> None:
    with told(tmp_path, "trace") as (console, file):
        websockets = logging.getLogger("websockets.client")
        websockets.debug("> GET %s HTTP/1.1", "/ws?token=hidden")
        websockets.debug("> %s: %s", "Authorization", "Basic hidden")
        logging.getLogger("urllib3").warning("%s", OSError(f"no {SECRETS}"))
        try:
            raise OSError(f"cannot connect to {SECRETS}")
        except OSError:
            _log.exception("with https://hooks.slack.com/services/T/B/hidden", stack_info=True)
        _log.info("user%s", 100 * "%", stacklevel=1)
        lines = file()
    assert len(lines) == len(console) == 5
    assert "hidden" not in json.dumps(lines) + "\n".join(console)
    assert "cannot connect to ws://…@host/ws?token=…" in lines[3]["error"]["stack_trace"]


def test_an_event_tells_no_password_to_anybody() -> None:
    heard: list[events.Event] = []
    bus = events.Bus()
    bus.listen(heard.append)
    bus.emit(events.EndpointChanged(old=SECRETS, new="wss://stream.binance.com:9443/ws"))
    bus.emit(
        events.Disconnected(
            connection=1, endpoint=SECRETS, code=None, reason=f"no {SECRETS}", seconds=None
        )
    )
    plain = events.Live(connection=1, endpoint="ws://h/ws", seconds=1.0)
    bus.emit(plain)
    changed, ended, live = heard
    assert changed == events.EndpointChanged(
        old="ws://…@host/ws?token=…", new="wss://stream.binance.com:9443/ws"
    )
    assert "hidden" not in repr(ended)
    assert live is plain
    line = event_line(events.BackfillFailed(reason=f"no {SECRETS}"), SystemClock())
    assert json.loads(line)["reason"] == "no ws://…@host/ws?token=…"
