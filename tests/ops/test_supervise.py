"""A real supervisor of small commands that end in every way, in a terminal of its own or without."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kline_ops.observe.dashboard.terminal import LEAVE
from kline_ops.ops.supervise import RENEW
from kline_ops.watch.process import Process, look_at
from tests.support.machine import ROOT, kill, until

#: Supervises ``sh -c argv[2]`` with its files in argv[1].
HARNESS = """
import sys
from pathlib import Path
from kline_ops.clock import SystemClock
from kline_ops.ops.supervise import Supervisor
folder = Path(sys.argv[1])
made = Supervisor(
    "trial", lambda: ["sh", "-c", sys.argv[2]], folder / "exit.json", folder / "events.jsonl",
    SystemClock(),
)
made.listen()
(folder / "ready").touch()
sys.exit(made.run())
"""


class Trial:
    """One supervisor, and what it has written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.child: subprocess.Popen[bytes] | None = None

    def begin(self, script: str, **options: Any) -> subprocess.Popen[bytes]:
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL} | options
        self.child = subprocess.Popen(
            [sys.executable, "-c", HARNESS, str(self.folder), script],
            stderr=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)},
            start_new_session=True, cwd=self.folder, **options,
        )  # fmt: skip
        until((self.folder / "ready").exists)
        return self.child

    def exit(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.folder / "exit.json").read_text())
        return told

    def events(self, kind: str) -> list[dict[str, Any]]:
        path = self.folder / "events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [told for line in lines if (told := json.loads(line))["kind"] == kind]

    def pid(self, name: str = "pid") -> int:
        """What a script has written down of itself."""
        path = self.folder / name
        return int(until(lambda: path.exists() and path.read_text().strip()))

    def close(self) -> None:
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    made = Trial(tmp_path)
    yield made
    made.close()


def gone(pid: int) -> bool:
    return look_at(pid, None) in {Process.GONE, Process.ZOMBIE}


@pytest.mark.parametrize(("code", "final"), [(0, True), (2, True), (1, False)])
def test_how_it_ended_is_written_down(trial: Trial, code: int, final: bool) -> None:
    child = trial.begin(f"echo one >&2; echo 'the last word' >&2; exit {code}")
    told = until(lambda: (trial.folder / "exit.json").exists() and trial.exit())
    assert (told["code"], told["signal"], told["final"]) == (code, None, final)
    assert told["last_lines"][-2:] == ["one", "the last word"]
    assert told["reason"] == "the last word"
    if final:
        assert child.wait(10) == code


def test_a_last_word_without_a_line_end_is_kept(trial: Trial) -> None:
    trial.begin("printf 'cut off' >&2; kill -9 $$")
    told = until(lambda: (trial.folder / "exit.json").exists() and trial.exit())
    assert (told["signal"], told["reason"]) == ("SIGKILL", "cut off")


def test_each_crash_is_an_event_with_its_signal(trial: Trial) -> None:
    trial.begin("echo $$ > pid.new; mv pid.new pid; sleep 60")
    for count, number in enumerate((signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM), 1):
        pid = trial.pid()
        kill(pid, number)
        until(lambda: len(trial.events("process_ended")) == count)  # noqa: B023
        last = trial.events("process_ended")[-1]
        assert (last["pid"], last["signal"], last["code"]) == (pid, number.name, None)
        until(lambda: trial.pid() != pid)  # noqa: B023


def test_a_stop_ends_the_command_and_all_that_it_started(trial: Trial) -> None:
    script = (
        "sleep 300 & echo $! > inside; setsid sh -c 'echo $$ > outside; exec sleep 300' &"
        " trap '' HUP; echo $$ > pid; wait"
    )
    child = trial.begin(script)
    pids = [trial.pid(name) for name in ("pid", "inside", "outside")]
    child.terminate()
    assert child.wait(10) == 0
    assert all(gone(pid) for pid in pids)
    assert (trial.exit()["code"], trial.exit()["final"]) == (0, True)


def test_what_a_crashed_command_left_in_its_group_is_ended_before_the_next_start(
    trial: Trial,
) -> None:
    trial.begin("sleep 300 & echo $! > left; exit 1")
    left = trial.pid("left")
    until(lambda: trial.events("process_ended"))
    until(lambda: gone(left))


def test_no_zombie_stays_of_a_grandchild(trial: Trial) -> None:
    child = trial.begin(
        "setsid sh -c 'echo $$ > brief; exit 0' & sleep 0.1; echo $$ > pid; wait; sleep 60"
    )
    brief = trial.pid("brief")
    trial.pid()
    until(lambda: look_at(brief, None) is Process.GONE)
    assert child.poll() is None


def test_a_hangup_is_passed_on_and_told_as_such(trial: Trial) -> None:
    script = "trap 'touch hung-up; exit 0' HUP; echo $$ > pid; while true; do sleep 0.1; done"
    child = trial.begin(script)
    trial.pid()
    child.send_signal(signal.SIGHUP)
    assert child.wait(10) == 0
    assert (trial.folder / "hung-up").exists()
    assert trial.exit()["orphaned"] is True


