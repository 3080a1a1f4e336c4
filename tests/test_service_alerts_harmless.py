"""Nothing that tells people, and nothing that a disk beside the candles' does, keeps a candle back."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kline_ops import events
from kline_ops.market.timestamp import to_ms
from kline_ops.ops.supervise import KEEPER_VARIABLE
from kline_ops.session.standing import View
from kline_ops.watch.keeper import StateKeeper
from tests.alerts.hook import Webhook
from tests.support.exchange_thread import ExchangeThread
from tests.support.heard import HOOK, listen
from tests.support.machine import ROOT, Machine, until
from tests.support.trial import run_trial, write_config
from tests.test_service_succession import Relay, relay

SERVICE = "json://127.0.0.1:9/SECRET"


@pytest.fixture
def exchange() -> Iterator[ExchangeThread]:
    with ExchangeThread() as made:
        yield made


def rows(folder: Path) -> int:
    path = folder / "data" / "candles_BTCUSDT_1s.csv"
    return len(path.read_text().splitlines()) if path.exists() else 0


def config_of(folder: Path, exchange: ExchangeThread, **changes: Any) -> str:
    return str(write_config(folder, exchange.server.ws_url, exchange.rest_url, **changes))


def ends_soon(child: Any) -> None:
    began = time.monotonic()
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 0
    assert time.monotonic() - began < 6


def without_apprise(machine: Machine) -> None:
    """As where the extra was never installed, or an upgrade of Python has left it behind."""
    (machine.folder / "sitecustomize.py").write_text("import sys; sys.modules['apprise'] = None\n")
    machine.environ["PYTHONPATH"] = f"{machine.folder}:{ROOT}"


def test_without_apprise_a_recorder_is_not_begun_by_hand(
    machine: Machine, exchange: ExchangeThread
) -> None:
    without_apprise(machine)
    config = config_of(machine.folder, exchange, alerts__urls=[SERVICE])
    for command in ("run", "start"):
        ran = machine.run(command, "trial", "--config", config)
        assert ran.returncode == 2
        assert ran.stderr == (
            "kline-ops: alerts.urls, number 1: Apprise is not installed."
            " Try: pip install 'kline-ops[notify]'\n"
        )
    assert not rows(machine.folder)


@pytest.mark.long
def test_without_apprise_a_supervisor_keeps_it_recording(
    machine: Machine, exchange: ExchangeThread, hook: Webhook
) -> None:
    """After a crash, at night: the other channel is told, and every candle is kept."""
    config = config_of(machine.folder, exchange, alerts__urls=[SERVICE, hook.url])
    keeper = machine.begin("supervise", "trial", "--config", config)
    until(lambda: rows(machine.folder) > 2)
    without_apprise(machine)
    keeper.send_signal(signal.SIGTERM)
    assert keeper.wait(10) == 0
    before = rows(machine.folder)
    keeper = machine.begin("supervise", "trial", "--config", config)
    until(lambda: rows(machine.folder) > before + 2)
    log = (machine.folder / "data" / "session.log").read_text()
    assert "goes on without an alert channel: alerts.urls, number 1: Apprise is not inst" in log
    assert "SECRET" not in log
    until(lambda: any("Connected" in told["title"] for _, told in hook.posted))
    ends_soon(keeper)


def test_a_channel_that_can_not_be_used_is_a_warning_to_a_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with caplog.at_level(logging.WARNING, "kline_ops"):
        trial = run_trial(tmp_path, 10, alerts__urls=[SERVICE])
    assert trial.rows() == trial.truth()
    assert "number 1: Apprise is not installed" in caplog.text
    # Nobody is told: nothing says that somebody was.
    assert not trial.of(events.Alerted)


def test_who_can_not_tell_at_all_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **_options: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("kline_ops.alerts.routes.new_manager", broken)
    trial = run_trial(tmp_path, 10, credentials=HOOK)
    assert trial.rows() == trial.truth()
    assert "people can not be told" in caplog.text


def test_what_a_process_left_may_be_no_time_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with it, people are told of what comes."""
    heard = listen(monkeypatch)
    path = tmp_path / "data" / "state" / "alerts.json"
    path.parent.mkdir(parents=True)
    herald = '{"at": 1.0, "topics": {}, "crashes": []}'
    path.write_text(f'{{"session": "trial", "wall_ms": {10**400}, "herald": {herald}}}')
    trial = run_trial(tmp_path, 10, credentials=HOOK)
    assert trial.rows() == trial.truth()
    assert heard.titles == ["INFO Connected to BTCUSDT@1s", "INFO Stopped (BTCUSDT@1s)"]
    assert json.loads(path.read_text())["session"] == "trial"


