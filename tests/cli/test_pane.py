"""The recorder's pane, on real terminals: a tmux window, or a pseudo terminal that we hold."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kline_ops.market import timestamp
from kline_ops.observe.dashboard.terminal import ENTER, LEAVE
from kline_ops.watch.process import Process, look_at
from tests.support.machine import Machine, kill, until

UTF8 = {"LC_ALL": "C.UTF-8"}


class Window:
    """``kline-ops run demo`` in a tmux window; the shell around it stays when it has ended."""

    def __init__(self, machine: Machine, *options: str, **environ: str) -> None:
        self._machine = machine
        variables = {**machine.environ, "NO_COLOR": "", **UTF8, **environ}
        given = [f"{key}={value}" for key, value in variables.items() if key != "TERM"]
        term = [f"TERM={environ['TERM']}"] if "TERM" in environ else []
        command = [*given, *term, sys.executable, "-m", "kline_ops", "run", "demo", *options]
        self.tmux(
            "new-session", "-d", "-s", "demo", "-x", "80", "-y", "24",
            "env", "sh", "-c", 'env "$@"; echo "exit code $?"; exec sleep 60', "sh", *command,
        )  # fmt: skip

    def tmux(self, *arguments: str) -> str:
        return self._machine.tmux(*arguments)

    def keys(self, *keys: str) -> None:
        self.tmux("send-keys", "-t", "=demo:", *keys)

    def shown(self, *options: str) -> str:
        return self.tmux("capture-pane", "-p", "-t", "=demo:", *options)

    def until(self, *words: str) -> str:
        def has_all() -> str | None:
            shown = self.shown()
            return shown if all(word in shown for word in words) else None

        return str(until(has_all))

    def is_restored(self) -> bool:
        flags = "#{alternate_on} #{cursor_flag} #{wrap_flag}"
        return self.tmux("display-message", "-p", "-t", "=demo:", flags).split() == ["0", "1", "1"]


def test_what_the_pane_shows_and_what_its_keys_do(machine: Machine) -> None:
    window = Window(machine)
    window.until("● RECORDING", "HB:1 | WS:0 | CANDLES:", "next restart in", "missing 0", "│ ▲")
    window.keys("d")
    window.until("key d: cutting the connection off", "ended, 1006")
    window.until("● RECORDING", "WS:1", "missing 0")
    window.tmux("resize-window", "-t", "=demo:", "-x", "40", "-y", "20")
    narrow = window.until("── candles ──", "── log ──")
    assert max(map(len, narrow.splitlines())) <= 40
    window.tmux("resize-window", "-t", "=demo:", "-x", "120", "-y", "40")
    window.keys("r")
    window.until("key r: opening a successor", "(planned)", "╭─ candles ──")
    window.keys("q")
    ended = window.until("exit code 0")
    assert "stopped: key q" in ended
    assert "demo has ended; " in ended
    assert "candles are on disk" in ended
    assert "RECORDING" not in ended
    assert window.is_restored()


@pytest.mark.parametrize(
    ("options", "environ", "has", "has_not"),
    [
        ([], {}, ["● RECORDING", "╭─", " candles", "\x1b[32m"], []),
        ([], {"NO_COLOR": "1"}, ["● RECORDING", "╭─", " candles"], ["\x1b[32m", "\x1b[34m"]),
        ([], {"LC_ALL": "C"}, ["* RECORDING", "+-", " candles"], ["─"]),
        (["--plain"], {}, ["INFO     connection 1: live"], ["HB:1", "RECORDING"]),
        ([], {"TERM": "dumb"}, ["INFO     connection 1: live"], ["HB:1", "RECORDING"]),
    ],
    ids=["all", "no colour", "no UTF-8", "plain", "dumb"],
)
def test_it_shows_what_the_terminal_can(
    machine: Machine,
    options: list[str],
    environ: dict[str, str],
    has: list[str],
    has_not: list[str],
) -> None:
    window = Window(machine, *options, **environ)
    until(lambda: all(word in window.shown("-e") for word in has))
    shown = window.shown("-e")
    assert not [word for word in has_not if word in shown]
    if "C" in environ.values():
        assert window.shown().isascii()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_at_once_and_gives_the_terminal_back(
    machine: Machine, number: signal.Signals
) -> None:
    window = Window(machine)
    window.until("● RECORDING")
    pid = machine.state("demo")["metadata"]["pid"]
    kill(pid, number)
    kill(pid, number)
    window.until("exit code 0", f"stopped: {number.name}")
    assert window.is_restored()


def test_in_a_kept_pane_a_key_that_ends_the_recording_is_asked_for_twice(machine: Machine) -> None:
    machine.run("start", "demo", **UTF8)

    def shown() -> str:
        return machine.tmux("capture-pane", "-p", "-t", "=demo:")

    def press(key: str) -> None:
        machine.tmux("send-keys", "-t", "=demo:", key)

    until(lambda: "● RECORDING" in shown())
    press("C-c")
    question = "press Ctrl+C again within 3 s to end the recording; Ctrl+B D leaves it running"
    until(lambda: question in shown())
    until(lambda: "again within" not in shown())
    machine.tmux("send-keys", "-t", "=demo:", "-l", "requests and q q quit")  # pasted
    # A press right behind a paste is taken for a part of it: the recorder must have read that.
    pasted_ms = time.time() * 1000
    until(lambda: timestamp.to_ms(machine.state("demo")["timestamp"]) > pasted_ms + 1000)
    assert machine.status("demo")["state"] == "RECORDING"
    press("q")
    until(lambda: "press q again within 3 s" in shown())
    press("F10")
    told = machine.data("demo") / "exit.json"
    until(lambda: told.exists() and json.loads(told.read_text())["final"])
    assert json.loads(told.read_text())["code"] == 0
    assert "stopped: key F10" in (machine.data("demo") / "session.log").read_text()


@pytest.mark.long
def test_after_a_kill_the_next_recorder_has_the_pane(machine: Machine) -> None:
    machine.run("start", "demo", **UTF8)

    def shown() -> str:
        return machine.tmux("capture-pane", "-p", "-t", "=demo:")

    until(lambda: "● RECORDING" in shown())
    first = machine.status("demo")["pid"]
    kill(first)
    until(lambda: "SIGKILL" in shown())
    flags = machine.tmux("display-message", "-p", "-t", "=demo:", "#{alternate_on} #{cursor_flag}")
    assert flags.split() == ["0", "1"] or "● " in shown()
    until(lambda: "● RECORDING" in shown() and machine.status("demo")["pid"] != first)


@pytest.mark.long
def test_a_fresh_process_that_takes_over_has_the_pane(machine: Machine) -> None:
    """The old one must not take the new one off its screen when it ends."""
    machine.run("start", "demo", **UTF8)

    def shown() -> str:
        return machine.tmux("capture-pane", "-p", "-t", "=demo:")

    until(lambda: "● RECORDING" in shown())
    first = machine.status("demo")["pid"]
    assert machine.run("restart", "demo").returncode == 0
    until(lambda: not look_alive(first))
    second = machine.status("demo")["pid"]
    received = machine.state("demo")["candles_received"]
    until(lambda: machine.state("demo")["candles_received"] > received)
    until(lambda: "● RECORDING" in shown() and "╭─ log ─" in shown())
    flags = machine.tmux("display-message", "-p", "-t", "=demo:", "#{alternate_on} #{cursor_flag}")
    assert flags.split() == ["1", "0"]
    machine.tmux("send-keys", "-t", "=demo:", "q")
    until(lambda: "press q again within 3 s" in shown())
    assert machine.status("demo")["pid"] == second


def look_alive(pid: int) -> bool:
    return look_at(pid, None) is Process.RUNNING


# -- a terminal that we hold ----------------------------------------------------------------------


OWN_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"


@contextmanager
def terminal(machine: Machine, patch: str = "", **environ: str) -> Iterator[tuple[Any, int]]:
    """A recorder on a pseudo terminal; ``patch`` is run in it before. Yields it and our end."""
    controller, theirs = os.openpty()
    script = f"{OWN_TERMINAL}{patch}\nfrom kline_ops.cli import main\nmain()\n"
    child = subprocess.Popen(
        [sys.executable, "-c", script, "run", "demo"],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, cwd=machine.folder,
        env=machine.environ | UTF8 | {"TERM": "xterm-256color"} | environ,
    )  # fmt: skip
    os.close(theirs)
    try:
        yield child, controller
    finally:
        child.kill()
        child.wait()
        os.close(controller)


def read_until(controller: int, holds: Callable[[bytes], bool], seconds: float = 20.0) -> bytes:
    """What the terminal got, from now until something holds of it."""
    written = b""
    deadline = time.monotonic() + seconds
    while not holds(written):
        assert time.monotonic() < deadline, written[-500:]
        if select.select([controller], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):  # nobody has the other end any more
                written += os.read(controller, 65536)
    return written


def test_a_terminal_that_nobody_reads_costs_no_candle(machine: Machine) -> None:
    with terminal(machine) as (child, _):
        until(lambda: machine.state("demo").get("candles_received", 0) >= 2)
        before = machine.state("demo")["candles_received"]
        until(lambda: machine.state("demo")["candles_received"] >= before + 3)
        assert machine.state("demo")["metadata"]["missing"] == 0
        began = time.monotonic()
        child.send_signal(signal.SIGTERM)
        assert child.wait(5) == 0
        assert time.monotonic() - began < 3


BROKEN_VIEW = """
from kline_ops.observe.dashboard import screen
def frame(*_): raise RuntimeError("a fault of ours")
screen.frame = frame
"""


def test_a_fault_in_drawing_ends_the_dashboard_alone(machine: Machine) -> None:
    with terminal(machine, BROKEN_VIEW) as (child, controller):
        told = b"the dashboard failed; plain log lines from here on"
        written = read_until(controller, lambda written: told in written and b": live" in written)
        assert LEAVE in written
        assert written.count(ENTER) == written.count(told) == 1
        until(lambda: machine.state("demo").get("candles_received", 0) >= 2)
        os.write(controller, b"q")
        read_until(controller, lambda written: b"stopped: key q" in written)
        assert child.wait(5) == 0


COUNTS_FROZEN = """
import gc
from kline_ops.cli.pane import Pane
begin = Pane.begin
def told(*args):
    begin(*args)
    print(f"frozen {gc.get_freeze_count()} objects", flush=True)
