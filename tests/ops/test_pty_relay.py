"""The relay alone: a program that ends as its command did, and shows and writes all that it said."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from kline_ops.watch.files import read_json
from kline_ops.watch.process import Process, look_at
from tests.support.machine import ROOT, until


def relay(folder: Path, *command: str) -> list[str]:
    module = [sys.executable, "-m", "kline_ops.ops.pty_relay"]
    files = [f"--log={folder / 'session.log'}", f"--state={folder / 'state.json'}"]
    return [*module, *files, "--name=x", f"--folder={folder}", "--", *command]


def run(folder: Path, *command: str, keys: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        relay(folder, *command), input=keys, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60,
    )  # fmt: skip


def shell(folder: Path, script: str, keys: str = "") -> subprocess.CompletedProcess[str]:
    return run(folder, "sh", "-c", script, keys=keys)


def log(folder: Path) -> str:
    return (folder / "session.log").read_text()


@pytest.mark.parametrize("code", [0, 1, 2, 127, 255])
def test_it_ends_with_the_same_code(tmp_path: Path, code: int) -> None:
    ended = shell(tmp_path, f"echo so; exit {code}")
    assert ended.returncode == code
    assert ended.stdout == "so\n"
    # The reason, for a supervisor; a good end has none.
    assert ended.stderr == ("so\n" if code else "")
    assert log(tmp_path) == "so\n"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGSEGV", "SIGINT", "SIGUSR1"])
def test_it_ends_by_the_same_signal(tmp_path: Path, name: str) -> None:
    ended = shell(tmp_path, f"printf cut; kill -{name.removeprefix('SIG')} $$; sleep 60")
    assert ended.returncode == -signal.Signals[name]
    assert log(tmp_path) == "cut\n"


def test_one_that_kills_all_of_its_group(tmp_path: Path) -> None:
    ended = shell(tmp_path, "echo farewell; kill -9 0")
    assert ended.returncode == -signal.SIGKILL
    assert log(tmp_path) == "farewell\n"


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    ended = run(tmp_path, "/nowhere/at all")
    assert (ended.returncode, ended.stderr) == (
        127, "cannot run /nowhere/at all: No such file or directory\n",
    )  # fmt: skip
    (tmp_path / "text").write_text("no program")
    assert run(tmp_path, str(tmp_path / "text")).returncode == 126


def test_all_of_it_is_there_however_much(tmp_path: Path) -> None:
    ended = shell(tmp_path, "seq 1 200000; kill -9 $$")
    told = list(map(str, range(1, 200_001)))
    assert ended.stdout.split() == told
    assert log(tmp_path).split() == told


def test_its_input_ends_when_ours_does(tmp_path: Path) -> None:
    ended = shell(tmp_path, "stty -echo; cat; echo end", keys="first\nsecond\n")
    assert ended.returncode == 0
    assert log(tmp_path).endswith("first\nsecond\nend\n")


def test_what_it_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    ended = shell(tmp_path, "stty raw; sleep 0.5; echo fine", keys="x" * 1_000_000)
    assert ended.returncode == 0
    assert "fine" in log(tmp_path)


def test_the_state_names_the_command(tmp_path: Path) -> None:
    child = subprocess.Popen(
        relay(tmp_path, "sleep", "300"), stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        told = until(lambda: read_json(tmp_path / "state.json"))
        metadata = told["metadata"]
        assert metadata["session"] == "x"
        pid = metadata["pid"]
        assert look_at(pid, metadata["pid_started"]) is Process.RUNNING
        assert os.getsid(pid) != os.getsid(0)
    finally:
        # The command must not outlive it, even if it is killed.
        child.kill()
        child.wait()
    until(lambda: look_at(pid, None) in {Process.GONE, Process.ZOMBIE})


def test_who_needs_a_moment_to_end_has_it(tmp_path: Path) -> None:
    """A shell is gone at once; what it had started still finishes its work."""
    worker = "trap 'sleep 0.5; echo finished; exit' TERM; echo ready; while :; do sleep 0.05; done"
    script = tmp_path / "worker.sh"
    script.write_text(worker)
    child = subprocess.Popen(
        relay(tmp_path, "sh", "-c", f"sh {script}; true"), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    until(lambda: (tmp_path / "session.log").exists() and "ready" in log(tmp_path))
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=20)
    assert child.returncode == -signal.SIGTERM
    assert "finished" in log(tmp_path)
    assert errors == b""


class Pane:
    """A terminal that the relay runs in, as the leader of its session."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.controller, terminal = pty.openpty()
        self.before = termios.tcgetattr(terminal)
        self.child = subprocess.Popen(
            relay(folder, *command), stdin=terminal, stdout=terminal, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )  # fmt: skip
        self.terminal = terminal

    def read(self) -> bytes:
        shown = b""
        while select.select([self.controller], [], [], 0)[0]:
            shown += os.read(self.controller, 65536)
        return shown

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.communicate()
        os.close(self.controller)
        os.close(self.terminal)


def test_keys_go_to_the_command_and_the_terminal_is_as_it_was(tmp_path: Path) -> None:
    pane = Pane(tmp_path, "sh", "-c", "trap 'echo int; exit 7' INT; echo ready; read x")
    try:
        until(lambda: b"ready" in pane.read())
        assert termios.tcgetattr(pane.terminal) != pane.before
        os.write(pane.controller, b"\x03")
        until(lambda: (pane.read() or True) and pane.child.poll() is not None)
        assert pane.child.returncode == 7
        assert termios.tcgetattr(pane.terminal) == pane.before
    finally:
        pane.close()


def test_a_terminal_on_hold_stops_no_command(tmp_path: Path) -> None:
    pane = Pane(tmp_path, "sh", "-c", "seq 1 300000; echo end")  # 2 MB, which nobody reads
    try:
        until(lambda: (tmp_path / "session.log").exists() and log(tmp_path).endswith("end\n"))
        assert pane.child.wait(20) == 0
        assert log(tmp_path).split() == [*map(str, range(1, 300_001)), "end"]
    finally:
        pane.close()


def test_an_end_of_its_terminal_is_an_end(tmp_path: Path) -> None:
    pane = Pane(tmp_path, "sh", "-c", "echo ready; sleep 300")
    until(lambda: b"ready" in pane.read())
    told = read_json(tmp_path / "state.json") or {}
    os.close(pane.controller)
    os.close(pane.terminal)
    assert pane.child.wait(20) == -signal.SIGHUP
    pane.child.communicate()
    assert look_at(told["metadata"]["pid"], None) is Process.GONE
