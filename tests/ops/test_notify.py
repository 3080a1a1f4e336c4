"""What a service manager hears, on real sockets of both kinds."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kline_ops import events
from kline_ops.ops.notify import Notifier, watchdog_seconds
from tests.support.virtual_time import VirtualClock, run_virtual


class Manager:
    """A socket as systemd has one; :meth:`heard` is what came since it was asked last."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        lines: list[str] = []
        while True:
            try:
                lines += self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return lines


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@kline-test-{os.getpid()}"
    made = Manager(name)
    yield made
    made.socket.close()


STARTED = events.SessionStarted(name="a", pid=1, symbol="BTCUSDT", interval="1s", csv="c")


def notifier(manager: Manager, **environ: str) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": manager.name, **environ}, ("7", "8"))


def test_ready_once_then_stopping(manager: Manager) -> None:
    told = notifier(manager)
    told.hear(STARTED)
    told.hear(STARTED)
    told.hear(events.HandedOver(pid=1))
    assert manager.heard() == ["READY=1"]
    told.hear(events.SessionStopped(reason="SIGTERM"))
    assert manager.heard() == ["STOPPING=1"]


def test_a_full_disk_at_the_start_is_no_reason_to_be_killed(manager: Manager) -> None:
    told = notifier(manager)
    told.hear(events.DiskFull(reason="no space", waiting=0))
    told.hear(STARTED)
    assert manager.heard() == ["READY=1"]


def watch(
    told: Notifier, seconds: float, is_sound: Callable[[float], bool], describe: Callable[[], str]
) -> None:
    async def main(clock: VirtualClock) -> None:
        told.start(lambda: is_sound(clock.monotonic()), describe)
        await asyncio.sleep(seconds)
        told.close()

    run_virtual(main)


def test_the_watchdog_hears_us_at_half_of_its_time_while_all_is_sound(manager: Manager) -> None:
    told = notifier(manager, WATCHDOG_USEC="2000000", WATCHDOG_PID="8")
    watch(told, 9.5, lambda now: not 4.5 < now < 7.5, lambda: "RECORDING")
    assert manager.heard() == ["WATCHDOG=1", "STATUS=RECORDING", *["WATCHDOG=1"] * 6]


def test_the_status_is_told_in_one_line_when_it_changes(manager: Manager) -> None:
    words = iter(["A", "A", "B: two\nlines", *["x" * 5000] * 9])
    watch(notifier(manager), 19, lambda now: True, lambda: next(words))
    assert manager.heard() == ["STATUS=A", "STATUS=B: two lines", f"STATUS={'x' * 400}"]


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "9"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_whose_watchdog_it_is(environ: dict[str, str], seconds: float | None) -> None:
    assert watchdog_seconds(environ, ("7", "8")) == seconds


def test_nobody_listens(tmp_path: Path) -> None:
    for name in ("", "relative", str(tmp_path / "gone"), f"/{'x' * 200}", "@nobody-there"):
        told = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000"}, ())
        told.hear(STARTED)
        watch(told, 3, lambda now: True, lambda: "A")


def test_a_manager_that_reads_nothing_holds_up_nobody(manager: Manager) -> None:
    """The queue of a datagram socket is short; a send that waits would stop the recorder."""
    told = notifier(manager, WATCHDOG_USEC="1000000")
    watch(told, 300, lambda now: True, lambda: "A")
    assert 0 < manager.heard().count("WATCHDOG=1") < 600
