"""What is known of the recorder from outside: its event log and its candle file, nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kline_ops.drill.faults import Sign
from kline_ops.market.candle import HEADER, row_open_ms
from kline_ops.market.interval import Interval
from kline_ops.market.timestamp import to_ms

_HEADER_LINE = f"{HEADER}\n".encode()


class EventLog:
    """The recorder's ``events.jsonl``, read as it grows."""

    def __init__(self, path: Path, interval: Interval) -> None:
        self.path = path
        self._interval = interval
        self._offset = 0
        #: All lines so far; ``ts`` in milliseconds.
        self.events: list[dict[str, Any]] = []
        #: The connections that deliver.
        self.live: set[int] = set()
        #: Open times of candles that came from REST.
        self.from_rest: set[int] = set()

    def poll(self) -> None:
        """Read what is new. Half a line waits for its end."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            # A process that is killed may leave half a line, and the next one goes on from there.
            try:
                event = json.loads(line)
                event["ts"] = to_ms(event["ts"])
            except ValueError:
                continue
            self.events.append(event)
            self._note(event)

    def sign(self, signs: Iterable[Sign], since_ms: int, index: int) -> dict[str, Any] | None:
        """The first event from ``index`` on that tells of what began at ``since_ms``."""
        for event in self.events[index:]:
            # A hole of before is told again by a recorder that was begun anew.
            late = "last" in event and to_ms(event["last"]) < self._interval.floor(since_ms)
            if not late and any(sign.fits(event) for sign in signs):
                return event
        return None

    def _note(self, event: dict[str, Any]) -> None:
        match event["kind"]:
            case "session_started":
                self.live.clear()
            case "live":
                self.live.add(event["connection"])
            case "disconnected":
                self.live.discard(event["connection"])
            case "replaced":
                self.live.discard(event["old"])
            case "hole_filled":
                first, last = to_ms(event["first"]), to_ms(event["last"])
                opens = range(first, last + 1, int(self._interval.typical_ms))
                self.from_rest.update(opens[: event["candles"]])


class CandleFile:
    """The recorder's candle file, read again whenever it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, ...] = ()
        #: The lines of each open time; more than one is a double.
        self.rows: dict[int, list[bytes]] = {}
        #: Lines that are no rows, or stand out of order.
        self.strange = 0

    def poll(self) -> None:
        """Read it, if it is another than before."""
        try:
            with self.path.open("rb") as file:
                stat = os.fstat(file.fileno())
                seen = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
                if seen == self._seen:
                    return
                data = file.read()
        except FileNotFoundError:
            self._seen, self.rows, self.strange = (), {}, 0
            return
        self._seen, self.rows, self.strange = seen, {}, 0
        last = -1
        # What stands behind the last end of line is being written.
        for line in data[: data.rfind(b"\n") + 1].splitlines(keepends=True):
            open_ms = row_open_ms(line)
            if open_ms is None:
                self.strange += line != _HEADER_LINE
                continue
            self.strange += open_ms < last
            last = open_ms
            self.rows.setdefault(open_ms, []).append(line)