def hanging_file(path: Path) -> None:
    """One whose disk does not answer: a pipe that nobody writes to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)


@pytest.mark.parametrize("name", ["heartbeat.state.json", "alerts.json"])
def test_a_hanging_disk_beside_the_candles_holds_up_none(
    machine: Machine, exchange: ExchangeThread, hook: Webhook, name: str
) -> None:
    file = machine.folder / "data" / "state" / name
    hanging_file(file)
    config = config_of(machine.folder, exchange, credentials={"sops_mainnet": hook.url})
    child = machine.begin("run", "trial", "--config", config)
    until(lambda: rows(machine.folder) > 2)
    ends_soon(child)
    file.unlink()  # else `stop`, which cleans up, hangs in it


def test_a_state_that_can_not_be_read_holds_up_no_change_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is the successor's, and the candles wait in its memory: they have to get to the disk."""
    answers, hanging, calls = threading.Event(), [0], itertools.count()
    real = StateKeeper.take_over

    def hangs(keeper: StateKeeper) -> None:
        if next(calls) == 2:  # the first one's, the second one's at its start, and with the lock
            hanging[0] = 1
            answers.wait(30)
            hanging[0] = 0
        real(keeper)

    monkeypatch.setattr(StateKeeper, "take_over", hangs)

    async def script(made: Relay) -> None:
        made.clock.excuse(lambda: hanging[0])
        made.start()
        await asyncio.sleep(20)
        assert made.running[0].done()
        assert hanging[0]
        made.assert_complete()
        answers.set()

    made = relay(tmp_path, script)
    # What it could read late it goes on from.
    assert json.loads(made.settings.state_file.read_text())["heartbeat_sessions"] == 2


@pytest.mark.long
def test_a_key_service_that_hangs_holds_up_a_restart_for_a_moment(
    machine: Machine, exchange: ExchangeThread
) -> None:
    """Half a minute for each file, in the middle of the night, would be candles that nobody heard."""
    sops = machine.folder / "bin" / "sops"
    sops.parent.mkdir()
    sops.write_text("#!/bin/sh\nexec sleep 60\n")
    sops.chmod(0o755)
    secret = {"credentials": {"sops_mainnet": "ENC[AES256_GCM,data:x]"}, "sops": {"mac": "x"}}
    (machine.folder / "slack.sops.yml").write_text(json.dumps(secret))
    config = config_of(machine.folder, exchange, include=["slack.sops.yml"])
    machine.environ["PATH"] = f"{sops.parent}:{machine.environ['PATH']}"
    machine.environ[KEEPER_VARIABLE] = str(os.getpid())
    began = time.monotonic()
    child = machine.begin("run", "trial", "--config", config)
    until(lambda: rows(machine.folder) > 1)
    assert time.monotonic() - began < 15
    assert "goes on without slack.sops.yml" in (machine.folder / "data" / "session.log").read_text()
    ends_soon(child)


@pytest.mark.long
def test_what_was_begun_without_its_secrets_has_them_later(
    machine: Machine, exchange: ExchangeThread, hook: Webhook
) -> None:
    """Else nobody would be told of anything until the next upgrade; and no candle may be lost for it."""
    secret = {"credentials": {"sops_mainnet": hook.url}}
    sops = machine.folder / "bin" / "sops"
    sops.parent.mkdir()
    sops.write_text(f"#!/bin/sh\n[ -e out ] && exit 128\necho '{json.dumps(secret)}'\n")
    sops.chmod(0o755)
    encrypted = {"credentials": {"sops_mainnet": "ENC[AES256_GCM,data:x]"}, "sops": {"mac": "x"}}
    (machine.folder / "slack.sops.yml").write_text(json.dumps(encrypted))
    (machine.folder / "out").touch()
    (machine.folder / "sitecustomize.py").write_text(
        "import kline_ops.session.upkeep\nkline_ops.session.upkeep._SECRETS_EVERY = 1.0\n"
    )
    machine.environ["PYTHONPATH"] = f"{machine.folder}:{ROOT}"
    machine.environ["PATH"] = f"{sops.parent}:{machine.environ['PATH']}"
    config = config_of(machine.folder, exchange, include=["slack.sops.yml"], alerts__floor=0.5)
    keeper = machine.begin("supervise", "trial", "--config", config)
    log = machine.folder / "data" / "events.jsonl"
    # A try that comes to nothing changes nothing, and is told.
    until(lambda: log.exists() and "renewal_failed" in log.read_text())
    assert not hook.posted
    (machine.folder / "out").unlink()
    until(lambda: log.read_text().count('"session_started"') == 2, 40)
    before = rows(machine.folder)
    until(lambda: rows(machine.folder) > before + 2)
    ends_soon(keeper)
    until(lambda: any("Stopped" in title for title in hook.titles))
    path = machine.folder / "data" / "candles_BTCUSDT_1s.csv"
    opened = [to_ms(line.split(",")[0]) for line in path.read_text().splitlines()[1:]]
    assert opened == [*range(opened[0], opened[-1] + 1, 1000)]


def test_a_state_that_can_not_be_made_costs_no_candle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor at the end, where it is asked for before the file is closed."""

    def broken(_view: View) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(View, "standing", broken)

    async def script(made: Relay) -> None:
        made.start()
        await asyncio.sleep(10)
        assert made.running[0].done()
        assert made.running[0].exception() is None

    relay(tmp_path, script, credentials=HOOK)
