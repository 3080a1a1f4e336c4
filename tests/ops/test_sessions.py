"""Sessions in a real tmux on a private socket, with real processes that are really killed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from kline_ops.market.candle import from_row
from kline_ops.watch.process import Process, look_at
from tests.support.machine import Machine, kill, until
from tests.support.terminal import Terminal


def gone(pid: int) -> bool:
    return look_at(pid, None) in {Process.GONE, Process.ZOMBIE}


def candles(machine: Machine, name: str = "demo") -> list[int]:
    """The open times on disk; every row must be whole, in order, and on disk once."""
    lines = (machine.data(name) / "candles_BTCUSDT_1s.csv").read_bytes().splitlines(keepends=True)
    times = [from_row(line).open_ms for line in lines[1:]]
    assert times == sorted(set(times))
    return times


def test_the_life_of_a_session(machine: Machine) -> None:
    started = machine.run("start", "demo")
    assert (started.returncode, started.stderr) == (0, "")
    assert "demo is recording BTCUSDT 1s into" in started.stdout

    again = machine.run("start", "demo")
    assert (again.returncode, again.stdout) == (0, "demo is running already\n")

    record = machine.status("demo")
    assert record["state"] == "RECORDING"
    assert look_at(record["pid"], None) is Process.RUNNING
    until(lambda: machine.status("demo")["on_disk"] >= 2)
    assert json.loads(machine.run("list", "--json").stdout)[0]["name"] == "demo"
    assert "demo" in machine.tmux("list-sessions")
    # A name that is only the beginning of another is nobody.
    for command in ("status", "stop", "logs", "attach"):
        assert machine.run(command, "dem").returncode == 4
    assert machine.run("attach", "demo").stderr.startswith("kline-ops: attach needs a terminal")

    stopped = machine.run("stop", "demo")
    assert stopped.returncode == 0
    assert gone(record["pid"])
    until(lambda: machine.tmux("list-sessions") == "")
    assert machine.run("stop", "demo").stdout == "demo is not running\n"
    assert machine.run("status", "demo").returncode == 3
    assert machine.status("demo")["state"] == "STOPPED"
    assert machine.run("attach", "demo").returncode == 3
    assert machine.run("restart", "demo").returncode == 3
    # After the end: the log, the events, and how it ended.
    assert "stopped: SIGTERM" in machine.run("logs", "demo").stdout
    assert len(machine.run("logs", "demo", "-n", "2").stdout.splitlines()) == 2
    last = machine.run("logs", "demo", "--events", "-n", "2").stdout.splitlines()
    assert [json.loads(line)["kind"] for line in last] == ["session_stopped", "process_ended"]
    assert json.loads((machine.data("demo") / "exit.json").read_text())["code"] == 0
    candles(machine)


def test_a_killed_recorder_is_started_again_and_loses_nothing(machine: Machine) -> None:
    machine.run("start", "demo")
    until(lambda: machine.status("demo")["on_disk"] >= 2)
    first = machine.status("demo")["pid"]
    kill(first)
    told = until(lambda: (machine.data("demo") / "exit.json").exists() and json.loads(
        (machine.data("demo") / "exit.json").read_text()
    ))  # fmt: skip
    assert (told["signal"], told["code"], told["final"]) == ("SIGKILL", None, False)
    until(lambda: machine.status("demo")["pid"] not in {first, None})
    # REST is asked `grace` (2 s) after a close.
    until(
        lambda: (
            machine.status("demo")["state"] == "RECORDING" and machine.status("demo")["owed"] > 5
        )
    )
    until(lambda: machine.status("demo")["missing"] == 0)
    machine.run("stop", "demo")
    times = candles(machine)
    assert times == list(range(times[0], times[-1] + 1000, 1000))


def test_a_session_whose_tmux_server_was_killed_is_dead_and_not_stopped(machine: Machine) -> None:
    machine.run("start", "demo")
    until(lambda: machine.status("demo")["on_disk"] >= 1)
    pid = machine.status("demo")["pid"]
    kill(int(machine.tmux("display-message", "-p", "#{pid}")))
    until(lambda: not Path(f"/proc/{pid}").exists())
    told = until(lambda: machine.status("demo")["state"] != "RECORDING" and machine.status("demo"))
    assert (told["state"], "nobody stopped it" in told["reason"]) == ("DEAD", True)


def test_restart_is_a_new_process_of_the_same_session_without_a_gap(machine: Machine) -> None:
    machine.run("start", "demo")
    first = machine.status("demo")["pid"]
    restarted = machine.run("restart", "demo")
    assert restarted.returncode == 0
    second = machine.status("demo")
    assert f"goes on in a fresh process (pid {second['pid']})" in restarted.stdout
    assert second["state"] in {"RECORDING", "CATCHING_UP"}
    assert second["pid"] != first
    until(lambda: gone(first))
    owed = second["owed"]
    until(lambda: machine.status("demo")["owed"] > owed + 3)
    machine.run("stop", "demo")
    times = candles(machine)
    assert times == list(range(times[0], times[-1] + 1000, 1000))
    log = [json.loads(x) for x in (machine.data("demo") / "events.jsonl").read_text().splitlines()]
    assert not [told for told in log if told["kind"] == "hole_filled"]


def test_a_restart_that_comes_to_nothing_leaves_the_old_one_alone(machine: Machine) -> None:
    """What the config says now is good for a check, and the recorder that reads it ends at once."""
    config = machine.folder / "demo.yml"
    config.write_text(
        "exchange: {embedded: true}\nbinance: {stream: {symbol: btcusdt, timeframe: 1s}}\n"
    )
    machine.run("start", "demo", "--config", str(config))
    first = machine.status("demo")["pid"]
    config.write_text(
        "binance: {ws_url: 'ws://127.0.0.1:1/ws', stream: {symbol: btcusdt, timeframe: 1s}}\n"
    )
    refused = machine.run("restart", "demo", "--wait", "4")
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert look_at(first, None) is Process.RUNNING
    assert machine.status("demo")["state"] in {"RECORDING", "CATCHING_UP"}
    # A file of another name is nothing to take over.
    config.write_text(
        "exchange: {embedded: true}\nbinance: {stream: {symbol: ethusdt, timeframe: 1s}}\n"
    )
    refused = machine.run("restart", "demo")
    assert refused.returncode == 2
    assert "then start it" in refused.stderr
    assert look_at(first, None) is Process.RUNNING


def test_words_for_a_suspended_and_for_a_dead_one(machine: Machine) -> None:
    machine.run("start", "demo")
    record = machine.status("demo")
    kill(record["pid"], signal.SIGSTOP)
    until(lambda: look_at(record["pid"], None) is Process.STOPPED)
    assert machine.status("demo")["state"] == "STALLED"
    assert machine.run("status", "demo").returncode == 1

    session = json.loads((machine.folder / "state/kline-ops/sessions/demo.json").read_text())
    kill(session["keeper_pid"])
    kill(record["pid"])
    until(lambda: gone(record["pid"]) and gone(session["keeper_pid"]))
    assert machine.status("demo")["state"] == "DEAD"
    assert machine.run("status", "demo").returncode == 3


def test_a_zombie_is_called_one(machine: Machine) -> None:
    """Its supervisor is suspended, so that nobody reaps it; ``kill(pid, 0)`` says that it lives.

    Outside tmux, which lets a suspended pane go on at once.
    """
    keeper = machine.begin("supervise", "demo")
    record = until(
        lambda: machine.state("demo").get("status") == "recording" and machine.status("demo")
    )
    kill(keeper.pid, signal.SIGSTOP)
    until(lambda: look_at(keeper.pid, None) is Process.STOPPED)
    kill(record["pid"])
    until(lambda: look_at(record["pid"], None) is Process.ZOMBIE)
    os.kill(record["pid"], 0)
    told = machine.status("demo")
    assert (told["state"], "is a zombie" in told["reason"]) == ("DEAD", True)
    assert machine.run("status", "demo").returncode == 3
    # Once it goes on, so does the recording.
    kill(keeper.pid, signal.SIGCONT)
    until(lambda: machine.status("demo")["state"] in {"RECORDING", "CATCHING_UP"})


#: Read by each Python before anything else: the main thread is caught in a sleep after six seconds.
HANGS = """
import signal, time
signal.signal(signal.SIGALRM, lambda *_: time.sleep(600))
signal.alarm(6)
"""


@pytest.mark.long
def test_a_hung_one_is_called_so(machine: Machine, tmp_path: Path) -> None:
    place = tmp_path / "site"
    place.mkdir()
    (place / "sitecustomize.py").write_text(HANGS)
    before = machine.environ["PYTHONPATH"]
    machine.environ |= {
        "PYTHONPATH": f"{place}:{before}",
        "KLINE_OPS__RESILIENCE__HEARTBEAT__INTERVAL": "1",
    }
    child = machine.begin("run", "demo")
    machine.environ["PYTHONPATH"] = before
    until(lambda: machine.state("demo").get("status") == "recording")
    told = until(
        lambda: machine.status("demo")["state"] not in {"RECORDING", "CATCHING_UP"}
        and machine.status("demo")
    )  # fmt: skip
    assert look_at(child.pid, None) is Process.RUNNING
    assert (told["state"], told["reason"].startswith("hung: ")) == ("STALLED", True)
    assert machine.run("status", "demo").returncode == 1
    # It hears nothing any more, and ends all the same.
    assert "by force" in machine.run("stop", "demo", "--timeout", "2").stdout
    assert gone(child.pid)


def test_a_suspended_recorder_can_be_stopped(machine: Machine) -> None:
    machine.run("start", "demo")
    record = machine.status("demo")
    kill(record["pid"], signal.SIGSTOP)
    assert machine.run("stop", "demo", "--timeout", "3").returncode == 0
    assert gone(record["pid"])


def test_a_second_recorder_on_one_file_is_refused_and_touches_nothing(machine: Machine) -> None:
    machine.run("start", "demo")
    machine.run("stop", "demo")
    child = machine.begin("run", "demo")
    until(lambda: machine.state("demo").get("metadata", {}).get("pid") == child.pid)
    before = sorted(path.name for path in machine.data("demo").iterdir())
    refused = machine.run("run", "demo")
    assert refused.returncode == 2
    assert f"is being recorded by pid {child.pid} (session demo)" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert sorted(path.name for path in machine.data("demo").iterdir()) == before
    # Another session that would write the same file is refused before there is a tmux session.
    (machine.folder / "other.yml").write_text(
        f"data_dir: {machine.data('demo')}\nexchange: {{embedded: true}}\n"
        "binance: {stream: {symbol: btcusdt, timeframe: 1s}}\n"
    )
    refused = machine.run("start", "other", "--config", "other.yml")
    assert refused.returncode == 2
    assert f"pid {child.pid}" in refused.stderr
    assert machine.tmux("list-sessions") == ""


def test_without_a_network_start_says_so_and_the_session_goes_on(machine: Machine) -> None:
    config = machine.folder / "nowhere.yml"
    config.write_text(
        "binance: {ws_url: 'ws://127.0.0.1:1/ws', stream: {symbol: btcusdt, timeframe: 1h}}\n"
    )
    started = machine.run("start", "nowhere", "--config", str(config), "--wait", "5")
    assert started.returncode == 1
    warning, told = started.stderr.splitlines()
    assert "no data after 5 s: connection refused; it goes on trying" in told
    assert warning.startswith("kline-ops: warning: no rest_url for ")
    record = machine.status("nowhere")
    assert (record["state"], record["reason"]) == ("STALLED", "no data yet: connection refused")
    assert look_at(record["pid"], None) is Process.RUNNING


def test_an_unknown_symbol_is_named(machine: Machine) -> None:
    (machine.folder / "typo.yml").write_text(
        "exchange: {embedded: true}\nbinance: {stream: {symbol: btcusdx, timeframe: 1s}}\n"
    )
    started = machine.run("start", "typo", "--config", "typo.yml")
    assert started.returncode == 2
    assert "binance.stream.symbol" in started.stderr
    assert "the exchange does not know BTCUSDX" in started.stderr
    assert len(started.stderr.splitlines()) == 1
    # The fault is the user's: nothing is tried again.
    until(lambda: machine.tmux("list-sessions") == "")
    assert machine.run("status", "typo").returncode == 3


def test_without_tmux_start_names_the_line_to_type(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    refused = machine.run("start", "demo", PATH=str(tmp_path / "bin"))
    assert refused.returncode == 5
    assert "apt-get install tmux" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_attach_shows_the_session_and_detaches(machine: Machine) -> None:
    machine.environ["TERM"] = "xterm"
    machine.run("start", "demo")
    with Terminal(machine, "attach", "demo") as terminal:
        terminal.wait_for(b"detach: Ctrl+B D")
        assert terminal.detach() == 0
        assert b"[detached" in terminal.look()
    assert machine.status("demo")["state"] == "RECORDING"


def test_a_config_error_after_a_start_is_final(machine: Machine) -> None:
    """A candle file that is not ours: the supervisor must not try again and again."""
    folder = machine.data("demo")
    folder.mkdir(parents=True)
    foreign = folder / "candles_BTCUSDT_1s.csv"
    foreign.write_text("time,price\n1,2\n")
    refused = machine.run("start", "demo", "--wait", "8")
    assert refused.returncode == 2
    assert "is not a candle file of kline-ops" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert foreign.read_text() == "time,price\n1,2\n"
    until(lambda: machine.tmux("list-sessions") == "")


def test_a_session_that_is_just_being_started_can_be_stopped(machine: Machine) -> None:
    machine.run("start", "demo", "--wait", "0")
    stopped = machine.run("stop", "demo")
    assert stopped.returncode == 0
    assert "not running" not in stopped.stdout
    until(lambda: machine.tmux("list-sessions") == "")
    assert machine.status("demo")["state"] == "STOPPED"


def test_a_locale_without_utf_8_is_no_obstacle(machine: Machine) -> None:
    started = machine.run("start", "demo", LC_ALL="C", LANG="C")
    assert (started.returncode, started.stderr) == (0, "")


def test_a_supervisor_killed_is_not_called_a_clean_end(machine: Machine) -> None:
    machine.run("start", "demo")
    record = machine.status("demo")
    session = json.loads((machine.folder / "state/kline-ops/sessions/demo.json").read_text())
    kill(session["keeper_pid"])
    until(lambda: gone(record["pid"]))
    assert machine.status("demo")["state"] == "DEAD"


def test_restart_leaves_a_recorder_of_others_alone(machine: Machine) -> None:
    child = machine.begin("run", "demo")
    until(lambda: machine.state("demo").get("metadata", {}).get("pid") == child.pid)
    refused = machine.run("restart", "demo")
    assert refused.returncode == 2
    assert "runs outside tmux" in refused.stderr
    assert child.poll() is None


def test_two_sessions_in_one_folder_are_not_taken_for_one_another(machine: Machine) -> None:
    (machine.folder / "other.yml").write_text(
        f"data_dir: {machine.data('demo')}\nexchange: {{embedded: true}}\n"
        "binance: {stream: {symbol: btcusdt, timeframe: 1s}}\n"
    )
    machine.run("start", "demo")
    machine.run("stop", "demo")
    started = machine.run("start", "other", "--config", "other.yml")
    assert (started.returncode, started.stderr) == (0, "")
    listed = {told["name"]: told for told in json.loads(machine.run("list", "--json").stdout)}
    assert (listed["demo"]["state"], listed["demo"]["pid"]) == ("STOPPED", None)
    assert listed["other"]["state"] in {"RECORDING", "CATCHING_UP"}
    assert machine.run("stop", "demo").stdout == "demo is not running\n"
    assert look_at(listed["other"]["pid"], None) is Process.RUNNING
