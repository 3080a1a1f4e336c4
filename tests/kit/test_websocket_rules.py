"""Why a connection ended, which one counts, and how long to wait: by tables."""

from __future__ import annotations

import pytest

from kline_ops.events import PLANNED
from kline_ops.feed.link import Link
from kline_ops.feed.plan import AGED, BETTER, SHUTDOWN, STALLED
from kline_ops.feed.states import State
from kline_ops.kit.websocket_rules import (
    SUSPENDED,
    DisconnectReason,
    ReconnectStrategy,
    backoff_of,
    in_charge,
    is_usable,
    reason_of,
)

ASKED = DisconnectReason.CALLBACK_TRIGGERED


def link(number: int, state: State, why: str | None = None, *, closing: bool = False) -> Link:
    return Link(number, 0.0, state=state, why=why, closing=closing)


@pytest.mark.parametrize(
    ("code", "sent", "detail", "reason"),
    [
        (1000, None, "", "SERVER_CLOSED"),
        (1001, None, "24 hours", "SERVER_CLOSED"),
        (1008, None, "", "SERVER_CLOSED"),
        (4000, None, "", "SERVER_CLOSED"),
        (1002, None, "", "PROTOCOL_ERROR"),
        (1009, None, "", "PROTOCOL_ERROR"),
        (1006, 1007, "invalid start byte", "PROTOCOL_ERROR"),
        (1006, None, "connection lost without a close frame", "NETWORK_ERROR"),
        (1006, 1011, "keepalive ping timeout", "PING_TIMEOUT"),
        (None, None, "internal error: x", "NETWORK_ERROR"),
    ],
)
def test_an_end_that_was_not_ours_is_named_by_its_code(
    code: int | None, sent: int | None, detail: str, reason: str
) -> None:
    # Whether or not somebody wanted it to be replaced: it ended before that.
    for why in (None, PLANNED, STALLED):
        ended = link(1, State.LIVE, why)
        assert reason_of(ended, code, sent, detail, ASKED).name == reason


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        (PLANNED, "CALLBACK_TRIGGERED"),
        (AGED, "CONNECTION_LIMIT"),
        (SHUTDOWN, "SERVER_CLOSED"),
        (BETTER, "SCHEDULED"),
        (SUSPENDED, "NETWORK_ERROR"),
        (STALLED, "STALLED"),
        (None, "STALLED"),
    ],
)
def test_an_end_of_ours_is_named_by_why_it_was_wanted(why: str | None, reason: str) -> None:
    ended = link(1, State.DRAINING, why, closing=True)
    assert reason_of(ended, 1000, None, "", ASKED).name == reason


def test_the_one_that_delivers_is_in_charge() -> None:
    assert in_charge([]) is None
    assert in_charge([link(1, State.CONNECTING)]) is None
    old, new = link(1, State.LIVE, PLANNED), link(2, State.OPEN)
    assert in_charge([old, new]) is old
    old, new = link(1, State.DRAINING), link(2, State.LIVE)
    assert in_charge([old, new]) is new
    # The successor has died, and another one is not there yet.
    old, new = link(1, State.DRAINING), link(3, State.OPEN)
    assert in_charge([old, new]) is old


def test_what_is_known_to_bring_nothing_is_no_connection() -> None:
    assert is_usable(link(1, State.OPEN))
    assert is_usable(link(1, State.LIVE, PLANNED))
    assert not is_usable(link(1, State.CONNECTING))
    assert not is_usable(link(1, State.LIVE, STALLED))
    assert not is_usable(link(1, State.OPEN, closing=True))


@pytest.mark.parametrize(
    ("strategy", "waits"),
    [
        (ReconnectStrategy.IMMEDIATE, [0.0, 0.0, 1.0, 1.0]),
        (ReconnectStrategy.CALLBACK_CONTROLLED, [0.0, 0.0, 1.0, 1.0]),
        (ReconnectStrategy.FIXED_DELAY, [0.0, 0.25, 1.0, 1.0]),
        (ReconnectStrategy.EXPONENTIAL_BACKOFF, [0.0, 0.125, 0.25, 0.5]),
    ],
)
def test_the_waits_of_a_strategy(strategy: ReconnectStrategy, waits: list[float]) -> None:
    backoff = backoff_of(strategy, 0.25, 30.0, 20)
    assert [backoff.wait(failures, lambda: 0.5) for failures in range(4)] == waits


def test_a_fixed_delay_stays_what_it_is() -> None:
    backoff = backoff_of(ReconnectStrategy.FIXED_DELAY, 7.0, 30.0, 3)
    assert [backoff.wait(failures, lambda: 0.1) for failures in (1, 2, 100)] == [7.0, 7.0, 7.0]
