"""``init``: a config from flags, and from five questions on a real terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kline_ops.config.settings import load_settings
from tests.support.machine import Machine

FLAGS = ["--symbol", "ethusdt", "--timeframe", "1m", "--reconnect", "30m", "--data-dir", "d"]


class Terminal:
    """``kline-ops init`` on a pseudo-terminal: what is typed, and what it shows."""

    def __init__(self, machine: Machine, *arguments: str) -> None:
        self._controller, terminal = pty.openpty()
        self._shown = b""
        self.child = subprocess.Popen(
            ["setsid", "--ctty", sys.executable, "-m", "kline_ops", "init", *arguments],
            env=machine.environ | {"TERM": "xterm"}, cwd=machine.folder,
            stdin=terminal, stdout=terminal, stderr=terminal,
        )  # fmt: skip
        os.close(terminal)

    def expect(self, words: str) -> str:
        """Wait until it shows these words; what came up to them."""
        deadline = time.monotonic() + 20
        os.set_blocking(self._controller, False)
        while words.encode() not in self._shown:
            assert time.monotonic() < deadline, self._shown.decode()
            try:
                self._shown += os.read(self._controller, 4096)
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:  # it has ended
                assert words.encode() in self._shown, self._shown.decode()
        before, _, self._shown = self._shown.partition(words.encode())
        return before.decode()

    def type(self, text: str) -> None:
        os.write(self._controller, text.encode())

    def close(self) -> int:
        code = self.child.wait(20)
        os.close(self._controller)
        return code


@contextmanager
def somewhere_of(user: int) -> Iterator[Path]:
    """A folder of somebody's, below one that he may pass through."""
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, user, user)
        yield Path(name)


def as_nobody(
    environ: dict[str, str], folder: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
         sys.executable, "-m", "kline_ops", *arguments],
        env=environ, cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_flags_alone(machine: Machine) -> None:
    ran = machine.run("init", "mine", *FLAGS)
    assert (ran.returncode, ran.stderr) == (0, "")
    path = machine.folder / "configs" / "mine.yml"
    assert ran.stdout.splitlines() == [
        "wrote configs/mine.yml: ETHUSDT 1m",
        f"candles go to {machine.folder}/d/candles_ETHUSDT_1m.csv",
        "next: kline-ops doctor mine",
        "next: kline-ops start mine",
    ]
    settings = load_settings("mine", path, {})
    assert settings.rotation is not None
    assert settings.rotation.modulo == "30m"
    # What is there is never touched, and told before anything is asked.
    asked = machine.run("init", "mine")
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "configs/mine.yml is there already" in asked.stderr
    path.write_text("mine\n")
    again = machine.run("init", "mine", *FLAGS)
    assert (again.returncode, again.stdout, path.read_text()) == (2, "", "mine\n")
    assert again.stderr == (
        "kline-ops: configs/mine.yml is there already. Try: another name, or --output FILE\n"
    )


