"""Sessions that are only a command: in a real tmux, under the real supervisor, really killed."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
import yaml

from kline_ops.watch.process import Process, look_at
from tests.support.machine import Machine, kill, until

#: A child of its own that ignores what ends others, and one that has left the session as well.
FAMILY = """
trap '' TERM HUP
(trap '' TERM HUP; echo $$ >> pids; exec sleep 300) &
setsid sh -c 'trap "" TERM HUP; echo $$ >> pids; exec sleep 300' &
echo $$ >> pids
while :; do sleep 0.1; done
"""
STUBBORN = "trap '' TERM HUP INT; echo $$ > pids; echo ready; while :; do sleep 0.1; done"


def gone(pid: int) -> bool:
    return look_at(pid, None) in {Process.GONE, Process.ZOMBIE}


def put(machine: Machine, name: str, command: str, **keys: object) -> None:
    """A config whose session NAME is this command."""
    tree = {"ops": {"sessions": {name: {"command": command, **keys}}}}
    folder = machine.folder / "configs"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yml").write_text(yaml.safe_dump(tree))


def script(machine: Machine, name: str, text: str, **keys: object) -> None:
    """The same for a script of the shell."""
    (machine.folder / f"{name}.sh").write_text(text)
    put(machine, name, f"sh {machine.folder / f'{name}.sh'}", **keys)


def ended(machine: Machine, name: str) -> dict[str, object]:
    path = machine.data(name) / "exit.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def pids(folder: Path, count: int) -> list[int]:
    """What the processes of a script wrote down of themselves."""

    def told() -> list[int]:
        path = folder / "pids"
        return [int(pid) for pid in path.read_text().split()] if path.exists() else []

    until(lambda: len(told()) >= count)
    return told()


def test_the_life_of_a_command(machine: Machine) -> None:
    script(machine, "loop", "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done")
    started = machine.run("start", "loop")
    assert (started.returncode, started.stderr) == (0, "")
    assert started.stdout == f"loop is running: sh {machine.folder / 'loop.sh'}\n"
    assert machine.run("start", "loop").stdout == "loop is running already\n"

    record = machine.status("loop")
    assert (record["state"], record["reason"]) == ("RUNNING", "")
    assert (record["symbol"], record["csv"], record["owed"], record["last_candle"]) == (
        "", "", 0, None,
    )  # fmt: skip
    assert look_at(record["pid"], None) is Process.RUNNING
    assert machine.run("status", "loop").returncode == 0
    assert "(a command)" in machine.run("list").stdout
    # What is only the beginning of a name is nobody.
    for command in ("status", "stop", "logs", "attach"):
        assert machine.run(command, "lo").returncode == 4
    until(lambda: "tick 9\n" in machine.run("logs", "loop", "-n", "1000").stdout)
    until(lambda: "\ntick " in machine.tmux("capture-pane", "-p", "-t", "=loop:"))

    stopped = machine.run("stop", "loop")
    assert (stopped.returncode, stopped.stdout) == (0, "loop stopped\n")
    assert gone(record["pid"])
    assert machine.tmux("list-sessions") == ""
    assert machine.status("loop")["state"] == "STOPPED"
    assert machine.run("logs", "loop", "-n", "1").stdout.startswith("tick ")


def test_the_beginning_of_a_name_is_another_name(machine: Machine) -> None:
    for name in ("loop", "lo"):
        put(machine, name, "sleep 300")
        assert machine.run("start", name).returncode == 0
    pid = machine.status("loop")["pid"]
    assert machine.run("stop", "lo").stdout == "lo stopped\n"
    assert machine.status("loop")["state"] == "RUNNING"
    assert machine.status("loop")["pid"] == pid
    refused = machine.run("attach", "lo")
    assert (refused.returncode, "lo does not run in tmux" in refused.stderr) == (3, True)


def test_one_that_ends_with_0_has_done_its_work(machine: Machine) -> None:
    put(machine, "once", "sh -c 'echo done; exit 0'")
    started = machine.run("start", "once")
    assert (started.returncode, started.stdout) == (0, "once has ended, with exit code 0\n")
    assert machine.status("once")["state"] == "STOPPED"
    assert machine.run("status", "once").returncode == 3
    assert (ended(machine, "once")["code"], ended(machine, "once")["final"]) == (0, True)
    assert machine.run("logs", "once").stdout == "done\n"


def test_one_that_crashes_is_started_again(machine: Machine) -> None:
    script(machine, "crash", "echo run >> runs; echo the last word >&2; exit 2", working_dir="..")
    started = machine.run("start", "crash")
    assert started.returncode == 1
    assert "crash does not run: it ended (exit code 2: the last word); it goes on" in started.stderr
    assert len(started.stderr.splitlines()) == 1
    until(lambda: len((machine.folder / "runs").read_text().split()) >= 2)
    told = ended(machine, "crash")
    assert (told["code"], told["final"], told["reason"]) == (2, False, "the last word")
    assert machine.status("crash")["state"] in {"STARTING", "STALLED"}
    assert machine.run("stop", "crash").returncode == 0
    assert machine.status("crash")["state"] == "STOPPED"


def test_what_it_said_last_is_told_without_the_secrets_of_addresses(machine: Machine) -> None:
    script(machine, "boom", 'echo "boom https://u:S3CR3T@h/x?t=S3CR3T"; exit 7\n')
    said = machine.run("start", "boom")
    assert (said.returncode, said.stdout) == (1, "")
    assert "boom https://…@h/x?t=…" in said.stderr
    exit_file = machine.data("boom") / "exit.json"
    assert ended(machine, "boom")["reason"] == "boom https://…@h/x?t=…"
    for text in (
        said.stderr, exit_file.read_text(), (machine.data("boom") / "events.jsonl").read_text(),
        machine.run("list").stdout, machine.run("status", "boom").stdout,
        machine.run("status", "boom", "--json").stdout,
    ):  # fmt: skip
        assert "S3CR3T" not in text
    # What it prints is its own, and stays as it is.
    assert "u:S3CR3T@h" in (machine.data("boom") / "session.log").read_text()


def test_a_killed_one_is_started_again(machine: Machine) -> None:
    put(machine, "sleeper", "sleep 300")
    machine.run("start", "sleeper")
    first = machine.status("sleeper")["pid"]
    kill(first)
    until(lambda: ended(machine, "sleeper").get("signal") == "SIGKILL")
    until(lambda: machine.status("sleeper")["pid"] not in {first, None})
    until(lambda: machine.status("sleeper")["state"] == "RUNNING")


def test_one_that_ignores_sigterm_is_ended_by_force(machine: Machine) -> None:
    script(machine, "stubborn", STUBBORN, working_dir="..")
    assert machine.run("start", "stubborn").returncode == 0
    (pid,) = pids(machine.folder, 1)
    stopped = machine.run("stop", "stubborn", "--timeout", "1")
    assert (stopped.returncode, stopped.stdout) == (0, "stubborn stopped by force\n")
    until(lambda: gone(pid), 5)
    until(lambda: machine.tmux("list-sessions") == "", 5)


def test_nothing_that_it_started_is_left(machine: Machine) -> None:
    script(machine, "family", FAMILY, working_dir="..")
    assert machine.run("start", "family").returncode == 0
    family = pids(machine.folder, 3)
    machine.run("stop", "family", "--timeout", "1")
    until(lambda: all(map(gone, family)), 5)


def test_nothing_is_left_when_its_supervisor_is_killed(machine: Machine) -> None:
    script(machine, "family", FAMILY, working_dir="..")
    assert machine.run("start", "family").returncode == 0
    family = pids(machine.folder, 3)
    entry = json.loads((machine.folder / "state/kline-ops/sessions/family.json").read_text())
    kill(entry["keeper_pid"])
    until(lambda: all(map(gone, family)), 10)
    assert machine.status("family")["state"] == "DEAD"


def test_it_has_a_real_terminal(machine: Machine) -> None:
    machine.environ["TERM"] = "xterm"
    put(
        machine,
        "term",
        "sh -c 'tput colors; stty size; tty; read x; stty size; echo got $x; sleep 300'",
    )
    assert machine.run("start", "term").returncode == 0
    lines = machine.run("logs", "term").stdout.split("\n")
    assert int(lines[0]) >= 8
    assert lines[1] == "40 120"
    assert lines[2].startswith("/dev/pts/")
    machine.tmux("resize-window", "-t", "=term:", "-x", "90", "-y", "30")
    machine.tmux("send-keys", "-t", "=term:", "hello", "Enter")
    until(lambda: "got hello" in (shown := machine.run("logs", "term").stdout) and shown)
    assert "30 90" in machine.run("logs", "term").stdout
    # Ctrl+C is the command's.
    machine.tmux("send-keys", "-t", "=term:", "C-c")
    until(lambda: ended(machine, "term").get("signal") == "SIGINT")


def test_environment_folder_and_odd_arguments(machine: Machine) -> None:
    odd = ["a b", "it's", '"', "$HOME", "`id`", ";", "x;", "#{pid}", "%h", "*", "", "é", "-x", "\\"]
    program = machine.folder / "tell.py"
    program.write_text(
        "import json, os, sys\n"
        "told = [sys.argv[1:], os.getcwd(), {key: os.environ.get(key) for key in"
        " ('PORT', 'WORD', 'HOMEMADE', 'TMUX_PANE', 'KLINE_OPS_KEEPER', 'KLINE_OPS_COMMAND_ENV')}]\n"
        "json.dump(told, open('told.json', 'w'))\n"
    )
    folder = machine.folder / "some where"
    folder.mkdir()
    (folder / "argparse.py").write_text("raise SystemExit('not meant for us')")
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in odd)
    put(
        machine,
        "odd",
        f"{sys.executable} {program} {quoted}",
        working_dir="../some where",
        # What lies there is found by the command's Python, and must not be by ours.
        env={"PORT": 8080, "WORD": "two words", "PYTHONPATH": str(folder)},
    )
    started = machine.run("start", "odd", HOMEMADE="yes")
    assert (started.returncode, started.stderr) == (0, "")
    arguments, where, environ = json.loads((folder / "told.json").read_text())
    assert arguments == odd
    assert where == str(folder)
    assert environ["TMUX_PANE"]
    assert (environ["PORT"], environ["WORD"], environ["HOMEMADE"]) == ("8080", "two words", "yes")
    assert environ["KLINE_OPS_KEEPER"] is environ["KLINE_OPS_COMMAND_ENV"] is None


def test_no_gaps_are_looked_for_in_one_that_was_started(machine: Machine) -> None:
    put(machine, "once", "true")
    machine.run("start", "once")
    for arguments in (["once"], ["once", "--digest"], ["once", "--json"]):
        refused = machine.run("analyze-gaps", *arguments)
        assert refused.returncode == 2
        assert "once is a command and records nothing" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["run", "backfill", "verify", "analyze-gaps"])
def test_what_needs_candles_says_that_there_are_none(machine: Machine, command: str) -> None:
    put(machine, "only", "sleep 300")
    path = machine.folder / "configs" / "only.yml"
    refused = machine.run(command, "only", "--config", str(path))
    assert refused.returncode == 2
    assert "only is a command and records nothing" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_program_that_is_not_there_is_refused_at_once(machine: Machine) -> None:
    put(machine, "typo", "slep 300")
    refused = machine.run("start", "typo")
    assert refused.returncode == 2
    assert "ops.sessions.typo.command: there is no program 'slep'" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert machine.tmux("list-sessions") == ""
    assert machine.run("status", "typo").returncode == 4


def test_restart_is_another_process(machine: Machine) -> None:
    put(machine, "again", "sleep 300")
    machine.run("start", "again")
    first = machine.status("again")["pid"]
    restarted = machine.run("restart", "again")
    assert (restarted.returncode, restarted.stderr) == (0, "")
    record = machine.status("again")
    assert record["state"] == "RUNNING"
    assert record["pid"] != first
    assert gone(first)


def test_words_for_a_suspended_one_and_for_one_that_waits_long(machine: Machine) -> None:
    put(machine, "sleeper", "sleep 300")
    machine.run("start", "sleeper")
    pid = machine.status("sleeper")["pid"]
    os.kill(pid, signal.SIGSTOP)
    until(lambda: look_at(pid, None) is Process.STOPPED)
    told = machine.run("status", "sleeper")
    assert (told.returncode, f"kill -CONT {pid}" in told.stdout) == (1, True)
    assert machine.run("stop", "sleeper", "--timeout", "5").stdout == "sleeper stopped\n"


def test_the_last_words_before_a_kill_are_in_the_log(machine: Machine) -> None:
    put(machine, "last", "sh -c 'seq 1 20000; printf unfinished; kill -9 $$'")
    started = machine.run("start", "last")
    assert started.returncode == 1
    assert "killed by SIGKILL" in started.stderr
    machine.run("stop", "last")
    lines = machine.run("logs", "last", "-n", "100000").stdout.splitlines()
    first = lines[: lines.index("unfinished") + 1]
    assert first == [*map(str, range(1, 20001)), "unfinished"]
