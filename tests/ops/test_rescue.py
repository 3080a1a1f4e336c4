"""Only the process that was meant is killed."""

from __future__ import annotations

import signal
import subprocess

from kline_ops.ops.rescue import _signal
from kline_ops.watch.process import started_at


def test_a_process_that_has_its_pid_by_now_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        began = started_at(child.pid)
        assert began is not None
        assert _signal(child.pid, began - 1, signal.SIGKILL) == ""
        assert child.poll() is None
        assert _signal(child.pid, began, signal.SIGKILL) == ""
        assert child.wait(10) == -signal.SIGKILL
    assert _signal(child.pid, began, signal.SIGKILL) == ""
