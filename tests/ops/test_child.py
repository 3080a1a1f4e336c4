"""What a successor tells through its pipe, and what is heard of it at the other end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from kline_ops import events
from kline_ops.ops.child import Child, Teller
from kline_ops.ops.voice import Voice

REFUSED = events.Disconnected(
    connection=1, endpoint="ws://x", code=None, reason="connection refused", seconds=None
)
CONNECTED = events.Connected(connection=1, endpoint="ws://x")


@pytest.fixture
def heard() -> Iterator[tuple[Child, int]]:
    """A process that says nothing, and the descriptor that it would tell by."""
    process = subprocess.Popen(["true"], stderr=subprocess.PIPE)
    told, tells = os.pipe()
    child = Child(process, 0.0, Voice(2), told)
    yield child, tells
    os.close(told)
    child.stderr.close()
    process.wait()


def test_why_it_does_not_deliver_and_that_it_does(heard: tuple[Child, int]) -> None:
    child, tells = heard
    teller = Teller(tells, reasons=True)
    teller.hear(REFUSED)
    assert child.is_live() is False
    assert (child.trouble, child.last_word) == ("connection refused", "connection refused")
    teller.hear(CONNECTED)
    teller.live()
    assert child.is_live() is True
    teller.hear(REFUSED)  # nobody asks any more
    assert child.is_live() is None


def test_an_older_supervisor_takes_any_word_for_that(heard: tuple[Child, int]) -> None:
    child, tells = heard
    teller = Teller(tells, reasons=False)
    teller.hear(REFUSED)
    teller.live()
    assert (child.is_live(), child.trouble) == (True, "")


def test_a_supervisor_that_does_not_listen_holds_nothing_up(heard: tuple[Child, int]) -> None:
    _, tells = heard
    teller = Teller(tells, reasons=True)
    for _ in range(10_000):
        teller.hear(REFUSED)
    os.close(tells)
