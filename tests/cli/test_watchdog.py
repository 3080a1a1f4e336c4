"""``watchdog NAME`` over real sessions, against the embedded exchange, under real faults."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from kline_ops.watch.files import write_json
from tests.alerts.hook import TAKEN, Webhook
from tests.support.exchange_thread import ExchangeThread
from tests.support.machine import Machine, kill, until

CHECK, AGE = 0.5, 2.0
#: From a fault to its alarm; what a busy machine needs beside is not the watchdog's.
BOUND = CHECK + AGE
SLACK = 1.0


class Dog:
    """A watchdog that runs, and what it has said."""

    def __init__(self, machine: Machine, *options: str) -> None:
        self.out = machine.folder / f"watchdog-{time.monotonic_ns()}"
        with self.out.open("w") as file:
            self.process = machine.begin(
                "watchdog", "mine", "--interval", str(CHECK), "--max-age", str(AGE), *options,
                stdout=file,
            )  # fmt: skip

    @property
    def lines(self) -> list[str]:
        return self.out.read_text().splitlines()

    def said(self, words: str) -> list[str]:
        return [line for line in self.lines if words in line]

    def alarms(self) -> list[str]:
        return self.said(" CRITICAL ")

    def alarm_within(self, began: float, words: str, bound: float = BOUND) -> str:
        found = until(lambda: self.said(f" CRITICAL mine: {words}"), bound + 20)
        assert time.monotonic() - began < bound + SLACK, self.lines
        return str(found[0])

    def recovers(self) -> None:
        until(lambda: self.said(" SUCCESS mine: well again: after "), 30)

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=15)
        assert (self.process.returncode, errors) == (0, "")
        assert self.lines[-1].endswith("INFO ended")


def configure(machine: Machine, exchange: ExchangeThread | None = None, **changes: Any) -> None:
    tree: dict[str, Any] = {
        "binance": {"stream": {"symbol": "btcusdt", "timeframe": "1s"}},
        "resilience": {"heartbeat": {"interval": 0.5}},
        "websocket": {"stall_timeout": 1.0},
    }
    if exchange is None:
        tree["exchange"] = {"embedded": True}
    else:
        tree["binance"] |= {"ws_url": exchange.server.ws_url, "rest_url": exchange.rest_url}
    (machine.folder / "mine.yml").write_text(yaml.safe_dump(tree | changes))


def begin(machine: Machine, *options: str) -> Dog:
    """A session that records, and a watchdog that finds it well."""
    started = machine.run("start", "mine", "--config", "mine.yml")
    assert started.returncode == 0, started.stderr
    until(lambda: machine.status("mine")["state"] == "RECORDING")
    dog = Dog(machine, *options)
    until(lambda: dog.said("mine: WELL"))
    time.sleep(AGE)  # what it finds is told from now on
    return dog


def processes(machine: Machine) -> tuple[int, int]:
    """Of the recorder and of its supervisor."""
    entry = machine.folder / "state" / "kline-ops" / "sessions" / "mine.json"
    return machine.state("mine")["metadata"]["pid"], json.loads(entry.read_text())["keeper_pid"]


def is_whole(machine: Machine) -> None:
    """Every candle from the first to the last is there, once, in order."""

    def holes() -> list[tuple[datetime, datetime]]:
        rows = (machine.data("mine") / "candles_BTCUSDT_1s.csv").read_text().splitlines()[1:]
        times = [datetime.fromisoformat(row.split(",")[0]) for row in rows]
        return [(a, b) for a, b in itertools.pairwise(times) if b - a != timedelta(seconds=1)]

    until(lambda: machine.status("mine")["missing"] == 0 and not holes(), 30)


@pytest.fixture
def hook() -> Iterator[tuple[str, list[str]]]:
    """A webhook's address, and the titles of what a watchdog posts to it."""
    posted: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            title = re.sub(r"^\S+ ", "", body["text"])
            if title.startswith("mine: "):  # the recorder tells of itself through it as well
                posted.append(title)
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