@pytest.mark.parametrize(
    ("symbol", "timeframe", "reconnect", "folder"),
    [
        ("1INCHUSDT", "1M", "never", "a b"),
        ("nousdt", "1d@+08:00", "10s", "/tmp/#1: ü 'it''s' \"x\" {y} \\n %h"),
        ("ONUSDT", "12h", "7d", "~/candles"),
        ("YES", "1w", "1h", "- x"),
    ],
)
def test_values_stay_what_they_are(
    machine: Machine, symbol: str, timeframe: str, reconnect: str, folder: str
) -> None:
    ran = machine.run(
        "init", "n", "--symbol", symbol, "--timeframe", timeframe, "--reconnect", reconnect,
        "--data-dir", folder, "--output", "an odd name.yml",
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    settings = load_settings("n", machine.folder / "an odd name.yml", {})
    assert (settings.stream.symbol, settings.stream.interval.name) == (symbol.upper(), timeframe)
    assert (settings.rotation is None) == (reconnect == "never")
    expected = Path.home() / folder[2:] if folder.startswith("~") else machine.folder / folder
    assert settings.data_dir == expected
    assert "--config 'an odd name.yml'" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--symbol is missing, and there is no terminal"),
        (["mine"], "--symbol is missing"),
        (["mine", *FLAGS[:4]], "--reconnect is missing"),
        (["mine", *FLAGS[:6]], "--data-dir is missing"),
        (FLAGS, "NAME is missing"),
        (["a/b", *FLAGS], "is no session name"),
        (["mine", "--symbol", "b u", *FLAGS[2:]], "is no symbol"),
        (["mine", "--timeframe", "2M", "--yes"], "unknown interval '2M'"),
        (["mine", "--reconnect", "8d", "--yes"], "8d"),
        (["mine", "--data-dir", "file/x", "--yes"], "is a file"),
        (["mine", "--output", "file/x.yml", "--yes"], "cannot write file/x.yml"),
        (["mine", "--output", ".", "--yes"], "is there already"),
    ],
)
def test_what_is_refused_writes_nothing(machine: Machine, arguments: list[str], words: str) -> None:
    (machine.folder / "file").touch()
    ran = machine.run("init", *arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert words in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert [path.name for path in machine.folder.iterdir()] == ["file"]


def test_the_defaults(machine: Machine) -> None:
    assert machine.run("init", "--yes").returncode == 0
    settings = load_settings("x", machine.folder / "configs" / "btcusdt-1h.yml", {})
    assert settings.data_dir == machine.data("btcusdt-1h")


def test_five_questions(machine: Machine) -> None:
    (machine.folder / "configs").mkdir()
    (machine.folder / "configs" / "old.yml").touch()
    terminal = Terminal(machine)
    terminal.expect("Symbol [btcusdt]: ")
    terminal.type("b!\n")
    assert "is no symbol" in terminal.expect("Symbol [btcusdt]: ")
    terminal.type("1inchusdt\n")
    terminal.expect("[1h]: ")
    terminal.type("1M\n")
    terminal.expect("Name of the session [1inchusdt-1M]: ")
    terminal.type("a b\n")
    assert "is no session name" in terminal.expect("[1inchusdt-1M]: ")
    terminal.type("old\n")
    assert "configs/old.yml is there already" in terminal.expect("[1inchusdt-1M]: ")
    terminal.type("\n")
    terminal.expect("[4h]: ")
    terminal.type("1x\n")
    terminal.expect("[4h]: ")
    terminal.type("\n")
    terminal.expect("kline-ops/1inchusdt-1M]: ")
    terminal.type("candles\n")
    terminal.expect("next: kline-ops start 1inchusdt-1M")
    assert terminal.close() == 0
    settings = load_settings("x", machine.folder / "configs" / "1inchusdt-1M.yml", {})
    assert (settings.stream.symbol, settings.stream.interval.name) == ("1INCHUSDT", "1M")
    assert settings.data_dir == machine.folder / "candles"


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl+C", "Ctrl+D"])
def test_a_question_can_be_left(machine: Machine, key: str) -> None:
    terminal = Terminal(machine, "mine", "--symbol", "btcusdt")
    terminal.expect("[1h]: ")
    terminal.type(key)
    assert terminal.close() == 130
    assert list(machine.folder.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become somebody else")
def test_a_folder_that_may_not_be_looked_into(machine: Machine) -> None:
    """Somebody's who has a folder of his own, and looks into root's."""
    with somewhere_of(65534) as own, somewhere_of(0) as closed:
        (closed / "a").mkdir()
        environ = machine.environ | {
            "HOME": str(own), "XDG_STATE_HOME": str(own), "XDG_DATA_HOME": str(own),
            "XDG_CONFIG_HOME": str(closed / "config"),
        }  # fmt: skip
        ran = as_nobody(environ, own, "init", "zz", "--yes", "--data-dir", str(closed / "a" / "b"))
        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr.startswith(f"kline-ops: {closed} can not be written to")
        assert len(ran.stderr.splitlines()) == 1
        (own / "zz.yml").write_text(
            "exchange: {embedded: true}\nbinance: {stream: {symbol: btcusdt, timeframe: 1h}}\n"
            f"data_dir: {closed}/a/b\n"
        )
        ran = as_nobody(environ, own, "doctor", "zz", "--config", "zz.yml", "--json")
        told = {finding["what"]: finding for finding in json.loads(ran.stdout)["findings"]}
        assert told["data_dir"]["level"] == "fail"
        assert told["disk"]["level"] == "ok"
        # Neither does a folder of configs stop a look into the others.
        ran = as_nobody(environ, own, "config", "check", "nope")
        assert (ran.returncode, "no config for 'nope'" in ran.stderr) == (2, True)
