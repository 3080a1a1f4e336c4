"""Events for whoever listens: in order, none twice, none left out; bounded whatever a client does."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from kline_ops.observe.web.stream import KEPT, MOST_LISTENERS, MOST_WAITING, Listener, Stream


def nothing() -> None:
    """Nobody sleeps."""


def numbers(told: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"id: \d+-(\d+)", told)]


def test_an_event_is_framed_as_the_standard_says() -> None:
    stream = Stream(17)
    listener = stream.listen(nothing)
    stream.tell("live", b'{"kind":"live"}')
    stream.tell("recorded", b"{}", keep=False)
    assert listener.take() == (
        b'event: live\nid: 17-1\ndata: {"kind":"live"}\n\nevent: recorded\ndata: {}\n\n'
    )
    assert listener.is_empty


@given(st.lists(st.sampled_from(["tell", "take", "leave", "come"]), max_size=60))
@settings(max_examples=50)
def test_whoever_comes_back_misses_nothing_and_hears_nothing_twice(moves: list[str]) -> None:
    stream = Stream(1)
    listener: Listener | None = stream.listen(nothing)
    heard: list[int] = []
    told = 0
    for move in [*moves, "come", "take"]:
        if move == "tell":
            told += 1
            stream.tell("live", b"{}")
        elif move == "take" and listener is not None:
            heard += numbers(listener.take())
        elif move == "leave" and listener is not None:
            stream.leave(listener)
            listener = None
        elif move == "come" and listener is None:
            listener = stream.listen(nothing, f"1-{heard[-1] if heard else 0}")
    assert heard == list(range(1, told + 1))


def test_another_process_tells_all_that_it_knows() -> None:
    stream = Stream(2)
    for _ in range(KEPT + 5):
        stream.tell("live", b"{}")
    for since in ("1-3", "2-", "2-x", "nonsense", "2-99999999999999999999999", "١-٢"):
        assert numbers(stream.listen(nothing, since).take()) == list(range(6, KEPT + 6))
    assert numbers(stream.listen(nothing, f"2-{KEPT}").take()) == list(range(KEPT + 1, KEPT + 6))
    assert numbers(stream.listen(nothing).take()) == []
    assert len(stream.last(10_000)) == KEPT


def test_what_shows_how_it_stands_is_replaced() -> None:
    stream = Stream(1)
    listener = stream.listen(nothing)
    for number in range(100):
        stream.show("kline", b"%d" % number)
        stream.show("status", b"%d" % number)
    assert listener.take() == b"event: kline\ndata: 99\n\nevent: status\ndata: 99\n\n"
    stream.show("kline", b"forming")
    stream.tell("kline", b"closed", keep=False)
    assert listener.take() == b"event: kline\ndata: closed\n\n"


def test_whoever_falls_behind_is_let_go() -> None:
    dropped: list[int] = []
    stream = Stream(1, lambda: dropped.append(1))
    slow, quick = stream.listen(nothing), stream.listen(nothing)
    for _ in range(MOST_WAITING + 1):
        stream.tell("live", b"{}")
        quick.take()
    assert slow.is_dropped
    assert not quick.is_dropped
    assert (len(dropped), stream.listeners) == (1, 1)
    assert slow.take() == b""


def test_only_a_few_may_listen_and_the_end_is_for_all() -> None:
    woken: list[int] = []
    stream = Stream(1)
    listeners = [stream.listen(lambda: woken.append(1)) for _ in range(MOST_LISTENERS)]
    assert not stream.has_room
    stream.leave(listeners.pop())
    assert stream.has_room
    stream.tell("session_stopped", b"{}")
    stream.close()
    assert all(listener.is_over and listener.take() for listener in listeners)
    assert not stream.has_room
    assert len(woken) == 2 * len(listeners)