@pytest.mark.long
def test_a_clean_stop_is_no_alarm_and_a_renewal_neither(machine: Machine) -> None:
    configure(machine)
    dog = begin(machine)
    assert machine.run("restart", "mine").returncode == 0
    assert machine.run("stop", "mine").returncode == 0
    until(lambda: dog.said("mine: STOPPED"))
    time.sleep(BOUND + 1)
    assert machine.run("start", "mine", "--config", "mine.yml").returncode == 0
    until(lambda: len(dog.said("mine: WELL")) >= 2)
    assert machine.run("stop", "mine").returncode == 0
    until(lambda: len(dog.said("mine: STOPPED")) >= 2)
    shutil.rmtree(machine.data("mine"))
    time.sleep(BOUND + 1)
    dog.end()
    assert dog.alarms() == [], dog.lines
    assert len(dog.lines) < 15


@pytest.mark.long
def test_a_killed_session_is_told_once_with_its_recovery(machine: Machine) -> None:
    configure(machine)
    dog = begin(machine)
    recorder, keeper = processes(machine)
    kill(keeper)
    kill(recorder)
    began = time.monotonic()
    assert "the process is gone" in dog.alarm_within(began, "dead: ")
    time.sleep(BOUND)
    assert machine.run("start", "mine", "--config", "mine.yml").returncode == 0
    dog.recovers()
    dog.end()
    assert len(dog.alarms()) == 1


@pytest.mark.long
def test_a_killed_recorder_with_a_supervisor_is_no_alarm(machine: Machine) -> None:
    configure(machine)
    dog = begin(machine)
    kill(processes(machine)[0])
    time.sleep(BOUND + 1)
    until(lambda: machine.status("mine")["state"] == "RECORDING")
    dog.end()
    assert dog.alarms() == []


@pytest.mark.long
def test_a_suspended_recorder_is_told_once_with_its_recovery(machine: Machine) -> None:
    configure(machine)
    dog = begin(machine)
    recorder, _ = processes(machine)
    kill(recorder, signal.SIGSTOP)
    began = time.monotonic()
    told = dog.alarm_within(began, "no heartbeat: ")
    assert f"suspended (continue it with: kill -CONT {recorder})" in told
    time.sleep(BOUND)
    kill(recorder, signal.SIGCONT)
    dog.recovers()
    dog.end()
    assert len(dog.alarms()) == 1


@pytest.mark.long
def test_what_freezes_both_is_no_alarm(machine: Machine) -> None:
    """A container that is paused, for one."""
    # A machine that is busy beside may need a while until data comes again.
    configure(machine, websocket={"stall_timeout": 15.0})
    dog = begin(machine)
    recorder, _ = processes(machine)
    for pid in (recorder, dog.process.pid):
        kill(pid, signal.SIGSTOP)
    time.sleep(BOUND + 2)
    for pid in (recorder, dog.process.pid):
        kill(pid, signal.SIGCONT)
    time.sleep(BOUND + 1)
    dog.end()
    assert dog.alarms() == []


@pytest.mark.long
def test_a_silent_stream_is_told_while_the_beats_go_on(machine: Machine) -> None:
    with ExchangeThread() as exchange:
        configure(machine, exchange)
        dog = begin(machine)
        exchange.do(lambda server: server.silence(300))
        began = time.monotonic()
        told = dog.alarm_within(began, "stalled: ")
        assert "silent for" in told
        assert datetime.now(UTC) - datetime.fromisoformat(
            machine.state("mine")["timestamp"]
        ) < timedelta(seconds=AGE)
        exchange.do(lambda server: server.heal())
        dog.recovers()
        dog.end()
        assert len(dog.alarms()) == 1
        machine.run("stop", "mine")


@pytest.mark.long
def test_a_state_file_that_is_taken_away_for_good(machine: Machine) -> None:
    """Its folder is a file now, so that the recorder can not bring it back."""
    configure(machine)
    dog = begin(machine)
    folder = machine.data("mine") / "state"
    while not folder.is_file():  # the recorder may write at this very moment
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.touch(exist_ok=False)
        except FileExistsError:
            continue
    began = time.monotonic()
    told = dog.alarm_within(began, "its state file is gone: ")
    assert told.endswith("its state file is gone: it was there, and is not any more")
    folder.unlink()
    dog.recovers()
    dog.end()
    assert len(dog.alarms()) == 1


