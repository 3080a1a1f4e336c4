"""The thread that draws, on a real terminal of its own: what it writes, and that nobody waits for it."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kline_ops.market.candle import HEADER
from kline_ops.observe.candles import last_candles
from kline_ops.observe.dashboard.lines import ConsoleLines
from kline_ops.observe.dashboard.look import UNICODE, Look
from kline_ops.observe.dashboard.screen import Painter
from kline_ops.observe.dashboard.terminal import ENTER, LEAVE
from kline_ops.observe.dashboard.view import Shown, frame
from tests.observe.test_dashboard_view import LOG, candle, market, snapshot


def rows(number: int = 0):
    return frame(Shown(snapshot(candle(number, 1, 2, 1, 2)), market(5), LOG), 80, 24, LOOK)


LOOK = Look(UNICODE, colour=True)


def test_only_what_has_changed_is_written() -> None:
    painter = Painter(LOOK)
    first = painter.paint(rows(7), 80, 24)
    assert first.startswith(b"\x1b[2J")
    assert painter.paint(rows(7), 80, 24) == b""
    later = painter.paint(rows(8), 80, 24)
    assert 0 < len(later) < len(first) / 3


def test_each_tenth_frame_is_whole_whoever_else_has_written_there() -> None:
    painter = Painter(LOOK)
    written = [len(painter.paint(rows(), 80, 24)) for _ in range(12)]
    assert [at for at, size in enumerate(written) if size] == [0, 10]


def test_a_new_size_is_drawn_anew() -> None:
    painter = Painter(LOOK)
    painter.paint(rows(), 80, 24)
    assert painter.paint(rows(), 81, 24).startswith(b"\x1b[2J")


def test_a_full_line_is_not_followed_by_an_erasure() -> None:
    """In the last column the cursor stays on the last character: erasing to the end would take it."""
    written = Painter(LOOK).paint(rows(), 80, 24).decode()
    assert "│\x1b[0m\x1b[K" not in written


def test_without_colour_no_colour_is_written() -> None:
    written = Painter(Look(UNICODE, colour=False)).paint(rows(), 80, 24)
    assert b"\x1b[1m" in written
    parameters = b";".join(re.findall(rb"\x1b\[([0-9;]+)m", written)).split(b";")
    assert set(parameters) <= {b"0", b"1", b"2", b"7"}


def test_the_console_keeps_what_a_dashboard_shows(capsys: pytest.CaptureFixture[str]) -> None:
    console = ConsoleLines(sys.stdout)
    for number, muted in enumerate((False, True, False)):
        console.muted = muted
        console.handle(logging.LogRecord("x", 20, "", 1, "line %d", (number,), None))
    out = capsys.readouterr().out
    assert [line.text for line in console.last()] == ["line 0", "line 1", "line 2"]
    assert [line.split()[-1] for line in out.splitlines()] == ["0", "2"]


def test_the_last_candles_are_read_from_the_file_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    candles = market(500)
    path.write_bytes(f"{HEADER}\n".encode() + b"".join(c.row() for c in candles))
    assert last_candles(path, 40) == candles[-40:]
    assert last_candles(path, 1000) == candles
    with path.open("ab") as file:
        file.write(candles[0].row()[:30])  # torn
    assert last_candles(path, 40)[-1] == candles[-1]
    path.write_bytes(f"{HEADER}\n".encode())
    assert last_candles(path, 40) == []


def test_what_is_switched_on_is_switched_off() -> None:
    switched = re.findall(rb"\x1b\[\?(\d+)([hl])", ENTER)
    back = {b"h": b"l", b"l": b"h"}
    assert {(mode, back[to]) for mode, to in switched} == set(
        re.findall(rb"\x1b\[\?(\d+)([hl])", LEAVE)
    )


DRAW = """
import sys, threading, time
from kline_ops.observe.dashboard import screen, terminal
from kline_ops.observe.dashboard.lines import ConsoleLines
from kline_ops.observe.dashboard.look import UNICODE, Look
from tests.observe.test_dashboard_view import candle, snapshot
lines = ConsoleLines(sys.stdout)
shown = screen.Screen(terminal.Terminal(), Look(UNICODE, True), lines)
shown.start()
longest = 0.0
for number in range({frames}):
    began = time.perf_counter()
    shown.show(snapshot(candle(number, 1, 2, 1, 2)))
    longest = max(longest, time.perf_counter() - began)
    time.sleep(0.01)
began = time.perf_counter()
shown.close("farewell\\n")
print(f"longest {{longest:.4f}} close {{time.perf_counter() - began:.2f}}", file=sys.stderr)
"""


def draw(frames: int, *, read: bool) -> tuple[str, bytes]:
    """Run the script on a terminal of its own; its error output, and what the terminal got."""
    controller, terminal = os.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", OWN_TERMINAL + DRAW.format(frames=frames)],
        stdin=terminal, stdout=terminal, stderr=subprocess.PIPE, start_new_session=True, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    os.close(terminal)
    written = b""
    try:
        while read:
            try:
                written += os.read(controller, 65536)
            except OSError:
                break
        _, errors = child.communicate(timeout=20)
    finally:
        child.kill()
        child.wait()
        os.close(controller)
    return errors, written


OWN_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"


def test_it_enters_draws_and_leaves() -> None:
    errors, written = draw(50, read=True)
    assert "longest" in errors
    assert written.startswith(b"\x1b[?1049h")
    assert b"HB:1 | WS:7 | CANDLES:1234" in written
    assert written.endswith(LEAVE + b"farewell\r\n")


def test_a_terminal_that_nobody_reads_holds_up_nobody() -> None:
    """The kernel's buffer is full after some frames; who shows and who closes goes on at once."""
    errors, _ = draw(150, read=False)
    _, longest, _, close = errors.split()
    assert float(longest) < 0.1
    assert float(close) < 1.0
