"""A dead man's switch, against a real server."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest

from kline_ops.alerts import AlertError
from kline_ops.alerts.ping import Ping
from kline_ops.secret import Secret
from tests.alerts.hook import SECRET, Webhook
from tests.support.machine import until

EVERY = 0.2


@pytest.fixture
def ping(hook: Webhook) -> Iterator[Ping]:
    made = Ping(Secret(hook.url), EVERY)
    yield made
    end(made, hook)


def end(ping: Ping, hook: Webhook) -> None:
    """What is being asked would be logged in the middle of the next test."""
    hook.open.set()
    ping.close()
    if ping._thread.is_alive():
        ping._thread.join(10)


def test_it_pings_while_all_is_there(hook: Webhook, ping: Ping) -> None:
    ping.complete(True)
    ping.start()
    began = time.monotonic()

    def pinged() -> bool:
        ping.complete(True)
        return len(hook.asked) >= 4

    until(pinged)
    assert time.monotonic() - began >= 2.5 * EVERY
    assert set(hook.asked) == {f"/services/{SECRET}"}
    assert hook.posted == []


def test_it_is_silent_until_all_is_there_and_then_pings_at_once(hook: Webhook, ping: Ping) -> None:
    ping.start()
    ping.complete(False)
    time.sleep(2 * EVERY)
    assert hook.asked == []
    ping.complete(True)
    until(lambda: hook.asked)


def test_it_is_silent_while_something_is_missing(hook: Webhook, ping: Ping) -> None:
    ping.start()
    ping.complete(True)
    until(lambda: hook.asked)
    ping.complete(False)
    time.sleep(EVERY / 2)
    before = len(hook.asked)
    time.sleep(3 * EVERY)
    assert len(hook.asked) == before


def test_who_says_nothing_more_is_not_believed_for_long(hook: Webhook, ping: Ping) -> None:
    ping.start()
    ping.complete(True)
    time.sleep(6 * EVERY)
    before = len(hook.asked)
    assert 1 <= before <= 4
    time.sleep(3 * EVERY)
    assert len(hook.asked) == before
    ping.complete(True)
    until(lambda: len(hook.asked) > before)


def test_it_does_not_ping_more_often_for_being_told_often(hook: Webhook, ping: Ping) -> None:
    ping.start()
    began = time.monotonic()
    while time.monotonic() - began < 3 * EVERY:
        ping.complete(True)
        time.sleep(0.005)
    assert len(hook.asked) <= (time.monotonic() - began) / EVERY + 1


def test_a_failure_is_logged_once_and_so_is_its_end(
    hook: Webhook, ping: Ping, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kline_ops")
    hook.answers = [(500, {}, b""), (500, {}, b""), (500, {}, b""), (200, {}, b"OK")]
    ping.start()

    def pinged() -> bool:
        ping.complete(True)
        return len(hook.asked) >= 5

    until(pinged)
    assert [record.getMessage() for record in caplog.records] == [
        "127.0.0.1: the dead man's switch answered 500",
        "the dead man's switch is reached again: 127.0.0.1",
    ]


def test_a_listener_hears_of_a_failure_once_and_can_not_end_the_asking(hook: Webhook) -> None:
    told: list[tuple[str, str, int]] = []

    def fail(host: str, reason: str, lost: int) -> None:
        told.append((host, reason, lost))
        raise ValueError

    hook.answers = [(500, {}, b""), (500, {}, b""), (200, {}, b"OK")]
    ping = Ping(Secret(hook.url), EVERY, on_failed=fail)
    ping.start()

    def pinged() -> bool:
        ping.complete(True)
        return len(hook.asked) >= 4

    until(pinged)
    end(ping, hook)
    assert told == [("127.0.0.1", "the dead man's switch answered 500", 0)]


def test_a_server_that_hangs_holds_nobody_up(hook: Webhook, ping: Ping) -> None:
    hook.open.clear()
    ping.start()
    ping.complete(True)
    until(lambda: hook.asked)
    began = time.monotonic()
    for _ in range(1000):
        ping.complete(True)
    ping.close()
    assert not hook.open.is_set()
    assert time.monotonic() - began < 5
    assert len(hook.asked) == 1


@pytest.mark.parametrize("address", ["", "SECRET", "tgram://SECRET"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(AlertError) as raised:
        Ping(Secret(address))
    assert raised.value.one_line() == "no http:// or https:// address"
