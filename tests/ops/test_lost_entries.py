"""Sessions whose entry in the registry is lost, wrong, or of a start that came to nothing."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from kline_ops.watch.process import Process, look_at
from tests.ops.test_commands import gone, put
from tests.support.machine import Machine, until


def entry(machine: Machine, name: str) -> Path:
    return machine.folder / "state" / "kline-ops" / "sessions" / f"{name}.json"


def told(machine: Machine, name: str) -> dict[str, Any]:
    return dict(json.loads(entry(machine, name).read_text()))


def sleeper(machine: Machine) -> dict[str, Any]:
    """A session that runs, and its entry with its supervisor in it."""
    put(machine, "loop", "sh -c 'echo hello; exec sleep 300'")
    machine.run("start", "loop")
    return dict(until(lambda: told(machine, "loop")["keeper_pid"] and told(machine, "loop")))


def test_a_start_makes_a_lost_session_known_again(machine: Machine) -> None:
    before = sleeper(machine)
    entry(machine, "loop").unlink()
    again = machine.run("start", "loop")
    assert (again.returncode, again.stdout) == (0, "loop is running already\n")
    assert told(machine, "loop") == before
    assert machine.status("loop")["state"] == "RUNNING"
    assert machine.run("stop", "loop").stdout == "loop stopped\n"
    assert gone(before["keeper_pid"])


def test_a_start_makes_a_lost_recording_known_again(machine: Machine) -> None:
    machine.run("start", "demo")
    before = until(lambda: told(machine, "demo")["keeper_pid"] and told(machine, "demo"))
    entry(machine, "demo").unlink()
    again = machine.run("start", "demo")
    assert (again.returncode, again.stdout) == (0, "demo is running already\n")
    assert told(machine, "demo") == before


def test_an_entry_with_a_supervisor_that_is_gone_is_put_right(
    machine: Machine, tmp_path: Path
) -> None:
    """Also where the start came from a shell with another ``$TMUX_TMPDIR``, as cron's is."""
    before = sleeper(machine)
    entry(machine, "loop").write_text(json.dumps(before | {"keeper_started": 1}))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    again = machine.run("start", "loop", TMUX_TMPDIR=str(elsewhere))
    assert (again.returncode, again.stdout) == (0, "loop is running already\n")
    assert told(machine, "loop") == before


def test_of_a_split_window_the_supervisor_is_taken(machine: Machine) -> None:
    before = sleeper(machine)
    machine.tmux("split-window", "-b", "-t", "=loop:", "sleep", "301")
    machine.tmux("new-window", "-t", "=loop:", "sleep", "302")
    entry(machine, "loop").unlink()
    machine.run("start", "loop")
    assert told(machine, "loop") == before


def test_a_config_file_finds_a_session_that_is_lost(machine: Machine) -> None:
    before = sleeper(machine)
    config = ("--config", "configs/loop.yml")
    # Of a file that was never started nothing is known.
    put(machine, "fresh", "sleep 300")
    assert machine.run("status", "fresh", "--config", "configs/fresh.yml").returncode == 4
    entry(machine, "loop").unlink()
    assert machine.run("status", "loop").returncode == 4
    shown = json.loads(machine.run("status", "loop", "--json", *config).stdout)
    assert look_at(shown["pid"], None) is Process.RUNNING
    assert machine.run("logs", "loop", *config).stdout == "hello\n"
    refused = machine.run("attach", "loop", *config)
    assert "attach needs a terminal" in refused.stderr
    assert machine.run("stop", "loop", *config).stdout.startswith("loop stopped")
    assert gone(shown["pid"])
    until(lambda: gone(before["keeper_pid"]))


#: A tmux that refuses whatever it is asked.
REFUSES = '#!/bin/sh\necho "couldn\'t create directory" >&2\nexit 1\n'


@pytest.fixture
def refusing(tmp_path: Path) -> str:
    """A $PATH whose tmux can do nothing."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "tmux").write_text(REFUSES)
    (place / "tmux").chmod(0o755)
    return f"{place}:{Path(sys.executable).parent}:{os.environ['PATH']}"


def test_a_start_that_tmux_refuses_leaves_nothing_behind(machine: Machine, refusing: str) -> None:
    put(machine, "loop", "sleep 300")
    refused = machine.run("start", "loop", PATH=refusing)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (5, 1)
    assert machine.run("list", "--json").stdout == "[]\n"
    assert not (machine.data("loop") / "session.env").exists()


def test_a_start_that_tmux_refuses_leaves_an_old_entry_as_it_was(
    machine: Machine, refusing: str
) -> None:
    sleeper(machine)
    machine.run("stop", "loop")
    before = told(machine, "loop")
    assert machine.run("start", "loop", PATH=refusing).returncode == 5
    assert told(machine, "loop") == before
    assert machine.status("loop")["state"] == "STOPPED"
