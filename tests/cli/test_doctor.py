"""``doctor`` on real machines, with exchanges that refuse, hang, and answer 451."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.exchange_thread import ExchangeThread
from tests.support.machine import Machine, until
from tests.support.terminal import Terminal

FREE = "ws://127.0.0.1:{}/ws"


@contextmanager
def hanging() -> Iterator[int]:
    """Takes connections, and answers none."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


@contextmanager
def answering(status: int) -> Iterator[int]:
    """Answers everything with this status."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_error(status)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def refusing() -> int:
    """A port at which nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
    return port


def write(machine: Machine, ws: list[str], rest: str) -> None:
    (machine.folder / "mine.yml").write_text(
        f"binance: {{ws_url: '{ws[0]}', failover_urls: {json.dumps(ws[1:])}, rest_url: '{rest}',"
        " stream: {symbol: btcusdt, timeframe: 1h}}\n"
    )


def look(machine: Machine, *arguments: str) -> tuple[int, list[dict[str, Any]], float]:
    began = time.monotonic()
    ran = machine.run("doctor", *arguments, "--json")
    assert ran.stderr == ""
    told = json.loads(ran.stdout)
    assert told["good"] == (ran.returncode == 0)
    return ran.returncode, told["findings"], time.monotonic() - began


def of(found: list[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    return [finding for finding in found if finding["what"] == what]


def test_a_good_exchange(machine: Machine) -> None:
    with ExchangeThread() as exchange:
        write(machine, [exchange.server.ws_url], exchange.rest_url)
        code, found, _ = look(machine, "mine", "--config", "mine.yml")
    assert code == 0, found
    for what in ("stream", "rest", "clock", "config", "data_dir", "disk", "registry"):
        assert [finding["level"] for finding in of(found, what)] == ["ok"], what


def test_a_wrong_clock_of_this_machine_is_told(machine: Machine) -> None:
    with ExchangeThread() as exchange:
        exchange.do(lambda server: server.skew(-5.0, 60))
        write(machine, [exchange.server.ws_url], exchange.rest_url)
        code, found, _ = look(machine, "mine", "--config", "mine.yml")
    (clock,) = of(found, "clock")
    assert (code, clock["level"]) == (0, "warn")
    assert "ahead of" in clock["told"]


def test_exchanges_that_refuse_hang_and_block(machine: Machine) -> None:
    with hanging() as silent, answering(451) as blocked:
        urls = [FREE.format(port) for port in (refusing(), silent, blocked)]
        write(machine, urls, f"http://127.0.0.1:{silent}")
        code, found, took = look(machine, "mine", "--config", "mine.yml")
    assert code == 1
    assert took < 12
    told = [(finding["level"], finding["told"]) for finding in of(found, "stream")]
    assert told == [
        ("fail", f"{urls[0]}: connection refused"),
        ("fail", f"{urls[1]}: no handshake within 5 s"),
        ("fail", f"{urls[2]}: it answered 451"),
    ]
    assert "blocked" in of(found, "stream")[2]["advice"]
    (rest,) = of(found, "rest")
    assert rest["level"] == "warn"
    assert "5 s" in rest["told"]


def test_a_config_that_can_not_be_used_is_a_failure(machine: Machine) -> None:
    (machine.folder / "bad.yml").write_text("websokcet: {}\n")
    code, found, _ = look(machine, "bad", "--config", "bad.yml")
    assert code == 1
    (config,) = of(found, "config")
    assert config["level"] == "fail"
    assert "unknown key" in config["told"]
    assert config["advice"] == "websocket"


@pytest.mark.parametrize(
    ("arguments", "words"), [(["nope"], "no config for 'nope'"), (["a/b"], "is no session name")]
)
def test_what_is_no_session_is_a_usage_error(
    machine: Machine, arguments: list[str], words: str
) -> None:
    ran = machine.run("doctor", *arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert words in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_a_full_disk_is_a_failure(machine: Machine) -> None:
    """A file system with no room left, in a mount namespace of its own."""
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("mount namespaces are not allowed here")
    folder = machine.folder / "full"
    folder.mkdir()
    (machine.folder / "mine.yml").write_text(
        "exchange: {embedded: true}\ndata_dir: full\n"
        "binance: {stream: {symbol: btcusdt, timeframe: 1h}}\n"
    )
    script = (
        'mount -t tmpfs -o size=64k none "$1"; head -c 65536 /dev/zero >"$1/x" || true\n'
        'exec "$2" -m kline_ops doctor mine --config mine.yml --json'
    )
    ran = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", folder,
         sys.executable],
        env=machine.environ, cwd=machine.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 1, ran
    found = json.loads(ran.stdout)["findings"]
    assert [finding["level"] for finding in of(found, "disk")] == ["fail"]
    (data_dir,) = of(found, "data_dir")
    assert "no space left" in data_dir["told"]


def test_the_machine_and_each_known_session(machine: Machine) -> None:
    child = machine.begin("run", "demo", stdout=subprocess.DEVNULL)
    until(lambda: machine.state("demo").get("metadata", {}).get("live"))
    child.terminate()
    assert child.wait(10) == 0
    ran = machine.run("doctor", HTTPS_PROXY="http://127.0.0.1:1")
    lines = ran.stdout.splitlines()
    assert ran.stderr == ""
    (demo,) = (line for line in lines if line.split()[1:2] == ["demo"])
    assert demo.startswith("ok")
    # No network is one line, and what to do.
    (rest,) = (place for place, line in enumerate(lines) if line.split()[1:2] == ["rest"])
    assert lines[rest].startswith("warn")
    assert "Try: " in lines[rest + 1]


def test_credentials_that_others_may_read(machine: Machine) -> None:
    path: Path = machine.folder / "mine.yml"
    path.write_text(
        "exchange: {embedded: true}\nbinance: {stream: {symbol: btcusdt, timeframe: 1h}}\n"
        "credentials: {sops_mainnet: 'https://hooks.slack.com/services/T0/B0/SECRET'}\n"
    )
    for mode, level in ((0o644, "warn"), (0o600, "ok")):
        path.chmod(mode)
        _, found, _ = look(machine, "mine", "--config", "mine.yml")
        assert [finding["level"] for finding in of(found, "secrets")] == [level]
        assert "SECRET" not in json.dumps(found)


@pytest.mark.parametrize(
    "text",
    [
        "binance: {ws_url: 'ws://u:S3CR3T@127.0.0.1:1/ws', stream: {symbol: a1, timeframe: 1h}}\n",
        (
            "binance: {rest_url: 'http://127.0.0.1:1?k=S3CR3T', stream: {symbol: a1, timeframe: 1h},"
            " ws_url: 'ws://127.0.0.1:1/ws'}\n"
        ),
        "ops: {sessions: {mine: {command: 'true', env: {PW: S3CR3T}}}}\n",
        "ops: {sessions: {mine: {command: 'curl https://u:S3CR3T@h'}}}\n",
    ],
)
def test_other_secrets_that_others_may_read(machine: Machine, text: str) -> None:
    path = machine.folder / "mine.yml"
    path.write_text(text)
    for mode, level in ((0o644, "warn"), (0o600, "ok")):
        path.chmod(mode)
        _, found, _ = look(machine, "mine", "--config", "mine.yml")
        assert [finding["level"] for finding in of(found, "secrets")] == [level]
        assert "S3CR3T" not in json.dumps(found)


def test_a_secret_of_the_environment_is_not_in_the_file(machine: Machine) -> None:
    path = machine.folder / "mine.yml"
    path.write_text("ops: {sessions: {mine: {command: 'true'}}}\n")
    path.chmod(0o644)
    machine.environ["KLINE_OPS__OPS__SESSIONS__MINE__ENV__PW"] = "!S3CR3T"
    _, found, _ = look(machine, "mine", "--config", "mine.yml")
    assert [finding["level"] for finding in of(found, "secrets")] == ["ok"]


def test_a_port_is_no_status(machine: Machine) -> None:
    """Refused at 40399 or 45110, which is no firewall's 403, nor a law's 451."""
    for port in (40399, 45110):
        write(machine, ["ws://127.0.0.1:1/ws"], f"http://127.0.0.1:{port}")
        _, found, _ = look(machine, "mine", "--config", "mine.yml")
        (rest,) = of(found, "rest")
        assert rest["level"] == "warn"
        assert "blocked" not in rest["advice"]


@pytest.mark.parametrize("status", [403, 451])
def test_rest_that_is_blocked(machine: Machine, status: int) -> None:
    with answering(status) as port:
        write(machine, ["ws://127.0.0.1:1/ws"], f"http://127.0.0.1:{port}")
        _, found, _ = look(machine, "mine", "--config", "mine.yml")
    (rest,) = of(found, "rest")
    assert str(status) in rest["told"]
    assert "blocked" in rest["advice"]


def test_what_looks_after_a_command(machine: Machine) -> None:
    folder = machine.folder / "bin"
    folder.mkdir()
    (machine.folder / "mine.yml").write_text("ops: {sessions: {mine: {command: 'true'}}}\n")
    script = folder / "crontab"
    environ = {"PATH": f"{folder}:{os.environ['PATH']}"}

    def cron() -> str:
        ran = machine.run("doctor", "mine", "--config", "mine.yml", "--json", **environ)
        (finding,) = of(json.loads(ran.stdout)["findings"], "cron")
        return str(finding["told"])

    script.write_text("#!/bin/sh\necho '@reboot kline-ops start other'\n")
    script.chmod(0o755)
    assert "does not look after mine" in cron()
    unit = machine.folder / "config/systemd/user/kline-ops-mine-watchdog.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    assert cron() == "units of systemd look after mine"
    unit.unlink()
    script.write_text("#!/bin/sh\n'" + sys.executable + "' -m kline_ops units mine --config "
                      "mine.yml --cron\n")  # fmt: skip
    assert cron() in {"looks after mine", "no cron daemon is running"}


def test_a_program_that_hangs_holds_up_nobody(machine: Machine) -> None:
    """A crontab that never answers: it is told, and the rest is there."""
    folder = machine.folder / "bin"
    folder.mkdir()
    (folder / "crontab").write_text("#!/bin/sh\nexec sleep 60\n")
    (folder / "crontab").chmod(0o755)
    began = time.monotonic()
    ran = machine.run("doctor", "demo", "--json", PATH=f"{folder}:{os.environ['PATH']}")
    assert time.monotonic() - began < 12
    found = json.loads(ran.stdout)["findings"]
    (cron,) = of(found, "cron")
    assert (cron["level"], cron["told"]) == ("warn", "crontab hangs")
    assert of(found, "disk")


def test_a_tmux_server_whose_socket_was_deleted(machine: Machine, socket_folder: Path) -> None:
    environ = machine.environ | {"TMUX_TMPDIR": str(socket_folder)}
    subprocess.run(
        ["tmux", "-L", machine.socket, "-f", "/dev/null", "new-session", "-d", "sleep 600"],
        env=environ, check=True,
    )  # fmt: skip
    path = socket_folder / f"tmux-{os.getuid()}" / machine.socket
    until(path.exists)
    path.unlink()
    # Without a name: where the sessions of the registry are, whatever the present environment says.
    entry = dict.fromkeys(
        ("config", "data_dir", "csv", "state_file", "events_file", "log_file", "exit_file", "symbol",
         "interval", "endpoint"), "",
    )  # fmt: skip
    entry |= {"name": "x", "tmux_socket": machine.socket, "tmux_tmpdir": str(socket_folder)}
    registry = machine.folder / "state/kline-ops/sessions/x.json"
    registry.parent.mkdir(parents=True)
    registry.write_text(json.dumps(entry))
    ran = machine.run("doctor", "--json", HTTPS_PROXY="http://127.0.0.1:1")
    (finding,) = of(json.loads(ran.stdout)["findings"], "tmux socket")
    assert finding["level"] == "warn"
    assert str(path) in finding["told"]
    registry.unlink()
    (finding,) = of(
        json.loads(machine.run("doctor", "demo", "--json", TMUX_TMPDIR=str(socket_folder)).stdout)[
            "findings"
        ],
        "tmux socket",
    )
    assert finding["level"] == "warn"
    server = int(finding["advice"].rsplit(" ", 1)[1])
    os.kill(server, signal.SIGUSR1)
    until(path.exists)
    subprocess.run(["tmux", "-L", machine.socket, "kill-server"], env=environ, check=True)


@pytest.mark.parametrize("columns", [40, 80])
def test_lines_are_broken_at_blanks(machine: Machine, columns: int) -> None:
    """By the terminal itself they would be broken within words."""
    write(machine, ["ws://127.0.0.1:1/ws"], "http://127.0.0.1:1")
    whole = machine.run("doctor", "mine", "--config", "mine.yml").stdout
    arguments = ("doctor", "mine", "--config", "mine.yml")
    with Terminal(machine, *arguments, columns=columns, lines=10) as terminal:
        terminal.child.wait(15)
        shown = re.sub(r"\x1b\[[0-9;]*m", "", terminal.look().decode())
    words = [word for word in whole.split() if word.isalpha()]
    assert len(words) > 50
    assert words == [word for word in shown.split() if word.isalpha()]
    for line in shown.splitlines():
        # What has no blank is left whole, such as the path of a file.
        assert len(line) <= columns or max(map(len, line.split())) > columns - 25, line
