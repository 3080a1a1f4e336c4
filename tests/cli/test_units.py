"""``units NAME`` as people call it."""

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
    return [shlex.split(line.split(" ", 1 if line.startswith("@") else 5)[-1]) for line in lines]


def test_the_lines(machine: Machine, config: Path) -> None:
    ran = machine.run("units", "mine", "--config", "mine.yml", "--cron")
    assert ran.returncode == 0
    places = [
        f"XDG_{kind}_HOME={machine.folder / kind.lower()}" for kind in ("STATE", "DATA", "CONFIG")
    ]
    program, session = (
        [*places, sys.executable, "-m", "kline_ops"],
        ["mine", "--config", str(config)],
    )
    assert calls(ran.stdout) == [
        [*program, "start", *session],
        [*program, "watchdog", *session, "--once", ">/dev/null"],
        [*program, "analyze-gaps", *session, "--until", "now", "--quiet"],
        [*program, "analyze-gaps", *session, "--digest"],
    ]
    config.write_text(GOOD + HOOK)
    told = machine.run("units", "mine", "--config", "mine.yml", "--cron")
    assert all(call[-1] == "--notify" for call in calls(told.stdout)[2:])
    assert "SECRET" not in told.stdout


@pytest.mark.parametrize("kind", ["--cron", "--systemd"])
def test_who_starts_it_finds_the_key_to_its_secrets(
    machine: Machine, config: Path, kind: str
) -> None:
    given = {"SOPS_AGE_KEY_FILE": "keys.txt", "SOPS_AGE_KEY": "AGE-SECRET-KEY-HIDDEN"}
    ran = machine.run("units", "mine", "--config", "mine.yml", kind, **given)
    assert f"SOPS_AGE_KEY_FILE={machine.folder}/keys.txt" in ran.stdout
    assert "HIDDEN" not in ran.stdout + ran.stderr


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
        assert [call[3] for call in calls(ran.stdout)] == [str(linked)] * 4


def test_the_config_of_a_session_that_was_started(machine: Machine, config: Path) -> None:
    folder = machine.folder / "state" / "kline-ops" / "sessions"
    folder.mkdir(parents=True)
    entry = {field.name: "x" for field in fields(KnownSession)} | {"config": str(config)}
    (folder / "mine.json").write_text(json.dumps(entry))
    ran = machine.run("units", "mine", "--cron")
    assert [call[-2:] for call in calls(ran.stdout)][3] == [str(config), "--digest"]
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
        (["mine", "--config", "mine.yml"], "one of --cron and --systemd"),
        (["mine", "--config", "mine.yml", "--cron", "--systemd"], "one of --cron and --systemd"),
        (["mine", "--config", "mine.yml", "--cron", "--user"], "belong to --systemd"),
        (["mine", "--config", "mine.yml", "--systemd", "--output", "mine.yml"], "cannot write"),
        (["nobody", "--cron"], "no config for 'nobody'"),
        (["a/b", "--cron"], "is no session name"),
        (["bad", "--config", "bad.yml", "--cron"], "binance.stream.symbol: missing"),
    ],
)
def test_what_is_refused(machine: Machine, config: Path, arguments: list[str], words: str) -> None:
    (machine.folder / "bad.yml").write_text("binance: {}\n")
    ran = machine.run("units", *arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert words in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_units_of_the_user_are_printed(machine: Machine, config: Path) -> None:
    ran = machine.run("units", "mine", "--config", "mine.yml", "--systemd", "--user")
    assert ran.returncode == 0
    names = [f"# kline-ops-mine{end}" for end in (".service", "-watchdog.service")]
    assert [line for line in ran.stdout.splitlines() if line.startswith("# kline-ops-")] == names
    call = f"ExecStart=:{sys.executable} -m kline_ops supervise mine --config {config}"
    assert call in ran.stdout.splitlines()
    assert f"Environment=XDG_STATE_HOME={machine.folder}/state" in ran.stdout
    assert "WantedBy=default.target" in ran.stdout
    assert "ProtectSystem" not in ran.stdout


def test_units_are_written_and_the_next_commands_told(machine: Machine, config: Path) -> None:
    arguments = ["units", "mine", "--config", "mine.yml", "--systemd"]
    folder = machine.folder / "config" / "systemd" / "user"
    ran = machine.run(*arguments, "--user", "--output", str(folder))
    assert ran.returncode == 0
    assert {path.name for path in folder.iterdir()} == {
        "kline-ops-mine.service", "kline-ops-mine-watchdog.service"
    }  # fmt: skip
    steps = [line.strip() for line in ran.stdout.splitlines() if line.startswith("  ")]
    assert steps[:2] == [
        "systemctl --user daemon-reload",
        "systemctl --user enable --now kline-ops-mine.service",
    ]
    assert steps[2].startswith("loginctl enable-linger")
    # Once more, for the machine, into a folder that systemd does not know.
    again = machine.run(*arguments, "--system", "--output", "units")
    assert "link" in again.stdout
    assert f"made {machine.data('mine')}" in again.stdout
    main = (machine.folder / "units" / "kline-ops-mine.service").read_text()
    assert f"ReadWritePaths={machine.data('mine')}\n" in main
    assert machine.data("mine").is_dir()


def test_secrets_of_the_environment_are_named_and_not_written(
    machine: Machine, config: Path
) -> None:
    ran = machine.run(
        "units", "mine", "--config", "mine.yml", "--systemd",
        HTTPS_PROXY="http://me:SECRET@proxy:3128", KLINE_OPS__CREDENTIALS__SOPS_HB="https://SECRET",
    )  # fmt: skip
    assert ran.returncode == 0
    assert "SECRET" not in ran.stdout + ran.stderr
    assert "HTTPS_PROXY, KLINE_OPS__CREDENTIALS__SOPS_HB" in ran.stderr


def test_for_the_machine_and_for_a_user_at_once(machine: Machine, config: Path) -> None:
    words = ["units", "mine", "--config", "mine.yml", "--systemd"]
    for both in (["--system", "--user"], ["--user", "--system"]):
        ran = machine.run(*words, *both)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr == "kline-ops: --system and --user at once. Try: one of them\n"


def test_the_folder_of_the_watchdogs_textfile_may_be_written(
    machine: Machine, config: Path
) -> None:
    node = machine.folder / "node"
    config.write_text(GOOD + f"resilience: {{watchdog: {{textfile: {node}/mine.prom}}}}\n")
    told = machine.run("units", "mine", "--config", "mine.yml", "--systemd", "--system")
    assert told.returncode == 0
    assert told.stdout.count(f"ReadWritePaths={node}\n") == 2  # the session's unit, its watchdog's
    config.write_text(GOOD + "resilience: {watchdog: {textfile: mine.prom}}\n")
    told = machine.run("units", "mine", "--config", "mine.yml", "--systemd", "--system")
    assert str(node) not in told.stdout
