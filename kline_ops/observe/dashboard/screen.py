"""The dashboard's thread: draws what it is shown, at the pace of who shows it and of the terminal.

The event loop leaves a snapshot and goes on. A terminal on hold holds up this thread alone, and a fault
in drawing ends the dashboard alone: plain log lines take its place.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable

from rich.color import ColorSystem
from rich.segment import Segment

from kline_ops.market.candle import Candle
from kline_ops.observe.candles import last_candles
from kline_ops.observe.dashboard import styles
from kline_ops.observe.dashboard.chart import Row
from kline_ops.observe.dashboard.lines import ConsoleLines
from kline_ops.observe.dashboard.look import Look
from kline_ops.observe.dashboard.panel import width_of
from kline_ops.observe.dashboard.terminal import ENTER, LEAVE, Terminal
from kline_ops.observe.dashboard.view import Shown, frame
from kline_ops.observe.snapshot import Snapshot

#: Seconds after which Python takes the interpreter from a thread for another one that waits for it: a
#: frame takes longer to draw, and a message that has come must not wait until it is done.
_SWITCH = 0.001
#: Each tenth frame is drawn whole: whatever else wrote to the terminal is gone then.
_WHOLE_EVERY = 10
#: Seconds that the end waits for the thread.
_CLOSE_TIMEOUT = 0.3

_log = logging.getLogger(__name__)


class Screen:
    """The alternate screen, from :meth:`start` to :meth:`close`."""

    def __init__(self, terminal: Terminal, look: Look, lines: ConsoleLines) -> None:
        self._terminal = terminal
        self._look = look
        self._lines = lines
        self._news = threading.Event()
        self._closing = False
        self._shown: tuple[Snapshot, tuple[str, ...]] | None = None
        self._painter = Painter(look)
        self._closed: list[Candle] = []
        #: How many candles were on disk when the file was read last, and how many were asked for.
        self._read = (-1, 0)
        self._switch_before = sys.getswitchinterval()
        self._thread = threading.Thread(target=self._run, name="dashboard", daemon=True)
        #: False once the terminal shows something else again.
        self.is_on = False

    def start(self) -> None:
        """Take the terminal."""
        self.is_on = self._lines.muted = True
        sys.setswitchinterval(_SWITCH)
        self._thread.start()

    def show(self, snapshot: Snapshot, prompts: tuple[str, ...] = ()) -> None:
        """Leave this to be drawn; what was left before and not drawn yet is forgotten."""
        self._shown = (snapshot, prompts)
        self._news.set()

    def close(self, farewell: str = "") -> None:
        """Give the terminal back, and leave some words on it; waits for a moment at the most."""
        self._closing = True
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_TIMEOUT)
        if self.is_on:
            self._leave(farewell)
        self._terminal.close()

    def _leave(self, farewell: str) -> None:
        self.is_on = self._lines.muted = False
        sys.setswitchinterval(self._switch_before)
        # A successor of this process may have it already: it must not be taken off its screen.
        if self._terminal.is_ours():
            self._terminal.try_write(LEAVE + farewell.encode(errors="replace"))

    def _run(self) -> None:
        try:
            if self._terminal.write(ENTER, self._goes_on):
                self._draw_until_closed()
        except OSError:
            return  # the terminal is gone; whoever hung it up tells us
        except Exception:  # noqa: BLE001 - the boundary between recording and what looks at it
            self._leave("")
            _log.exception("the dashboard failed; plain log lines from here on")

    def _draw_until_closed(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            if self._closing:
                return
            if self._shown is not None and self._terminal.is_ours():
                self._draw(*self._shown)

    def _draw(self, snapshot: Snapshot, prompts: tuple[str, ...]) -> None:
        width, height = self._terminal.size()
        self._read_candles(snapshot, max(width, height))
        shown = Shown(snapshot, self._closed, self._lines.last(), prompts)
        rows = frame(shown, width, height, self._look)
        self._terminal.write(self._painter.paint(rows, width, height), self._goes_on)

    def _read_candles(self, snapshot: Snapshot, count: int) -> None:
        """Look into the file again where there is more in it. It may not be there yet, or no more."""
        wanted = (snapshot.told["on_disk"], count)
        if wanted != self._read:
            with contextlib.suppress(OSError):
                self._closed = last_candles(snapshot.csv, count)
            self._read = wanted

    def _goes_on(self) -> bool:
        return not self._closing


class Painter:
    """Turns rows into what a terminal obeys: the lines that have changed, each at its place."""

    def __init__(self, look: Look) -> None:
        self._paint = _coloured if look.colour else _uncoloured
        self._before: list[str] = []
        self._size = (0, 0)
        self._frames = 0

    def paint(self, rows: list[Row], width: int, height: int) -> bytes:
        """What to write for this frame; nothing where it is the same as the one before."""
        lines = [_line(row, width, self._paint) for row in rows]
        whole = self._size != (width, height) or self._frames % _WHOLE_EVERY == 0
        parts = ["\x1b[2J"] if self._size != (width, height) else []
        for at, line in enumerate(lines):
            if whole or self._before[at] != line:
                parts.append(f"\x1b[{at + 1};1H{line}")
        self._before, self._size = lines, (width, height)
        self._frames += 1
        return "".join(parts).encode("utf-8", "replace")


def _line(row: Row, width: int, paint: Callable[[Segment], str]) -> str:
    # Erasing to the end after a full line would take its last character.
    rest = "\x1b[K" if width_of(row) < width else ""
    return "".join(map(paint, row)) + rest


def _coloured(segment: Segment) -> str:
    style = segment.style or styles.PLAIN
    return style.render(segment.text, color_system=ColorSystem.STANDARD)


def _uncoloured(segment: Segment) -> str:
    style = (segment.style or styles.PLAIN).without_color
    return style.render(segment.text, color_system=ColorSystem.STANDARD)
