"""``units NAME --cron`` as people call it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from kline_ops.watch.registry import KnownSession
from tests.support.machine import Machine

GOOD = "binance: {stream: {symbol: btcusdt, timeframe: 1h}}\n"
HOOK = "credentials: {sops_mainnet: 'https://hooks.slack.com/services/T0/B0/SECRET'}\n"


@pytest.fixture
def config(machine: Machine) -> Path:
    path = machine.folder / "mine.yml"
    path.write_text(GOOD)
    return path


def calls(printed: str) -> list[list[str]]:
    """The commands of the lines, as the shell splits them."""
    lines = [line for line in printed.splitlines() if not line.startswith("#")]
    return [shlex.split(line.split(" ", 5)[5]) for line in lines]


def test_the_lines(machine: Machine, config: Path) -> None:
    ran = machine.run("units", "mine", "--config", "mine.yml", "--cron")
    assert ran.returncode == 0
    places = [
        f"XDG_{kind}_HOME={machine.folder / kind.lower()}" for kind in ("STATE", "DATA", "CONFIG")
    ]
    begin = [*places, sys.executable, "-m", "kline_ops", "analyze-gaps", "mine", "--config"]
    assert calls(ran.stdout) == [
        [*begin, str(config), "--until", "now", "--quiet"],
        [*begin, str(config), "--digest"],
    ]
    config.write_text(GOOD + HOOK)
    told = machine.run("units", "mine", "--config", "mine.yml", "--cron")
    assert all(call[-1] == "--notify" for call in calls(told.stdout))
    assert "SECRET" not in told.stdout


def test_the_installed_program_is_called_by_its_path(machine: Machine, config: Path) -> None:
    script = Path(sys.executable).with_name("kline-ops")
    if not script.exists():
        pytest.skip("the program is not installed beside this Python")
    linked = machine.folder / "bin" / "kline-ops"
    linked.parent.mkdir()
    linked.symlink_to(script)
    for called in (str(linked), "kline-ops", "bin/kline-ops"):
        environ = machine.environ | {"PATH": f"{linked.parent}:{os.environ['PATH']}"}
        ran = subprocess.run(
            [called, "units", "mine", "--config", "mine.yml", "--cron"],
            env=environ, cwd=machine.folder, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert [call[3] for call in calls(ran.stdout)] == [str(linked)] * 2


def test_the_config_of_a_session_that_was_started(machine: Machine, config: Path) -> None:
    folder = machine.folder / "state" / "kline-ops" / "sessions"
    folder.mkdir(parents=True)
    entry = {field.name: "x" for field in fields(KnownSession)} | {"config": str(config)}
    (folder / "mine.json").write_text(json.dumps(entry))
    ran = machine.run("units", "mine", "--cron")
    assert [call[-2:] for call in calls(ran.stdout)][1] == [str(config), "--digest"]
    config.unlink()
    gone = machine.run("units", "mine", "--cron")
    assert (gone.returncode, gone.stdout) == (2, "")
    assert "mine.yml does not exist" in gone.stderr


def test_what_cron_will_not_know_is_told(machine: Machine, config: Path) -> None:
    """The lines are made for the environment of cron: a webhook of this one is not there."""
    ran = machine.run(
        "units", "mine", "--config", "mine.yml", "--cron",
        KLINE_OPS__CREDENTIALS__SOPS_MAINNET="https://hooks.slack.com/services/T0/B0/SECRET",
    )  # fmt: skip
    assert ran.returncode == 0
    assert "--notify" not in ran.stdout
    assert "cron will not know of KLINE_OPS__CREDENTIALS__SOPS_MAINNET" in ran.stderr
    assert "SECRET" not in ran.stdout + ran.stderr


def test_a_relative_place_is_made_absolute(machine: Machine, config: Path) -> None:
    ran = machine.run(
        "units", "mine", "--config", "mine.yml", "--cron", XDG_STATE_HOME="s", XDG_DATA_HOME="~/d"
    )
    for call in calls(ran.stdout):
        assert call[:2] == [
            f"XDG_STATE_HOME={machine.folder}/s",
            f"XDG_DATA_HOME={machine.folder}/d",
        ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mine", "--config", "mine.yml"], "units of systemd are not there yet"),
        (["nobody", "--cron"], "no config for 'nobody'"),
        (["a/b", "--cron"], "is no session name"),
        (["bad", "--config", "bad.yml", "--cron"], "binance.stream.symbol: missing"),
        (["mine", "--config", "mine.yml", "--systemd"], "No such option"),
    ],
)
def test_what_is_refused(machine: Machine, config: Path, arguments: list[str], words: str) -> None:
    (machine.folder / "bad.yml").write_text("binance: {}\n")
    ran = machine.run("units", *arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert words in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
