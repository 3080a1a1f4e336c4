"""Events as spans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import get_current_span

from kline_ops import events
from kline_ops.market import interval as intervals
from kline_ops.market import timestamp
from kline_ops.observe.otel.spans import _MOST, Spans

SECOND = 1_000_000_000
URL = "wss://stream.binance.com:9443/ws"


class Stage:
    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.spans = Spans(self.provider.get_tracer("test"), intervals.parse("1m"))

    def hear(self, event: events.Event, at: float) -> int:
        """Answers the id of the span that it belongs to; 0: none."""
        context = self.spans.hear(event, round(at * SECOND))
        return 0 if context is None else get_current_span(context).get_span_context().span_id

    def ended(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())


@pytest.fixture
def stage() -> Stage:
    return Stage()


def id_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    return span.attributes or {}


def connected(number: int) -> events.Connected:
    return events.Connected(connection=number, endpoint=URL, seconds=0.5)


def live(number: int) -> events.Live:
    return events.Live(connection=number, endpoint=URL, seconds=1.0)


def lost(number: int, seconds: float | None = 8.0) -> events.Disconnected:
    code = None if seconds is None else 1006
    return events.Disconnected(
        connection=number, endpoint=URL, code=code, reason="cut", seconds=seconds
    )


def test_the_life_of_a_connection_is_one_span(stage: Stage) -> None:
    ids = {
        stage.hear(connected(7), 100.5),
        stage.hear(live(7), 101),
        stage.hear(events.Stalled(connection=7, seconds=60.0), 170),
        stage.hear(lost(7), 171),
    }
    (span,) = stage.ended()
    assert ids == {id_of(span)}
    assert (span.start_time, span.end_time) == (100 * SECOND, 171 * SECOND)
    assert [(e.name, e.timestamp) for e in span.events] == [
        ("connected", round(100.5 * SECOND)),
        ("live", 101 * SECOND),
        ("stalled", 170 * SECOND),
    ]
    assert attributes(span) == {
        "kline_ops.connection": 7,
        "kline_ops.endpoint": URL,
        "server.address": "stream.binance.com",
        "server.port": 9443,
        "kline_ops.close_code": 1006,
        "kline_ops.end": "cut",
    }
    assert not span.status.is_ok
    assert stage.spans.of(7) is None


def test_an_attempt_that_came_to_nothing_is_a_span_too(stage: Stage) -> None:
    assert stage.hear(lost(1, None), 5) == id_of(stage.ended()[0])
    (span,) = stage.ended()
    assert "kline_ops.close_code" not in attributes(span)
    assert not span.events


def test_a_replacement_is_linked_to_both_connections(stage: Stage) -> None:
    stage.hear(connected(1), 10)
    stage.hear(live(1), 11)
    stage.hear(connected(2), 20.5)
    stage.hear(live(2), 21)
    stage.hear(events.Replaced(old=1, new=2, why="planned", overlap=1.5), 22.5)
    replacement, old = stage.ended()
    new = stage.hear(live(2), 23)
    assert (replacement.name, old.name) == ("replacement", "connection")
    assert {link.context.span_id for link in replacement.links} == {id_of(old), new}
    assert (replacement.start_time, replacement.end_time) == (20 * SECOND, round(22.5 * SECOND))
    assert attributes(replacement)["kline_ops.why"] == "planned"
    assert attributes(old)["kline_ops.successor"] == 2
    assert old.status.is_unset


def at(minute: int) -> str:
    return timestamp.to_text(minute * 60_000)


def span_of(first: int, last: int) -> dict[str, Any]:
    return {"first": at(first), "last": at(last), "candles": last - first + 1}


def test_a_hole_is_a_span_until_all_of_it_is_settled(stage: Stage) -> None:
    hole = stage.hear(events.HoleFound(**span_of(0, 9)), 1)
    assert stage.hear(events.BackfillFailed(reason="HTTP 500"), 2) == hole
    assert stage.hear(events.HoleFilled(**span_of(0, 5), source="rest"), 3) == hole
    assert not stage.ended()
    assert stage.hear(events.HoleConfirmed(**span_of(6, 9)), 4) == hole
    (span,) = stage.ended()
    assert (span.name, span.start_time, span.end_time) == ("backfill", SECOND, 4 * SECOND)
    assert [each.name for each in span.events] == [
        "backfill_failed",
        "hole_filled",
        "hole_confirmed",
    ]
    told = attributes(span)
    assert (told["kline_ops.candles_rest"], told["kline_ops.candles_confirmed"]) == (6, 4)
    assert stage.hear(events.BackfillFailed(reason="HTTP 500"), 5) == 0


def test_one_filling_may_settle_several_holes_and_none(stage: Stage) -> None:
    stage.hear(events.HoleFound(**span_of(0, 1)), 1)
    stage.hear(events.HoleFound(**span_of(3, 4)), 2)
    assert stage.hear(events.HoleFilled(**span_of(7, 7), source="rest"), 3) == 0
    stage.hear(events.HoleFilled(**span_of(0, 4), source="rest"), 4)
    assert [attributes(s)["kline_ops.candles_rest"] for s in stage.ended()] == [2, 2]


def test_what_is_open_at_the_end_is_ended(stage: Stage) -> None:
    stage.hear(connected(1), 1)
    stage.hear(events.HoleFound(**span_of(0, 1)), 2)
    stage.spans.end(9 * SECOND)
    connection, hole = stage.ended()
    assert connection.end_time == hole.end_time == 9 * SECOND
    assert attributes(connection)["kline_ops.end"] == "the process ended"
    assert attributes(hole)["kline_ops.candles_missing"] == 2
    assert not hole.status.is_ok
    stage.spans.end(10 * SECOND)
    assert len(stage.ended()) == 2


def test_a_bounded_number_of_holes_is_followed(stage: Stage) -> None:
    for minute in range(_MOST + 3):
        stage.hear(events.HoleFound(**span_of(2 * minute, 2 * minute)), minute)
    assert len(stage.ended()) == 3


def test_what_belongs_to_no_span_says_so(stage: Stage) -> None:
    assert stage.hear(live(5), 1) == 0
    assert stage.hear(events.RestartPlanned(boundary=at(0)), 1) == 0
    stage.hear(events.Replaced(old=8, new=9, why="stalled", overlap=2.0), 10)
    (span,) = stage.ended()
    assert (span.start_time, len(span.links)) == (8 * SECOND, 0)
    for endpoint in ("nonsense", "ws://[", "ws://h:port/"):
        stage.hear(events.Connected(connection=1, endpoint=endpoint), 11)
