"""An incident outlives the process that met it: an end, a kill, a change of processes."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest

from tests.alerts.hook import Webhook
from tests.support.exchange_thread import ExchangeThread
from tests.support.heard import HOOK, MINUTE, Heard
from tests.support.machine import Machine, until
from tests.support.trial import Trial, run_trial, write_config
from tests.test_service_succession import Relay, relay


def test_an_incident_that_is_open_at_the_end_is_resolved_by_the_next_process(
    tmp_path: Path, heard: Heard
) -> None:
    async def goes_down(trial: Trial) -> None:
        await asyncio.sleep(30)
        trial.server.refuse(10_000, tcp=True)
        trial.server.cut()

    quick = {"credentials": HOOK, "alerts__floor": 60.0}
    run_trial(tmp_path, 180, goes_down, **quick, **MINUTE)
    first = heard.take()
    assert [title.split()[0] for title in first] == ["INFO", "WARNING", "CRITICAL", "INFO"]
    later = MINUTE | {"start_ms": MINUTE["start_ms"] + 210_000}
    trial = run_trial(tmp_path, 110, **quick, **later)
    assert trial.rows() == trial.truth()
    resolved, stopped = heard.titles
    assert resolved.startswith("SUCCESS Connected again after 3 min 0")
    assert stopped.startswith("INFO Stopped")


def test_a_change_of_processes_is_neither_an_end_nor_a_beginning(
    tmp_path: Path, heard: Heard
) -> None:
    """In the middle of an incident: the successor knows of it, and tells that it is over."""

    async def script(made: Relay) -> None:
        interval = made.settings.stream.interval
        made.server.rest_down(100)
        made.server.withhold("BTCUSDT", interval, interval.floor(made.clock.wall_ms()) + 1_000)
        await asyncio.sleep(40)
        made.start()
        await asyncio.sleep(120)
        assert made.running[0].done()

    made = relay(
        tmp_path, script, credentials=HOOK, alerts__floor=20.0, websocket__stall_timeout=10.0
    )
    kinds = [told["kind"] for told in made.log()]
    assert kinds.count("handed_over") == 1
    hello, missing, well, bye = heard.titles
    assert hello == "INFO Connected to BTCUSDT@1s"
    assert missing.startswith("WARNING Candles are missing: REST: ")
    assert well.startswith("SUCCESS The candles are complete again after 1 min ")
    assert bye == "INFO Stopped (BTCUSDT@1s)"


def kept(session: str, topics: str) -> str:
    herald = f'{{"at": 1.0, "topics": {topics}, "crashes": []}}'
    return f'{{"session": "{session}", "wall_ms": 1, "herald": {herald}}}'


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"session": "trial"}',
        '{"session": "trial", "wall_ms": 1, "herald": {"at": "x", "topics": {}, "crashes": []}}',
        kept("trial", '{"tea": {"reason": "cold"}}'),
        kept("other", '{"stream": {"incident": {"state": "escalated"}}}'),
    ],
)
def test_what_a_process_left_behind_may_be_damaged(
    tmp_path: Path, heard: Heard, content: str
) -> None:
    path = tmp_path / "data" / "state" / "alerts.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    trial = run_trial(tmp_path, 70, credentials=HOOK, **MINUTE)
    assert trial.rows() == trial.truth()
    assert heard.titles == ["INFO Connected to BTCUSDT@1m", "INFO Stopped (BTCUSDT@1m)"]
    assert json.loads(path.read_text())["session"] == "trial"


@pytest.mark.long
def test_an_incident_that_is_open_at_a_kill_is_resolved_by_the_next_process(
    tmp_path: Path, hook: Webhook
) -> None:
    machine = Machine(tmp_path, "kline-ops-test-alerts")
    with ExchangeThread() as exchange:
        config = write_config(
            tmp_path, exchange.server.ws_url, exchange.rest_url,
            credentials={"sops_mainnet": hook.url}, alerts={"floor": 2.0},
            websocket={"stall_timeout": 4.0, "reconnect": {"max_delay": 1.0}},
            resilience={"heartbeat": {"interval": 0.5}},
        )  # fmt: skip
        try:
            first = machine.begin("run", "trial", "--config", str(config))
            until(lambda: "Connected to BTCUSDT@1s" in hook.titles)
            exchange.do(lambda server: server.refuse(600, tcp=False))
            exchange.do(lambda server: server.cut())
            until(lambda: any("No data for" in title for title in hook.titles))
            kept = tmp_path / "data" / "state" / "alerts.json"
            until(lambda: '"escalated"' in kept.read_text())
            first.send_signal(signal.SIGKILL)
            first.wait(10)
            exchange.do(lambda server: server.heal())
            before = len(hook.titles)
            second = machine.begin("run", "trial", "--config", str(config))
            until(lambda: any("Connected again" in title for title in hook.titles))
            until(lambda: any("Restarted: " in title for title in hook.titles))
            second.send_signal(signal.SIGTERM)
            assert second.wait(10) == 0
            until(lambda: any("Stopped" in title for title in hook.titles))
            after = hook.titles[before:]
            assert not any("Disconnected" in title or "No data" in title for title in after)
            assert sum("Connected" in title for title in after) == 1
        finally:
            machine.close()


@pytest.mark.long
def test_a_terminal_that_goes_away_is_a_warning(tmp_path: Path, hook: Webhook) -> None:
    """Somebody has killed the tmux session: nobody has stopped the recorder."""
    machine = Machine(tmp_path, "kline-ops-test-hangup")
    with ExchangeThread() as exchange:
        config = write_config(
            tmp_path, exchange.server.ws_url, exchange.rest_url,
            credentials={"sops_mainnet": hook.url},
        )  # fmt: skip
        try:
            assert machine.run("start", "trial", "--config", str(config)).returncode == 0
            until(lambda: "Connected to BTCUSDT@1s" in hook.titles)
            (session,) = machine.tmux("list-sessions", "-F", "#{session_name}").split()
            machine.tmux("kill-session", "-t", f"={session}")
            until(lambda: any("Stopped" in title for title in hook.titles))
            last = json.dumps(hook.posted[-1])
            assert "nobody asked for it" in last
            assert "Ended cleanly" not in last
            until(lambda: machine.status("trial")["state"] == "DEAD")
            assert "nobody stopped it" in machine.status("trial")["reason"]
            state = json.loads((tmp_path / "data/state/heartbeat.state.json").read_text())
            assert state["metadata"]["orphaned"] is True
        finally:
            machine.close()


def test_what_waits_for_a_channel_is_handed_to_the_next_process(
    tmp_path: Path, hook: Webhook
) -> None:
    """A renewal each few hours beside a Slack that is down: what happened meanwhile is told later."""
    hook.answers = [(503, {}, b"")]
    refused = 0

    async def script(made: Relay) -> None:
        nonlocal refused
        until(lambda: hook.posted)
        made.start()
        await asyncio.sleep(15)
        assert made.running[0].done()
        refused = len(hook.posted)
        hook.answers = [(200, {}, b"ok")]
        await asyncio.to_thread(until, lambda: len(hook.posted) > refused)

    made = relay(tmp_path, script, credentials={"sops_mainnet": hook.url})
    until(lambda: any("Stopped" in title for title in hook.titles))
    connected, stopped = hook.titles[refused:]
    assert "Connected to BTCUSDT@1s" in connected
    assert "Stopped" in stopped
    kept = json.loads(made.settings.state_file.with_name("alerts.json").read_text())
    assert kept["letters"] == {}