def test_a_program_that_is_not_there_is_tried_again(trial: Trial) -> None:
    harness = HARNESS.replace('["sh", "-c", sys.argv[2]]', '["/nowhere/at/all"]')
    child = subprocess.Popen(
        [sys.executable, "-c", harness, str(trial.folder), ""],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=trial.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    trial.child = child
    until((trial.folder / "exit.json").exists)
    assert (trial.exit()["code"], trial.exit()["final"]) == (127, False)


#: Says that it delivers where it is a successor; makes way at SIGUSR2.
RECORDER = """
echo $$ >> pids
trap 'exit 0' USR2 TERM
if [ -n "$KLINE_OPS_SUCCESSOR" ]; then echo 1 > /proc/self/fd/$KLINE_OPS_SUCCESSOR; fi
while true; do sleep 0.1; done
"""


def pids(trial: Trial, count: int) -> list[int]:
    path = trial.folder / "pids"
    return until(
        lambda: path.exists() and len(told := [int(x) for x in path.read_text().split()]) == count
        and told
    )  # fmt: skip


def test_a_fresh_process_takes_over(trial: Trial) -> None:
    child = trial.begin(RECORDER)
    (first,) = pids(trial, 1)
    child.send_signal(RENEW)
    _, second = pids(trial, 2)
    until(lambda: gone(first))
    assert not gone(second)
    # It is the recorder now: its end is the end of all.
    kill(second, signal.SIGTERM)
    assert child.wait(10) == 0
    assert [told["role"] for told in trial.events("process_ended")] == ["recorder", "recorder"]


def test_a_fresh_process_that_fails_leaves_the_old_one_alone(trial: Trial) -> None:
    child = trial.begin('echo $$ >> pids; [ -z "$KLINE_OPS_SUCCESSOR" ] || exit 2; exec sleep 60')
    (first,) = pids(trial, 1)
    child.send_signal(RENEW)
    (failed,) = until(lambda: trial.events("renewal_failed"))
    assert failed["reason"] == "the new process ended (exit code 2)"
    assert not gone(first)


def test_a_fresh_process_without_data_tells_why(trial: Trial) -> None:
    """It is ended by us then: that is not the reason."""
    script = (
        'echo $$ >> pids; [ -z "$KLINE_OPS_SUCCESSOR" ] ||'
        " echo connection refused > /proc/self/fd/$KLINE_OPS_SUCCESSOR; exec sleep 60"
    )
    harness = f"from kline_ops.ops import care\ncare.LIVE_WITHIN = 1.0\n{HARNESS}"
    trial.child = subprocess.Popen(
        [sys.executable, "-c", harness, str(trial.folder), script],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        cwd=trial.folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    (first,) = pids(trial, 1)
    trial.child.send_signal(RENEW)
    (failed,) = until(lambda: trial.events("renewal_failed"))
    assert failed["reason"] == "the new process had no data within 1 s: connection refused"
    assert not gone(first)


class Terminal:
    """A terminal that a supervisor runs in."""

    def __init__(self) -> None:
        self.controller, self.terminal = pty.openpty()
        self.shown = b""

    def wait_for(self, words: bytes) -> None:
        def there() -> bool:
            if select.select([self.controller], [], [], 0)[0]:
                self.shown += os.read(self.controller, 65536)
            return words in self.shown

        until(there)

    def close(self) -> None:
        os.close(self.controller)
        os.close(self.terminal)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.close()


def in_terminal(trial: Trial, terminal: Terminal, script: str) -> subprocess.Popen[bytes]:
    harness = "import fcntl, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n" + HARNESS
    trial.child = subprocess.Popen(
        [sys.executable, "-c", harness, str(trial.folder), script],
        stdin=terminal.terminal, stdout=terminal.terminal, stderr=terminal.terminal,
        start_new_session=True, cwd=trial.folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return trial.child


def test_a_killed_recorder_leaves_a_usable_terminal(trial: Trial, terminal: Terminal) -> None:
    script = (
        "stty raw -echo; printf '\\033[?1049h\\033[?25l';"
        " echo $$ > pid.new; mv pid.new pid; sleep 60"
    )
    child = in_terminal(trial, terminal, script)
    kill(trial.pid())
    terminal.wait_for(LEAVE)
    child.terminate()
    child.wait(10)
    local = termios.tcgetattr(terminal.terminal)[3]
    assert local & termios.ECHO
    assert local & termios.ICANON


def test_keys_go_to_the_recorder_and_ctrl_z_does_not_suspend_it(
    trial: Trial, terminal: Terminal
) -> None:
    script = "trap 'echo interrupted > seen' INT; echo $$ > pid; while true; do sleep 0.1; done"
    child = in_terminal(trial, terminal, script)
    pid = trial.pid()
    os.write(terminal.controller, b"\x1a")
    os.write(terminal.controller, b"\x03")
    until((trial.folder / "seen").exists)
    assert look_at(pid, None) is Process.RUNNING
    assert child.poll() is None


def test_crashes_wait_longer_and_longer(trial: Trial) -> None:
    trial.begin("exit 1")
    until(lambda: len(trial.events("process_ended")) >= 3)
    began = time.monotonic()
    count = len(trial.events("process_ended"))
    until(lambda: len(trial.events("process_ended")) > count)
    assert time.monotonic() - began > 0.5


def test_a_terminal_that_nobody_reads_holds_nothing_up(trial: Trial, terminal: Terminal) -> None:
    in_terminal(trial, terminal, "echo $$ > pid.new; mv pid.new pid; yes")
    for _ in range(2):
        pid = trial.pid()
        # What fits into a terminal is little: it is full by then.
        time.sleep(0.3)
        kill(pid)
        until(lambda: trial.pid() != pid)  # noqa: B023
    assert trial.exit()["signal"] == "SIGKILL"
