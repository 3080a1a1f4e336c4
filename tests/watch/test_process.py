"""What became of a process: real ones, running, stopped, dead and not yet buried, gone."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kline_ops.watch.process import Process, look_at, running_for, started_at


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def wait_until_dead(pid: int) -> None:
    """Wait for the end of a child and leave it unburied."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_this_process_is_running() -> None:
    assert look_at(os.getpid(), started_at()) is Process.RUNNING
    assert look_at(os.getpid(), None) is Process.RUNNING
    assert started_at() == started_at(os.getpid())


def test_a_child_is_running_then_stopped_then_running_again(child: subprocess.Popen[bytes]) -> None:
    began = started_at(child.pid)
    assert look_at(child.pid, began) is Process.RUNNING
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    assert look_at(child.pid, began) is Process.STOPPED
    child.send_signal(signal.SIGCONT)
    os.waitid(os.P_PID, child.pid, os.WCONTINUED | os.WNOWAIT)
    assert look_at(child.pid, began) is Process.RUNNING


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_child_is_a_zombie_though_it_answers_signals_and_then_gone(
    child: subprocess.Popen[bytes], how: signal.Signals
) -> None:
    began = started_at(child.pid)
    child.send_signal(how)
    wait_until_dead(child.pid)
    os.kill(child.pid, 0)
    assert look_at(child.pid, began) is Process.ZOMBIE
    assert look_at(child.pid, None) is Process.ZOMBIE
    child.wait()
    assert look_at(child.pid, began) is Process.GONE
    assert started_at(child.pid) is None


def test_a_stopped_child_that_is_killed_is_a_zombie(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    child.kill()
    wait_until_dead(child.pid)
    assert look_at(child.pid, started_at(child.pid)) is Process.ZOMBIE


def test_another_process_that_got_the_same_pid_is_not_taken_for_it(
    child: subprocess.Popen[bytes],
) -> None:
    began = started_at(child.pid)
    assert began is not None
    for other in (began - 1, began + 1, 0, str(began), "x"):
        assert look_at(child.pid, other) is Process.GONE


@pytest.mark.parametrize("name", ["a) Z (b", ") Z 1 1 1", "a b", "((", "))", "\n) Z 0"])
def test_a_command_may_have_any_name(tmp_path: Path, name: str) -> None:
    sleep = shutil.which("sleep")
    assert sleep is not None
    program = tmp_path / name
    shutil.copy(os.path.realpath(sleep), program)
    with subprocess.Popen(["sleep", "60"], executable=program) as process:
        try:
            began = started_at(process.pid)
            assert began is not None
            assert look_at(process.pid, began) is Process.RUNNING
        finally:
            process.kill()


@pytest.mark.parametrize(
    "pid", [None, 0, -1, "1", "self", 1.0, [], {}, True, False, 2**22 + 1, 10**40, -(10**40)]
)
def test_what_is_no_pid_is_gone(pid: object) -> None:
    assert look_at(pid, None) is Process.GONE


def test_since_when_a_process_runs() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        seconds = running_for(started_at(child.pid))
        child.kill()
    assert seconds is not None
    assert 0 <= seconds < 20
    assert running_for(None) is None
    assert running_for(1 << 60) is None
