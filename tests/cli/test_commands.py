"""The command line as a whole: help, errors in one line, exit codes, what is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from kline_ops.cli.app import app
from tests.support.machine import ROOT, Machine, until

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
PUBLIC = [name for name, command in COMMANDS.items() if not command.hidden]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_command_has_help_and_stands_in_the_readme(name: str) -> None:
    assert COMMANDS[name].help
    assert f"kline-ops {name}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["frobnicate"], 2, "No such command"),
        (["start"], 2, "Missing argument"),
        (["start", "demo", "--wat"], 2, "No such option"),
        (["start", "nope"], 2, "no config for 'nope'"),
        (["start", "a/b"], 2, "is no session name"),
        (["start", "_x"], 2, "a letter or digit first"),
        (["start", "demo", "--wait", "nan"], 2, "not a finite number"),
        (["stop", "nope", "--timeout", "nan"], 2, "not a finite number"),
        (["stop", "nope", "--timeout", "inf"], 2, "not a finite number"),
        (["restart", "nope", "--wait", "nan"], 2, "not a finite number"),
        (["status", "url", "--config", "url.yml"], 2, "binance.ws_url"),
        (["stop", "fresh", "--config", "fresh.yml"], 4, "no session 'fresh'"),
        (["status", "nope"], 4, "no session 'nope'"),
        (["status", "a/b"], 2, "is no session name"),
        (["stop", "nope"], 4, "no session 'nope'"),
        (["logs", "nope"], 4, "no session 'nope'"),
        (["attach", "nope"], 4, "no session 'nope'"),
        (["restart", "nope"], 4, "no session 'nope'"),
        (["analyze-gaps", "nope"], 4, "no session 'nope'"),
        (["analyze-gaps", "missing.csv"], 2, "missing.csv"),
        (["analyze-gaps", "."], 2, "directory"),
        (["analyze-gaps", "empty.csv"], 2, "empty"),
        (["analyze-gaps", "/dev/zero"], 2, "a device"),
        (["analyze-gaps", "x" * 400], 2, "name too long"),
        (["run", "late", "--config", "late.yml"], 2, "record.since: 2090-01-01 lies in the future"),
        (["analyze-gaps", "notime.csv"], 2, "time"),
        (["analyze-gaps", "--interval", "1x", "notime.csv"], 2, "1x"),
        (["config", "check", "typo", "--config", "typo.yml"], 2, "Try: websocket"),
        (["config", "check", "tf", "--config", "tf.yml"], 2, "binance.stream.symbol: missing"),
        (["run", "url", "--config", "url.yml"], 2, "binance.ws_url"),
    ],
)
def test_bad_input_is_one_line_and_its_exit_code(
    machine: Machine, arguments: list[str], code: int, words: str
) -> None:
    (machine.folder / "empty.csv").touch()
    (machine.folder / "notime.csv").write_text("a,b,c,d,e,f\n1,2,3,4,5,6\n")
    stream = "stream: {symbol: btcusdt, timeframe: 1h}"
    (machine.folder / "typo.yml").write_text(f"binance: {{{stream}}}\nwebsokcet: {{}}\n")
    (machine.folder / "tf.yml").write_text("binance: {stream: {timeframe: 1h}}\n")
    (machine.folder / "late.yml").write_text(
        f"binance: {{{stream}}}\nrecord: {{since: 2090-01-01}}\n"
    )
    (machine.folder / "fresh.yml").write_text(f"binance: {{{stream}}}\n")
    (machine.folder / "url.yml").write_text(f"binance: {{ws_url: 'nowhere', {stream}}}\n")
    before = sorted(path.relative_to(machine.folder) for path in machine.folder.rglob("*"))
    refused = machine.run(*arguments)
    assert refused.returncode == code, refused
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    assert words in refused.stderr
    assert refused.stdout == ""
    # Nothing on disk is touched by a refused command.
    assert sorted(path.relative_to(machine.folder) for path in machine.folder.rglob("*")) == before


def test_status_imports_no_tmux_web_websocket_or_yaml_library() -> None:
    script = (
        "import sys\nsys.argv = ['kline-ops', 'status', 'nope']\n"
        "from kline_ops.cli import _run\n_run()\n"
        "heavy = {'libtmux', 'requests', 'websockets', 'yaml', 'msgspec', 'asyncio', 'rich', 'ssl'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ran.stdout == "[]\n"


def test_status_of_nobody(machine: Machine) -> None:
    assert machine.run("status", "--json").stdout == "[]\n"
    assert machine.run("list", "--json").stdout == "[]\n"
    assert "no session has been started" in machine.run("list").stdout


def test_output_that_nobody_reads_is_no_error(machine: Machine) -> None:
    ran = subprocess.run(
        f"{sys.executable} -m kline_ops --help | true",
        shell=True, env=machine.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.stderr == ""


def test_config_show_prints_what_is_used(machine: Machine) -> None:
    shown = machine.run("config", "show", "resilience-tmux", KLINE_OPS__RECORD__GRACE="4")
    assert shown.returncode == 0
    assert "grace: 4.0" in shown.stdout
    assert "rest_url: https://data-api.binance.vision" in shown.stdout


def test_the_version_is_told(machine: Machine) -> None:
    assert machine.run("--version").stdout.startswith("kline-ops ")


def test_configs_are_found_where_they_should_be(machine: Machine) -> None:
    folder = machine.folder / "config" / "kline-ops"
    folder.mkdir(parents=True)
    (folder / "mine.yml").write_text("binance: {stream: {symbol: ethusdt, timeframe: 1M}}\n")
    assert "ETHUSDT 1M" in machine.run("config", "check", "mine").stdout
    (machine.folder / "configs").mkdir()
    here = machine.folder / "configs" / "mine.yml"
    here.write_text("binance: {stream: {symbol: bnbusdt, timeframe: 3d}}\n")
    assert "BNBUSDT 3d" in machine.run("config", "check", "mine").stdout


def test_a_json_report_of_a_file(machine: Machine) -> None:
    path: Path = machine.folder / "candles_BTCUSDT_1h.csv"
    path.write_text(
        "timestamp,open,high,low,close,volume\n"
        "2026-01-01T00:00:00Z,1,2,1,2,3\n2026-01-01T03:00:00Z,1,2,1,2,3\n"
    )
    ran = machine.run("analyze-gaps", "--json", str(path))
    assert ran.returncode == 1
    (report,) = json.loads(ran.stdout)["files"]
    assert (report["owed"], report["on_disk"], report["missing"]) == (4, 2, 2)
    (gap,) = report["gaps"]
    assert (gap["first_missing"], gap["last_missing"]) == (
        "2026-01-01T01:00:00Z",
        "2026-01-01T02:00:00Z",
    )


def test_a_session_is_one_line_however_narrow_the_terminal_is(machine: Machine) -> None:
    (machine.folder / "any.yml").write_text(
        "exchange: {embedded: true}\nbinance: {stream: {symbol: btcusdt, timeframe: 1s}}\n"
    )
    for name in ("demo", "x" * 64):
        child = machine.begin("run", name, "--config", "any.yml", stdout=subprocess.DEVNULL)
        until(lambda name=name: machine.state(name).get("metadata", {}).get("live"))
        child.terminate()
        assert child.wait(5) == 0
    for columns in ("1", "20", "80", "200"):
        for command in ("list", "status"):
            shown = machine.run(command, COLUMNS=columns)
            assert (shown.returncode, shown.stderr) == (0, "")
            title, *lines = (line.split() for line in shown.stdout.splitlines())
            assert title[:2] == ["session", "state"]
            assert [line[:4] for line in lines] == [
                ["demo", "STOPPED", "BTCUSDT", "1s"],
                ["x" * 64, "STOPPED", "BTCUSDT", "1s"],
            ]
        one = machine.run("status", "demo", COLUMNS=columns)
        assert one.stdout.startswith("demo  STOPPED\n")