Pane.begin = told
"""


def test_no_search_for_garbage_holds_up_the_recorder(machine: Machine) -> None:
    """All that is imported was looked through now and then: 25 ms in which nothing is recorded."""
    with terminal(machine, COUNTS_FROZEN) as (_, controller):
        written = read_until(controller, lambda written: b" objects" in written)
        assert int(written.partition(b"frozen ")[2].split()[0]) > 10_000


NEVER_ENDS = """
from kline_ops.service import Session
Session.stop = lambda *_: None
"""


def test_a_second_ctrl_c_forces_the_end(machine: Machine) -> None:
    with terminal(machine, NEVER_ENDS) as (child, controller):
        read_until(controller, lambda written: b"RECORDING" in written)
        before = termios.tcgetattr(controller)
        os.write(controller, b"\x03")
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(1.0)
        os.write(controller, b"\x03")
        read_until(controller, lambda written: LEAVE in written)
        assert child.wait(5) == 130
        cooked = termios.tcgetattr(controller)
        assert not before[3] & termios.ICANON
        assert cooked[3] & termios.ICANON
        assert cooked[3] & termios.ECHO


def test_sigterm_twice_is_no_more_than_once(machine: Machine) -> None:
    with terminal(machine, NEVER_ENDS) as (child, controller):
        read_until(controller, lambda written: b"RECORDING" in written)
        child.send_signal(signal.SIGTERM)
        time.sleep(0.6)
        child.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.5)
