"""Output that can not be written: one line on stderr, and neither the code of good nor of a finding."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.support.machine import Machine, kill, until

COMMANDS = [
    "status", "list", "status --json", "config show demo", "config check demo", "--help", "--version",
    "analyze-gaps candles_BTCUSDT_1h.csv", "analyze-gaps --json candles_BTCUSDT_1h.csv",
    "logs demo", "logs demo --events", "stop demo", "status demo",
]  # fmt: skip


def shell(machine: Machine, line: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m kline_ops {line}"],
        env=machine.environ | environ, cwd=machine.folder, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def ended(machine: Machine) -> Machine:
    """A machine with a session that was recorded once, and a candle file with a hole."""
    child = machine.begin("run", "demo", stdout=subprocess.DEVNULL)
    until(lambda: machine.state("demo").get("metadata", {}).get("live"))
    child.send_signal(signal.SIGTERM)
    assert child.wait(5) == 0
    (machine.folder / "candles_BTCUSDT_1h.csv").write_text(
        "timestamp,open,high,low,close,volume\n"
        "2026-01-01T00:00:00Z,1,2,1,2,3\n2026-01-01T03:00:00Z,1,2,1,2,3\n"
    )
    return machine


def test_every_command_says_that_its_output_can_not_be_written(ended: Machine) -> None:
    for command in COMMANDS:
        full = shell(ended, f"{command} >/dev/full")
        assert (full.returncode, full.stderr) == (
            2,
            "kline-ops: cannot write the output: No space left on device\n",
        ), command
        closed = shell(ended, f"{command} >&-")
        assert (closed.returncode, closed.stderr) == (
            2,
            "kline-ops: cannot write the output: Bad file descriptor\n",
        ), command


def test_a_reader_that_has_gone_is_neither_an_error_nor_a_finding(ended: Machine) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    for command in COMMANDS:
        ran = subprocess.run(
            [sys.executable, "-m", "kline_ops", *command.split()],
            env=ended.environ, cwd=ended.folder, stdout=writer, stderr=subprocess.PIPE, text=True,
            check=False,
        )  # fmt: skip
        assert (ran.returncode, ran.stderr) == (2, ""), command
    os.close(writer)


def test_where_there_is_nothing_to_say_nothing_has_to_be_written(ended: Machine) -> None:
    (ended.folder / "candles_BTCUSDT_1h.csv").write_text(
        "timestamp,open,high,low,close,volume\n2026-01-01T00:00:00Z,1,2,1,2,3\n"
    )
    for output in (">&-", ">/dev/full"):
        quiet = shell(ended, f"analyze-gaps -q candles_BTCUSDT_1h.csv {output}")
        assert (quiet.returncode, quiet.stderr) == (0, "")


def test_without_an_error_output_the_error_does_not_go_to_the_output(machine: Machine) -> None:
    refused = shell(machine, "status nope 2>&-")
    assert (refused.returncode, refused.stdout) == (4, "")


def test_a_locale_without_utf_8_makes_no_difference(machine: Machine) -> None:
    ascii_only = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    full = shell(machine, "list >/dev/full", **ascii_only)
    assert (full.returncode, full.stderr) == (
        2,
        "kline-ops: cannot write the output: No space left on device\n",
    )


@pytest.mark.parametrize("output", [">&-", ">/dev/full", "| true"])
def test_a_recorder_does_not_depend_on_its_output(machine: Machine, output: str) -> None:
    child = subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m kline_ops run demo {output}"],
        env=machine.environ, cwd=machine.folder, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    recorder = until(
        lambda: (told := machine.state("demo").get("metadata", {})).get("live") and told["pid"]
    )
    kill(recorder, signal.SIGTERM)
    _, errors = child.communicate(timeout=10)
    assert (child.returncode, errors) == (0, "")
    assert machine.state("demo")["status"] == "stopped"