@pytest.mark.long
def test_a_full_disk_is_told_as_one(machine: Machine, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk of its own needs root")
    try:
        configure(machine, data_dir=str(disk / "data"))
        dog = begin_on(machine, disk / "data")
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass
        began = time.monotonic()
        told = dog.alarm_within(began, "", bound=BOUND + 2)
        assert "disk" in told or "space" in told
        ballast.unlink()
        dog.recovers()
        dog.end()
        assert not dog.said("was killed")
    finally:
        machine.run("stop", "mine")
        subprocess.run(["umount", str(disk)], check=False)


def begin_on(machine: Machine, data: Path) -> Dog:
    started = machine.run("start", "mine", "--config", "mine.yml")
    assert started.returncode == 0, started.stderr
    until(lambda: machine.status("mine")["state"] == "RECORDING")
    dog = Dog(machine, "--restart")
    until(lambda: dog.said("mine: WELL"))
    time.sleep(AGE)
    return dog


@pytest.mark.long
def test_a_wrong_clock_is_told_as_one(machine: Machine) -> None:
    """The recorder is suspended, and its state written by hand in its place."""
    configure(machine)
    dog = begin(machine)
    recorder, _ = processes(machine)
    path = machine.data("mine") / "state" / "heartbeat.state.json"
    state = machine.state("mine")
    # A process of that pid and start time that runs: ourselves.
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    state["metadata"] |= {"pid": os.getpid(), "pid_started": int(fields[19])}
    kill(recorder, signal.SIGSTOP)
    try:
        for ahead, words in ((3600, "in the future"),):
            deadline = time.monotonic() + BOUND + 1
            began = time.monotonic()
            while time.monotonic() < deadline:
                at = datetime.now(UTC) + timedelta(seconds=ahead)
                write_json(path, state | {"timestamp": at.isoformat()})
                time.sleep(0.1)
                if dog.alarms():
                    break
            assert words in dog.alarm_within(began, "a clock is wrong: ")
    finally:
        kill(recorder, signal.SIGCONT)
    dog.recovers()
    dog.end()
    assert len(dog.alarms()) == 1


@pytest.mark.long
def test_restart_brings_back_what_was_killed_and_what_was_suspended(
    machine: Machine, hook: tuple[str, list[str]]
) -> None:
    url, posted = hook
    configure(machine, credentials={"sops_mainnet": url})
    dog = begin(machine, "--restart")
    recorder, keeper = processes(machine)
    kill(keeper)
    kill(recorder)
    dog.alarm_within(time.monotonic(), "dead: ")
    (told,) = until(lambda: dog.said(" WARNING mine: started again: "), 30)
    assert "mine is recording btcusdt 1s" in told.lower()
    dog.recovers()
    recorder, _ = processes(machine)
    kill(recorder, signal.SIGSTOP)
    (told,) = until(lambda: dog.said(" WARNING mine: its recorder was killed: "), 30)
    assert f"pid {recorder} was killed; it goes on in pid " in told
    until(lambda: len(dog.said(" SUCCESS ")) == 2, 30)
    is_whole(machine)
    assert machine.run("stop", "mine").returncode == 0
    time.sleep(BOUND + 1)
    assert machine.status("mine")["state"] == "STOPPED"
    dog.end()
    assert len(dog.alarms()) == 2
    assert posted == [
        "mine: dead", "mine: started again", "mine: well again", "mine: no heartbeat",
        "mine: its recorder was killed", "mine: well again",
    ]  # fmt: skip
    assert url not in dog.out.read_text()


@pytest.mark.long
def test_restart_tries_a_fresh_process_once_for_a_session_that_is_dry(machine: Machine) -> None:
    """It has no data either, so the old one goes on."""
    with ExchangeThread() as exchange:
        configure(machine, exchange)
        dog = begin(machine, "--restart")
        exchange.do(lambda server: server.silence(300))
        recorder, _ = processes(machine)
        told = until(
            lambda: dog.said(" WARNING mine: could not be changed to a fresh process: "), 100
        )
        assert "mine goes on in its old process" in told[0]
        assert processes(machine)[0] == recorder
        until(lambda: dog.said(" WARNING mine: not restarted any more"))
        exchange.do(lambda server: server.heal())
        dog.recovers()
        dog.end()
        machine.run("stop", "mine")


@pytest.mark.long
def test_a_session_that_is_only_a_command_does_not_beat(machine: Machine) -> None:
    """Its state file is as old as it is, and that is no alarm."""
    config = "ops: {sessions: {mine: {command: sleep 600}}}\n"
    (machine.folder / "mine.yml").write_text(config)
    assert machine.run("start", "mine", "--config", "mine.yml").returncode == 0
    dog = Dog(machine, "--restart")
    until(lambda: dog.said("mine: WELL"))
    time.sleep(BOUND + 1)
    assert dog.alarms() == []
    command, keeper = processes(machine)
    kill(keeper)
    kill(command)
    dog.alarm_within(time.monotonic(), "dead: ")
    until(lambda: dog.said(" WARNING mine: started again: mine is running: sleep 600"), 30)
    dog.recovers()
    dog.end()


def test_once_is_one_line_and_a_code(machine: Machine, hook: tuple[str, list[str]]) -> None:
    """Told once, and its end; by calls that know of each other by a file only."""
    url, posted = hook
    configure(machine, credentials={"sops_wd": url})
    once = ["watchdog", "mine", "--once", "--max-age", str(AGE)]
    unknown = machine.run(*once)
    assert (unknown.returncode, unknown.stdout) == (4, "")
    not_begun = machine.run(*once, "--config", "mine.yml")
    assert (not_begun.returncode, not_begun.stdout) == (
        0,
        "mine NOT_STARTED: there is no state file yet\n",
    )
    child = machine.begin("run", "mine", "--config", "mine.yml", "--plain")
    until(lambda: machine.state("mine").get("status") == "recording")
    well = machine.run(*once)
    assert (well.returncode, well.stdout, well.stderr) == (0, "mine WELL\n", "")
    child.kill()
    child.wait()
    for _ in range(2):
        dead = machine.run(*once)
        assert dead.returncode == 1
        assert dead.stdout == "mine DEAD: the process is gone and said no last word\n"
        assert dead.stderr == ""
    assert posted == ["mine: dead"]
    again = machine.begin("run", "mine", "--config", "mine.yml", "--plain")
    until(lambda: machine.run(*once).stdout == "mine WELL\n")
    assert posted == ["mine: dead", "mine: well again"]
    again.send_signal(signal.SIGTERM)
    again.wait(10)
    stopped = machine.run(*once)
    assert (stopped.returncode, stopped.stdout) == (0, "mine STOPPED\n")
    shutil.rmtree(machine.data("mine"))
    assert machine.run(*once).returncode == 0
    assert posted == ["mine: dead", "mine: well again"]


def test_what_reached_nobody_is_told_by_the_next_call(machine: Machine) -> None:
    with contextlib.closing(Webhook()) as hook:
        configure(machine, credentials={"sops_wd": hook.url})
        write_json(machine.data("mine") / "state" / "heartbeat.state.json", {
            "timestamp": "2026-01-01T00:00:00Z", "status": "recording",
            "metadata": {"pid": 1 << 22},
        })  # fmt: skip
        once = ["watchdog", "mine", "--once", "--config", "mine.yml"]
        hook.answers = [(404, {}, b""), (404, {}, b""), TAKEN]
        first, second, third, fourth = (machine.run(*once) for _ in range(4))
    assert "answered 404" in first.stderr
    assert "CRITICAL mine: dead: " in first.stderr
    assert "answered 404" in second.stderr
    assert "CRITICAL" not in second.stderr  # it was told there once
    assert (third.stderr, fourth.stderr) == ("", "")
    assert hook.titles == ["mine: dead"] * 3


@pytest.mark.long
def test_one_that_goes_on_and_a_call_know_of_each_other(
    machine: Machine, hook: tuple[str, list[str]]
) -> None:
    """What one has told and done is told and done: three restarts an hour in all."""
    url, posted = hook
    configure(machine, credentials={"sops_wd": url})
    once = ["watchdog", "mine", "--once", "--restart", "--max-age", str(AGE)]
    dog = begin(machine, "--restart")

    def end_all() -> None:
        recorder, keeper = processes(machine)
        kill(keeper)
        kill(recorder)

    for count in (1, 2):
        end_all()
        until(lambda: len(dog.said("mine: started again: ")) == count, 30)  # noqa: B023
        until(lambda: len(dog.said(" SUCCESS ")) == count, 30)  # noqa: B023
    dog.end()
    end_all()
    until(lambda: machine.status("mine")["state"] == "DEAD")
    third = machine.run(*once)
    assert third.returncode == 1
    assert "mine DEAD: " in third.stdout
    assert "; started again: mine is recording BTCUSDT 1s" in third.stdout
    until(lambda: machine.run(*once).stdout == "mine WELL\n")
    dog = Dog(machine, "--restart")
    until(lambda: dog.said("mine: WELL"))
    time.sleep(AGE)
    end_all()
    until(lambda: dog.said(" WARNING mine: not restarted any more: "), 30)
    until(lambda: posted[-1] == "mine: not restarted any more")
    told = list(posted)
    for _ in range(2):
        fourth = machine.run(*once)
        assert fourth.returncode == 1
        assert fourth.stdout == "mine DEAD: the process is gone and said no last word\n"
    assert posted == told
    dog.end()


def test_once_without_a_channel_tells_its_error_output(machine: Machine) -> None:
    """So that cron mails what is to be told, and nothing else."""
    configure(machine)
    write_json(machine.data("mine") / "state" / "heartbeat.state.json", {
        "timestamp": "2026-01-01T00:00:00Z", "status": "recording", "metadata": {"pid": 1 << 22},
    })  # fmt: skip
    once = ["watchdog", "mine", "--once", "--config", "mine.yml"]
    first, second = machine.run(*once), machine.run(*once)
    assert (first.returncode, second.returncode) == (1, 1)
    assert re.fullmatch(r"\S+Z CRITICAL mine: dead: the process is gone.*\n", first.stderr)
    assert second.stderr == ""
    assert first.stdout == second.stdout


def test_a_config_that_can_not_be_read_is_no_reason_not_to_watch(machine: Machine) -> None:
    configure(machine)
    child = machine.begin("run", "mine", "--config", "mine.yml", "--plain")
    until(lambda: machine.state("mine").get("status") == "recording")
    (machine.folder / "mine.yml").write_text("binance: {stream: {symbol: 'btcusdt', oops: 1}}\n")
    dog = Dog(machine)
    until(lambda: dog.said("mine: WELL"))
    (told,) = dog.said(" WARNING ")
    assert "its config can not be used, so no channel is told: " in told
    time.sleep(AGE)
    child.kill()
    child.wait()
    dog.alarm_within(time.monotonic(), "dead: ")
    nobody = machine.run("watchdog", "other", "--config", "mine.yml", "--once")
    assert nobody.returncode == 2
    configure(machine)
    until(lambda: dog.said("INFO its config can be used again: there is no channel"))
    dog.end()


def test_a_log_that_can_not_be_written_does_not_end_it(machine: Machine) -> None:
    """What there is to tell of may be that very disk."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    configure(machine)
    with Path("/dev/full").open("w") as full:
        process = machine.begin("watchdog", "mine", "--config", "mine.yml", "--interval", "0.2",
                                stdout=full)  # fmt: skip
        state = machine.data("mine") / "state" / "heartbeat.state.json"
        time.sleep(1.5)
        write_json(state, {"timestamp": "2026-01-01T00:00:00Z"})
        time.sleep(1.0)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.wait(10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_it(machine: Machine, number: signal.Signals) -> None:
    configure(machine)
    dog = Dog(machine, "--config", "mine.yml")
    until(lambda: dog.said("NOT_STARTED"))
    dog.process.send_signal(number)
    assert dog.process.wait(10) == 0
    assert dog.lines[0].split(" ", 1)[1].startswith("INFO watching mine: ")
    assert "no channel" in dog.lines[0]


def test_another_programs_heartbeat(machine: Machine) -> None:
    """``watchdog.state_file``: what beats there need not be a recorder of ours."""
    configure(machine, resilience={"watchdog": {"state_file": "other.json"}})
    other = machine.data("mine") / "other.json"
    write_json(other, {"timestamp": datetime.now(UTC).isoformat(), "status": "running"})
    once = ["watchdog", "mine", "--once", "--config", "mine.yml", "--max-age", "1000"]
    assert machine.run(*once).stdout == "mine WELL\n"
    write_json(other, {"timestamp": "2026-01-01T00:00:00Z"})
    told = machine.run("watchdog", "mine", "--once", "--config", "mine.yml")
    assert told.returncode == 1


@pytest.mark.parametrize(
    "option", [["--interval", "0"], ["--max-age", "nan"], ["--interval", "inf"]]
)
def test_what_is_refused(machine: Machine, option: list[str]) -> None:
    ran = machine.run("watchdog", "mine", *option)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert len(ran.stderr.splitlines()) == 1
