"""A line of session.log: what Elastic makes of it, whose connection it tells, and how long it gets."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kline_ops import events
from kline_ops.events import Event
from kline_ops.observe import lines
from kline_ops.observe.describe import describe
from kline_ops.observe.json_lines import JsonFormatter, fields_of
from kline_ops.observe.logs import Logging, log_event, log_statistics, text_handler
from kline_ops.observe.statistics import Statistics
from tests.support.machine import until
from tests.support.trial import Trial, run_trial

ABOUT = {"session": "demo", "symbol": "BTCUSDT", "interval": "1h"}
AT = "2026-01-27T14:00:00Z"


def values(kind: Any, field: str, which: int) -> Any:
    """Two values for a field of this type: such as there are, and such as there might be."""
    if isinstance(kind, types.UnionType):
        return None if which and type(None) in kind.__args__ else values(kind.__args__[0], field, 0)
    if typing.get_origin(kind) is tuple:
        return (3, 4)[:which]
    is_time = field in {"first", "last", "open_time", "boundary", "until", "last_candle"}
    texts = (AT, AT) if is_time else ("2026-01-27", "it was closed: \u20ac")
    return {int: (0, 12), float: (0.0, 3.5), str: texts, bool: (False, True)}[kind][which]


def made(kind: type[Any], which: int) -> Any:
    hints = typing.get_type_hints(kind)
    return kind(**{name: values(hints[name], name, which) for name in kind.__struct_fields__})


def line_of(event: Any, **more: Any) -> dict[str, Any]:
    record = logging.LogRecord("kline_ops.events", logging.INFO, "", 1, "said", None, None)
    record.__dict__.update({"event": event, **more})
    told: dict[str, Any] = json.loads(JsonFormatter(ABOUT).format(record))
    return told


def test_the_record_of_a_minute_is_known_as_one_but_not_to_a_program() -> None:
    raw = json.dumps(line_of(made(Statistics, 0)))
    assert lines.read_record(raw).is_routine
    assert not lines.as_it_is(lines.read_record)(raw).is_routine
    assert not lines.read_record(json.dumps(line_of(made(events.Live, 0)))).is_routine


KINDS = Event.__subclasses__()
EVERY = [line_of(made(kind, which)) for which in (0, 1) for kind in [*KINDS, Statistics]]


class RefusedError(Exception):
    """What Elastic answers: mapper_parsing_exception."""


class Index:
    """The dynamic mapping of an index without a template ("Dynamic field mapping", Elasticsearch)."""

    #: "date_detection": strict_date_optional_time takes a date alone as well.
    _DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?Z?)?")

    def __init__(self) -> None:
        self.types: dict[str, str] = {}

    def take(self, document: dict[str, Any]) -> None:
        for path, value in self._leaves(document, ""):
            kind = self._kind(value)
            known = self.types.setdefault(path, kind)
            fits = {
                "object": kind == "object",
                "long": kind == "long",
                "float": kind in {"float", "long"},
                "boolean": kind == "boolean",
                "date": kind == "date",
                "text": kind != "object",
            }
            if not fits[known]:
                raise RefusedError(f"{path}: {kind} into {known}")

    def _leaves(self, value: Any, path: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict):
            yield path, {}
            for key, each in value.items():
                yield from self._leaves(each, f"{path}.{key}")
        elif isinstance(value, list):
            for each in value:
                yield from self._leaves(each, path)
        elif value is not None:
            yield path, value

    def _kind(self, value: Any) -> str:
        if isinstance(value, str):
            return "date" if self._DATE.fullmatch(value) else "text"
        names = {bool: "boolean", int: "long", float: "float", dict: "object"}
        return names[type(value)]


def dates_first(documents: Iterable[dict[str, Any]]) -> None:
    index = Index()
    for document in documents:
        index.take(document)


def test_an_index_refuses_what_it_should() -> None:
    with pytest.raises(RefusedError):
        dates_first([{"event": {"old": 1}}, {"event": {"old": "wss://x"}}])
    with pytest.raises(RefusedError):
        dates_first([{"at": AT}, {"at": "soon"}])


def without_free_dates(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Texts that look like dates by chance are for the template, not for the shape."""
    text = json.dumps(documents).replace('"2026-01-27"', '"a text"')
    told: list[dict[str, Any]] = json.loads(text)
    return told


@pytest.mark.parametrize("backwards", [False, True])
def test_every_kind_of_record_has_one_type_for_each_path(backwards: bool) -> None:
    documents = without_free_dates(EVERY)
    dates_first(reversed(documents) if backwards else documents)


