"""What faults act on: the exchange's two addresses, the recorder's process, its disk and its file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kline_ops.clock import Clock
from kline_ops.drill.child import Child
from kline_ops.drill.disk import DiskControl, DiskFault
from kline_ops.exchange.faults import Fault
from kline_ops.exchange.server import ExchangeServer
from kline_ops.market import interval as intervals

#: Seconds for one connection to replace the other, and between two looks whether it has.
_REPLACED, _LOOK = 4.0, 0.02

SYMBOL = "BTCUSDT"
INTERVAL = intervals.parse("1s")


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that can be made to fail."""

    clock: Clock
    #: Addresses of one market; the first is preferred, and the one that REST is asked at.
    servers: Sequence[ExchangeServer]
    child: Child
    disk: DiskControl
    csv: Path

    def apply(self, *faults: Fault) -> None:
        """At all addresses: else the recorder would go where all is well."""
        for fault in faults:
            for server in self.servers:
                server.apply(fault)

    def heal(self) -> None:
        """Nothing is wrong any more, here and at the exchange."""
        for server in self.servers:
            server.heal()
        self.disk.tell(DiskFault.NONE)

    async def in_use(self) -> ExchangeServer:
        """The address that the recorder is connected to, once one connection has replaced the other.

        Where two last, that of the newest; the preferred address where there is none.
        """
        for _ in range(round(_REPLACED / _LOOK)):
            if len(self._open()) == 1:
                break
            await asyncio.sleep(_LOOK)
        newest = max(self._open(), default=None, key=lambda each: each[0])
        return self.servers[0] if newest is None else self.servers[newest[1]]

    def _open(self) -> list[tuple[int, int]]:
        """When each connection opened that is open (ms), and the number of its address."""
        return [
            (record.opened_ms, number)
            for number, server in enumerate(self.servers)
            for record in server.sessions
            if record.closed_ms is None
        ]

    def forming(self) -> tuple[tuple[str, str, int], int]:
        """The candle that forms now, as faults name it, and when it closes (ms)."""
        opened = INTERVAL.floor(self.clock.wall_ms())
        return (SYMBOL, INTERVAL.name, opened), INTERVAL.after(opened)

    def seconds_to(self, ms: int) -> float:
        """Seconds until this moment."""
        return (ms - self.clock.wall_ms()) / 1000.0

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    async def while_down(self, change: Callable[[Path], None], *, kill: bool) -> None:
        """End the recorder, change its file, and begin it anew."""
        await (self.child.kill() if kill else self.child.terminate())
        change(self.csv)
        await self.child.start()


def tear(csv: Path) -> None:
    """Half a row at the end of the file, as a machine leaves it that lost its power."""
    with csv.open("ab") as file:
        file.write(b"2026-01-27T14:00:00Z,1005")


def garble(csv: Path) -> None:
    """A row in the middle that is none any more; the file is as long as before."""
    lines = csv.read_bytes().splitlines(keepends=True)
    row = len(lines) // 2
    fd = os.open(csv, os.O_WRONLY)
    try:
        os.pwrite(fd, b"#" * (len(lines[row]) - 1), sum(map(len, lines[:row])))
    finally:
        os.close(fd)


def move_away(csv: Path) -> None:
    """As a log rotation does that knows nothing of it."""
    csv.replace(csv.with_name(csv.name + ".away"))
