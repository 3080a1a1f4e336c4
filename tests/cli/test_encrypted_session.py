"""A real session in tmux whose secrets are encrypted: they, and the key to them, stand nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.support.exchange_thread import ExchangeThread
from tests.support.machine import Machine, kill, until
from tests.support.sops import AgeKey, needs_sops

TOKEN = "hidden-token-of-mine"
SLACK = {
    "credentials": {"sops_mainnet": f"http://127.0.0.1:1/services/T0/B0/{TOKEN}"},
    "alerts": {
        "ping_url": f"http://127.0.0.1:1/{TOKEN}",
        "urls": [f"http://127.0.0.1:1/?a={TOKEN}"],
    },
    "binance_credentials": {"api_key": TOKEN, "api_secret": TOKEN},
}


def configure(machine: Machine, exchange: ExchangeThread) -> AgeKey:
    key = AgeKey(machine.folder)
    key.encrypt(machine.folder / "config" / "slack.sops.yml", yaml.safe_dump(SLACK))
    tree = {
        "include": ["config/slack.sops.yml"],
        "binance": {
            "ws_url": exchange.server.ws_url,
            "rest_url": exchange.rest_url,
            "failover_urls": [],
            "stream": {"symbol": "btcusdt", "timeframe": "1s"},
        },
        "resilience": {"heartbeat": {"interval": 0.5}},
        "logger": {"preset": "trace"},
    }
    (machine.folder / "x.yml").write_text(yaml.safe_dump(tree))
    return key


def processes() -> str:
    """The words that each process was called with, as `ps -ef` shows them."""
    words = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:  # it has ended
            continue
    return "\n".join(words)


@pytest.mark.long
@needs_sops
def test_they_reach_the_recorder_and_stand_nowhere(machine: Machine) -> None:
    with ExchangeThread() as exchange:
        key = configure(machine, exchange)
        # By its value, as it may be set in a shell; with what is asked for beside it.
        given = {"SOPS_AGE_KEY": key.private, "AWS_SECRET_ACCESS_KEY": TOKEN}
        key.file.unlink()
        said = {}

        def run(*arguments: str, **environ: str) -> None:
            done = machine.run(*arguments, **environ)
            said[" ".join(arguments)] = done.stdout + done.stderr

        run("start", "x", "--config", "x.yml", **given)
        assert "is recording" in said["start x --config x.yml"], said
        pid = until(lambda: machine.status("x").get("pid"))
        # They are where they are needed: in the recorder, and without a warning.
        told = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert f"SOPS_AGE_KEY={key.private}".encode() in told
        log = machine.data("x") / "session.log"
        until(lambda: machine.state("x").get("candles_received", 0) >= 2)
        assert "goes on without" not in log.read_text()
        said["processes"] = processes()
        for command in (["status", "x"], ["status", "x", "--json"], ["list"], ["doctor", "x"],
                        ["logs", "x", "-n", "9999"], ["logs", "x", "--events"]):  # fmt: skip
            run(*command)
        for command in (["config", "show", "x"], ["config", "check", "x"]):
            run(*command, "--config", "x.yml", **given)
        said["environment of tmux"] = machine.tmux("show-environment", "-g")
        said["environment of the session"] = machine.tmux("show-environment", "-t", "x")
        said["pane"] = machine.tmux("capture-pane", "-t", "x", "-p", "-S", "-")
        assert "PATH=" in said["environment of tmux"]
        assert "sops_mainnet: …" in said["config show x --config x.yml"]

        # A crash: the supervisor starts another one, which has them again.
        kill(pid)
        again = until(lambda: (now := machine.status("x").get("pid")) != pid and now)
        until(lambda: machine.status("x")["state"] == "RECORDING")
        run("restart", "x")
        assert "goes on in a fresh process" in said["restart x"], said["restart x"]
        assert machine.status("x")["pid"] not in {pid, again}
        assert "goes on without" not in log.read_text()
        run("stop", "x")
    files = {
        str(found): found.read_bytes().decode("utf-8", "replace")
        for found in machine.folder.rglob("*")
        if found.is_file()
    }
    assert {"session.log", "events.jsonl", "heartbeat.state.json", "x.json"} <= {
        Path(name).name for name in files
    }
    for place, text in {**files, **said}.items():
        assert TOKEN not in text, place
        assert key.private not in text, place


@pytest.mark.long
@needs_sops
def test_a_config_that_is_encrypted_as_a_whole_is_waited_for(machine: Machine) -> None:
    """After a crash, that is: at the start what is wrong is told."""
    with ExchangeThread() as exchange:
        key = configure(machine, exchange)
        path = machine.folder / "y.sops.yml"
        key.encrypt(path, (machine.folder / "x.yml").read_text())
        machine.run("start", "y", "--config", str(path), **key.environ)
        pid = until(lambda: machine.status("y").get("pid"))
        key.file.rename(key.file.with_suffix(".away"))
        kill(pid)
        until(lambda: machine.status("y")["state"] == "STALLED")
        said = machine.run("start", "z", "--config", str(path), **key.environ)
        assert (said.returncode, len(said.stderr.splitlines())) == (2, 1)
        key.file.with_suffix(".away").rename(key.file)
        until(lambda: machine.status("y")["state"] == "RECORDING", 40)
        machine.run("stop", "y")


@pytest.mark.long
@needs_sops
def test_a_recorder_goes_on_after_a_crash_where_they_can_not_be_had(machine: Machine) -> None:
    """Recording comes first: it is told, and costs alerts."""
    with ExchangeThread() as exchange:
        key = configure(machine, exchange)
        machine.run("start", "x", "--config", "x.yml", **key.environ)
        pid = until(lambda: machine.status("x").get("pid"))
        key.file.unlink()
        # One that has them does not make way for one that has none.
        refused = machine.run("restart", "x")
        assert refused.returncode == 1
        assert "x goes on in its old process" in refused.stderr
        assert "no key here decrypts" in refused.stderr
        assert refused.stderr.count("Try: ") == 1
        assert machine.status("x")["pid"] == pid
        kill(pid)
        until(
            lambda: (
                machine.status("x")["state"] == "RECORDING" and machine.status("x")["pid"] != pid
            )
        )
        log = (machine.data("x") / "session.log").read_text()
        assert "goes on without slack.sops.yml: no key here decrypts" in log
        told = until(lambda: (now := machine.status("x"))["reason"] and now)
        assert told["state"] == "RECORDING"
        assert told["reason"].startswith("records without its alert channels: no key here decrypts")
        looked_at = machine.run("doctor", "x").stdout
        assert "x records without its alert channels: no key here decrypts" in looked_at
        assert "kline-ops restart x, where its key is set" in looked_at

        # With the key of whoever asks for it: without a gap, and for those that come after, too.
        key.file.write_text(key.private)
        key.file.chmod(0o600)
        moved = key.file.rename(machine.folder / "elsewhere.txt")
        done = machine.run("restart", "x", SOPS_AGE_KEY_FILE=str(moved))
        assert done.returncode == 0, done.stderr
        assert not (machine.data("x") / "session.env").exists()
        pid = machine.status("x")["pid"]
        assert machine.status("x")["reason"] == ""
        kill(pid)
        until(
            lambda: (
                machine.status("x")["state"] == "RECORDING" and machine.status("x")["pid"] != pid
            )
        )
        assert machine.status("x")["reason"] == ""
        machine.run("stop", "x")