def test_names_of_kinds_are_names_of_nothing_else() -> None:
    ours = {"@timestamp", "log", "message", "event", "connection", "process", "error", *ABOUT}
    ecs = {
        "agent",
        "client",
        "cloud",
        "host",
        "http",
        "network",
        "server",
        "service",
        "url",
        "user",
    }
    ecs |= {"labels", "tags", "trace", "span", "source", "destination", "file", "ecs", "statistics"}
    assert not {kind.__struct_config__.tag for kind in KINDS} & (ours | ecs)
    for line in EVERY:
        assert set(line) - ours == {line["event"]["action"]} & set(line)


def test_every_record_is_read_again_as_text() -> None:
    for line in EVERY:
        read = lines.read_record(json.dumps(line))
        assert (read.level, read.shown[0].split()[-1]) == (logging.INFO, "said")
        assert read.ms is not None


def test_a_record_about_a_connection_says_which() -> None:
    for kind in KINDS:
        event = made(kind, 1)
        if "connection" in kind.__struct_fields__:
            assert line_of(event)["connection"] == 12
            assert "connection" not in line_of(event).get(event.kind, {})
    replaced = line_of(events.Replaced(old=3, new=4, why="planned", overlap=1.0))
    assert (replaced["connection"], replaced["replaced"]["new"]) == (3, 4)
    assert fields_of(events.BackfillFailed(reason="x")) == (None, {"reason": "x"})
    assert "connection" not in line_of(events.BackfillFailed(reason="x"))


def test_the_longest_line_is_far_below_what_loki_takes() -> None:
    """256 KB; a character may take six bytes of JSON."""
    record = logging.LogRecord("x", logging.ERROR, "", 1, "\x00" * 10**6, None, None)
    record.exc_text = "\x00" * 10**6
    record.event = events.FrameRejected(reason="\x00" * 10**6, count=1, sample="\x00" * 10**6)  # type: ignore[attr-defined]
    text = JsonFormatter(ABOUT).format(record)
    assert len(text.encode()) < 128_000
    assert json.loads(text)["error"]["stack_trace"].startswith("\x00")


def test_what_the_library_says_of_a_connection_says_which(tmp_path: Path) -> None:
    """A life of a connection in one filter, from the handshake to its end."""
    path = tmp_path / "session.log"
    log = Logging(path, "trace", text_handler(io.StringIO()), ABOUT)
    before = logging.getLogger("kline_ops").level

    async def script(trial: Trial) -> None:
        while not trial.of(events.Live):
            await asyncio.sleep(0.1)
        trial.session.drop()
        while len(trial.of(events.Live)) < 2:
            await asyncio.sleep(0.1)

    try:
        trial = run_trial(tmp_path, 10, script, logger__statistics=3)
        for event in trial.events:
            log_event(event)
        logging.getLogger("kline_ops.test").info("the end")
        until(lambda: path.exists() and "the end" in path.read_text())
    finally:
        log.close()
        logging.getLogger("kline_ops").setLevel(before)
        logging.getLogger("websockets").setLevel(logging.NOTSET)
    said = [json.loads(line) for line in path.read_text().splitlines()]
    library = [
        line for line in said if line["log"].get("logger", "").startswith("websockets.client")
    ]
    assert {line.get("connection") for line in library} == {1, 2}
    life = [line for line in said if line.get("connection") == 1]
    actions = [line["event"]["action"] for line in life if "event" in line]
    assert actions == ["connected", "live", "disconnected"]
    frames = [line["message"] for line in life if "logger" in line["log"]]
    assert frames[0] == "= connection is CONNECTING"
    assert frames[-1] == "= connection is CLOSED"
    index = Index()
    for line in said:
        index.take(line)


def test_the_record_of_each_minute_does_not_drive_out_what_matters(tmp_path: Path) -> None:
    for preset, told in (("prod", False), ("dev", True)):
        path, console = tmp_path / f"{preset}.log", io.StringIO()
        log = Logging(path, preset, text_handler(console), ABOUT)
        log_statistics(made(Statistics, 1), "BTCUSDT", "1h")
        logging.getLogger("kline_ops.test").info("news")
        until(lambda path=path: path.exists() and "news" in path.read_text())
        until(lambda console=console: "news" in console.getvalue())
        log.close()
        record, news = map(json.loads, path.read_text().splitlines())
        assert record["message"].startswith("HEARTBEAT: ")
        assert record["statistics"]["total_messages_processed"] == 12
        assert news["message"] == "news"
        assert ("HEARTBEAT" in console.getvalue()) is told


def test_no_event_is_without_a_text() -> None:
    for kind in KINDS:
        level, text = describe(made(kind, 1))
        assert text != kind.__struct_config__.tag, kind
        assert level in {logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR}
