"""``watchdog NAME``: nothing but a signal ends it, and no fault of its own keeps it silent."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from kline_ops.cli.watchdog_once import check_once
from kline_ops.cli.watched import find_watched
from kline_ops.clock import SystemClock
from kline_ops.watch.files import write_json
from tests.support.machine import Machine, until

#: What the interpreter runs first: twice in each part of a round something gives way.
SABOTAGE = """
import itertools
from kline_ops.alerts import manager
from kline_ops.cli import watched
from kline_ops.ops import guard

def twice(owner, name):
    usual, calls = getattr(owner, name), itertools.count()
    def failing(*given, **named):
        if next(calls) < 2:
            raise AttributeError(f"{name} is broken")
        return usual(*given, **named)
    setattr(owner, name, failing)

for owner, name in (%s):
    twice(owner, name)
"""
OLD = {"timestamp": "2026-01-01T00:00:00Z", "status": "recording", "metadata": {"pid": 1 << 22}}


@pytest.fixture
def hook() -> Iterator[tuple[str, list[str]]]:
    posted: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/services/x", posted
        server.shutdown()
        thread.join()


def configure(machine: Machine, url: str | None = None) -> Path:
    tree = {
        "binance": {"stream": {"symbol": "btcusdt", "timeframe": "1s"}},
        "exchange": {"embedded": True},
        "credentials": {"sops_wd": url} if url else {},
    }
    (machine.folder / "mine.yml").write_text(yaml.safe_dump(tree))
    return machine.data("mine") / "state" / "heartbeat.state.json"


def sabotage(machine: Machine, *what: str) -> None:
    folder = machine.folder / "sabotage"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SABOTAGE % "".join(f"({each}), " for each in what))
    machine.environ["PYTHONPATH"] = str(folder)


WATCH = ["watchdog", "mine", "--config", "mine.yml", "--interval", "0.2", "--max-age", "0.5"]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("manager.AlertManager, 'send'", "its alert channel failed: AttributeError: send is"),
        ("guard, 'gather'", "it can not be looked at: AttributeError: gather is broken"),
        ("guard, 'of_telling'", "this check came to nothing: AttributeError: of_telling is"),
    ],
)
def test_a_fault_in_a_round_is_told_and_the_next_one_comes(
    machine: Machine, hook: tuple[str, list[str]], what: str, told: str
) -> None:
    url, posted = hook
    write_json(configure(machine, url), OLD)
    sabotage(machine, what)
    out = machine.folder / "out"
    with out.open("w") as file:
        process = machine.begin(*WATCH, stdout=file)
        until(lambda: told in out.read_text() or process.poll() is not None)
        assert process.poll() is None
        until(lambda: any("dead" in text for text in posted))
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert out.read_text().splitlines()[-1].endswith("INFO ended")


def test_a_session_whose_entry_and_config_have_gone_is_watched_on(machine: Machine) -> None:
    configure(machine)
    child = machine.begin("run", "mine", "--config", "mine.yml", "--plain")
    until(lambda: machine.state("mine").get("status") == "recording")
    (machine.folder / "mine.yml").write_text("oops")
    out = machine.folder / "out"
    with out.open("w") as file:
        process = machine.begin("watchdog", "mine", "--interval", "0.2", stdout=file)
        until(lambda: "mine: WELL" in out.read_text())
        (machine.folder / "state" / "kline-ops" / "sessions" / "mine.json").unlink()
        (machine.folder / "mine.yml").unlink()
        until(lambda: "no session 'mine'" in out.read_text() or process.poll() is not None)
        time.sleep(1.0)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert out.read_text().count("no session 'mine'") == 1
    child.send_signal(signal.SIGTERM)
    child.wait(10)


def test_a_state_file_that_is_a_fifo_is_an_alarm(machine: Machine) -> None:
    state = configure(machine)
    state.parent.mkdir(parents=True)
    os.mkfifo(state)
    ran = machine.run("watchdog", "mine", "--config", "mine.yml", "--once")
    assert ran.returncode == 1
    assert ran.stdout == "mine DEAD: the process is gone and said no last word\n"


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGHUP])
def test_two_signals_at_once_end_it_cleanly(machine: Machine, first: signal.Signals) -> None:
    """Held back while it is suspended, they arrive together."""
    configure(machine)
    out = machine.folder / "out"
    with out.open("w") as file:
        process = machine.begin(*WATCH, stdout=file)
        until(lambda: "NOT_STARTED" in out.read_text())
        process.send_signal(signal.SIGSTOP)
        for number in (first, signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCONT):
            process.send_signal(number)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")
    assert out.read_text().splitlines()[-1].endswith("INFO ended")


def test_once_is_one_line_whatever_the_state_file_says(machine: Machine) -> None:
    state = configure(machine)
    told = {"pid": os.getpid(), "heartbeat_interval": 3000.0}
    write_json(state, {
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "status": "stalled",
        "error": "a\nb\x1b[2J https://hooks.slack.com/services/T0/B0/secret", "metadata": told,
    })  # fmt: skip
    ran = machine.run("watchdog", "mine", "--config", "mine.yml", "--once")
    assert ran.returncode == 1
    assert ran.stdout.startswith("mine STALLED: a\\nb\\u001b[2J https://hooks.slack.com/")
    assert len(ran.stdout.splitlines()) == 1
    assert "secret" not in ran.stdout


def test_once_tells_its_channel_though_its_output_can_not_be_written(
    machine: Machine, hook: tuple[str, list[str]]
) -> None:
    """``>> watchdog.log`` on the disk that is full."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    url, posted = hook
    write_json(configure(machine, url), OLD)
    with Path("/dev/full").open("w") as full:
        process = machine.begin("watchdog", "mine", "--config", "mine.yml", "--once", stdout=full)
        assert process.wait(30) == 2
    assert len(posted) == 1


def test_a_call_while_another_is_under_way_looks_only(
    machine: Machine, hook: tuple[str, list[str]]
) -> None:
    """A restart takes longer than a minute of cron: it is not begun again, nor told again."""
    url, posted = hook
    write_json(configure(machine, url), OLD)
    once = ["watchdog", "mine", "--config", "mine.yml", "--once", "--restart"]
    lock = machine.folder / "state" / "kline-ops" / "watchdog" / "mine.json.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ran = machine.run(*once)
    assert (ran.returncode, ran.stderr, posted) == (1, "", [])
    assert ran.stdout.startswith("mine DEAD: ")
    with contextlib.suppress(FileNotFoundError):
        assert json.loads(lock.with_suffix("").read_text())["vigil"]["told"] == []
    ran = machine.run(*once[:-1])
    assert ran.returncode == 1
    assert len(posted) == 1


def test_once_gives_a_session_time_to_begin_after_a_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a power cut its state file is that of a dead one, and cron is quick."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    config = tmp_path / "mine.yml"
    config.write_text(
        f"binance: {{stream: {{symbol: btcusdt, timeframe: 1s}}}}\ndata_dir: {tmp_path}\n"
    )
    write_json(tmp_path / "state" / "heartbeat.state.json", OLD)
    watched = find_watched("mine", config, interval=None, max_age=None)
    monkeypatch.setattr(SystemClock, "monotonic", lambda _: 10.0)
    assert check_once(watched, restart=False) == 0
    told = capsys.readouterr()
    assert told.out.startswith("mine WAITING: DEAD: the process is gone and said no last word; ")
    assert told.out.endswith("it has 20 s to begin\n")
    monkeypatch.setattr(SystemClock, "monotonic", lambda _: 31.0)
    assert check_once(watched, restart=False) == 1
    assert "mine DEAD: " in capsys.readouterr().out
