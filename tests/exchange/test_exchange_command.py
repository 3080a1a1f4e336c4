"""``kline-ops exchange`` as a process of its own."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from kline_ops.cli.exchange import exchange
from kline_ops.errors import InputError, MachineError

COMMAND = "import typer; from kline_ops.cli.exchange import exchange; typer.run(exchange)"


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The command, once it listens, and the lines that it has printed so far."""
    command = [sys.executable, "-u", "-W", "error", "-c", COMMAND, "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = []
            for line in process.stdout:
                lines.append(line.rstrip())
                if line.startswith("symbols"):
                    break
            yield process, lines
        finally:
            process.kill()


def found(pattern: str, lines: list[str]) -> str:
    return next(match[1] for line in lines if (match := re.search(pattern, line)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal(number: signal.Signals) -> None:
    with running("--seed", "5") as (process, lines):
        assert "LRCBTC" in lines[-1]
        address = found(r"REST: +(\S+)", lines)
        assert "serverTime" in requests.get(f"{address}/api/v3/time", timeout=5).json()
        process.send_signal(number)
        assert process.stdout.read().splitlines()[-1] == "ended"
        assert process.wait(5) == 0


def test_it_replays_with_tls(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(
        "timestamp,open,high,low,close,volume\n2026-01-27T14:00:00Z,0.5,0.7,0.4,0.6,10\n"
    )
    with running("--replay", str(rows), "--tls", "--tls-dir", str(tmp_path)) as (process, lines):
        ca_file = found(r"SSL_CERT_FILE=(\S+) kline-ops run", lines)
        address = found(r"REST: +(https://\S+)", lines)
        target = f"{address}/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=2"
        rows = requests.get(target, timeout=5, verify=ca_file).json()
        assert rows[0][1:6] == ["0.5", "0.7", "0.4", "0.6", "10"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


def call(**options) -> None:
    given = {
        "port": [0],
        "host": "127.0.0.1",
        "seed": 1,
        "replay": None,
        "tls": False,
        "tls_dir": None,
    }
    exchange(**{**given, **options})


def test_a_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"127.0.0.1:{port} is taken") as error:
            call(port=[port])
    assert error.value.exit_code == 2


def test_a_port_or_host_that_can_not_be() -> None:
    with pytest.raises(InputError, match="can not listen"):
        call(port=[99_999])
    with pytest.raises(InputError, match="can not listen"):
        call(host="host.invalid")


def test_a_recording_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can not be read"):
        call(replay=tmp_path / "none.csv")


def test_the_folder_of_its_certificate_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with running("--tls") as (process, lines):
        assert Path(found(r"certificate authority: (\S+)", lines)).is_relative_to(tmp_path)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_named_is_kept(tmp_path: Path) -> None:
    with running("--tls-dir", str(tmp_path)) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    assert len(list(tmp_path.iterdir())) == 1


def test_without_trustme_it_says_what_to_install_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(MachineError) as error:
        call(tls=True)
    assert error.value.exit_code == 5
    assert error.value.one_line() == (
        "certificates need the package trustme."
        " Try: pip install '.[tls]' in a clone, else pip install 'kline-ops[tls]'"
    )
    assert list(tmp_path.iterdir()) == []
