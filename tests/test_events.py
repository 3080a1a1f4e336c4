"""Events: their names on disk, and a bus that one bad listener does not stop."""

import inspect
import logging

import msgspec
import pytest

from kline_ops import events
from kline_ops.events import Bus, Event, SessionStopped

KINDS = [
    found
    for found in vars(events).values()
    if inspect.isclass(found) and issubclass(found, Event) and found is not Event
]
STOPPED = SessionStopped(reason="asked to")


def example(kind: type[Event]) -> Event:
    samples = {int: 3, float: 1.5, str: "x", tuple[int, ...]: (3,)}
    fields = msgspec.structs.fields(kind)
    return kind(**{f.name: samples.get(f.type) for f in fields})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_event_is_one_line_of_json_with_its_kind_and_fields(kind: type[Event]) -> None:
    event = example(kind)
    line = msgspec.json.encode(event)
    told = msgspec.json.decode(line)
    assert b"\n" not in line
    assert told["kind"] == event.kind
    assert set(told) == {"kind", *(field.name for field in msgspec.structs.fields(kind))}
    assert kind.__doc__
    assert msgspec.json.decode(line, type=kind) == event


def test_no_two_kinds_share_a_name_and_all_are_in_snake_case() -> None:
    names = [example(kind).kind for kind in KINDS]
    assert len(set(names)) == len(names)
    assert all(name == name.lower() and name.replace("_", "").isalnum() for name in names)


@pytest.mark.parametrize(
    "name",
    [
        "session_started",
        "session_stopped",
        "connected",
        "live",
        "disconnected",
        "restart_planned",
        "replaced",
        "stalled",
        "shutdown_notice",
        "hole_found",
        "hole_filled",
        "hole_confirmed",
        "frame_rejected",
        "candle_conflict",
        "journal_repaired",
        "disk_full",
        "disk_recovered",
        "heartbeat_restart",
        "alert_failed",
    ],
)
def test_the_kinds_that_users_were_promised_are_there(name: str) -> None:
    assert name in {example(kind).kind for kind in KINDS}


def test_events_can_not_be_changed() -> None:
    with pytest.raises(AttributeError):
        STOPPED.reason = "other"  # type: ignore[misc]


def test_every_listener_hears_every_event_in_order() -> None:
    bus, heard = Bus(), []
    for name in "abc":
        bus.listen(lambda event, name=name: heard.append((name, event)))
    bus.emit(STOPPED)
    assert heard == [(name, STOPPED) for name in "abc"]


def test_an_event_that_nobody_listens_to_is_no_error() -> None:
    Bus().emit(STOPPED)


def test_a_listener_that_fails_is_logged_and_harms_no_one_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus, heard = Bus(), []

    def fail(event: Event) -> None:
        raise RuntimeError("dashboard broke")

    bus.listen(fail)
    bus.listen(heard.append)
    with caplog.at_level(logging.ERROR):
        bus.emit(STOPPED)
        bus.emit(STOPPED)
    assert heard == [STOPPED, STOPPED]
    assert "session_stopped" in caplog.text
    assert "dashboard broke" in caplog.text


def test_a_listener_may_emit_and_listen_itself() -> None:
    bus, heard = Bus(), []

    def answer(event: Event) -> None:
        if len(heard) < 3:
            heard.append(event)
            bus.listen(lambda _event: None)
            bus.emit(STOPPED)

    bus.listen(answer)
    bus.emit(STOPPED)
    assert heard == [STOPPED] * 3
