"""Who is told while the real session records: one message an incident, and nothing waits for it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from kline_ops import events
from kline_ops.exchange.faults import Fault, FaultKind
from tests.alerts.hook import Webhook
from tests.support.heard import HOOK, MINUTE, Heard
from tests.support.machine import until
from tests.support.trial import Script, Trial, run_trial
from tests.test_service_troubles import Sick


def accepts_and_closes(seconds: float) -> Script:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(30)
        trial.server.accept_then_close(seconds, 1013)
        trial.server.close_all(1013)

    return script


def check_one_incident(titles: list[str], minutes: int) -> None:
    hello, *during, well, bye = titles
    assert "Connected to BTCUSDT@1m" in hello
    assert "Stopped (BTCUSDT@1m)" in bye
    assert 1 <= len(during) <= 3
    assert "Disconnected: " in during[0]
    assert "No data for " in during[1]
    assert f"Connected again after {minutes} min" in well


def test_ten_minutes_of_accept_and_close_are_three_messages_and_one_end(
    tmp_path: Path, heard: Heard
) -> None:
    trial = run_trial(tmp_path, 770, accepts_and_closes(600), credentials=HOOK, **MINUTE)
    assert trial.rows() == trial.truth()
    check_one_incident(heard.titles, 10)
    assert set(heard.keys) == {"sops_mainnet"}
    resolved = heard.messages[-2].text
    found = sum(hole.candles for hole in trial.of(events.HoleFound))
    assert f"lost on the wire {found}, recovered {found}, still missing 0" in resolved
    assert [event.level for event in trial.of(events.Alerted)] == [
        message.level.name for message in heard.messages
    ]


def test_the_same_over_a_real_server(tmp_path: Path, hook: Webhook) -> None:
    alerts = {"credentials": {"sops_mainnet": hook.url}, "alerts__floor": 60.0}
    trial = run_trial(tmp_path, 280, accepts_and_closes(120), **alerts, **MINUTE)
    assert trial.rows() == trial.truth()
    until(lambda: any("Stopped" in title for title in hook.titles))
    check_one_incident(hook.titles, 2)


def test_without_a_channel_nothing_is_made(tmp_path: Path) -> None:
    trial = run_trial(tmp_path, 5)
    assert trial.session._alerting is None
    assert not trial.settings.state_file.with_name("alerts.json").exists()


#: Restarts every five seconds, with drops between some of them.
RENEWED = {"modulo": "5s", "margin_seconds": 1, "min_connection_duration": 1}


async def drops(trial: Trial) -> None:
    for _ in range(5):
        await asyncio.sleep(21.2)
        trial.server.cut()


def restarts(trial: Trial) -> list[tuple[str, float]]:
    boundaries = [event.boundary for event in trial.of(events.RestartPlanned)]
    planned = [event.overlap for event in trial.of(events.Replaced) if event.why == "planned"]
    assert len(planned) == len(boundaries)
    return list(zip(boundaries, planned, strict=True))


def test_a_slack_that_never_answers_costs_no_candle_and_no_moment(
    tmp_path: Path, hook: Webhook
) -> None:
    """Twenty planned restarts and five drops beside it, as without it."""
    hook.open.clear()
    runs: list[Trial] = []
    stopped_at: list[float] = []
    for name, alerts in (
        ("without", {}),
        ("with", {"credentials": {"sops_mainnet": hook.url}, "alerts__planned_restarts": True}),
    ):
        folder = tmp_path / name
        folder.mkdir()

        async def script(trial: Trial) -> None:
            await drops(trial)
            stop = trial.session.stop

            def told(reason: str) -> None:
                stopped_at.append(time.monotonic())
                stop(reason)

            trial.session.stop = told

        runs.append(run_trial(folder, 115, script, binance__reconnect=RENEWED, **alerts))
        assert time.monotonic() - stopped_at[-1] < 4
    without, beside = runs
    for run in runs:
        assert run.rows() == run.truth()
        assert len(run.of(events.Disconnected)) == 5
    assert len(restarts(beside)) >= 20
    assert [boundary for boundary, _ in restarts(beside)] == [
        boundary for boundary, _ in restarts(without)
    ]
    for (_, overlap), (_, expected) in zip(restarts(beside), restarts(without), strict=True):
        assert abs(overlap - expected) < 0.1
    # It was asked, and holds what it was asked still.
    assert 1 <= len(hook.posted) <= 3


def test_a_disk_that_is_full_at_the_start_is_told(tmp_path: Path, heard: Heard) -> None:
    """Before the candle file is open there is somebody who tells of it."""
    disk = Sick()
    disk.opens_fail = 40
    trial = run_trial(tmp_path, 150, disk=disk, credentials=HOOK, alerts__floor=20.0)
    assert trial.rows() == trial.truth()
    full, hello, well, bye = heard.titles
    assert full.startswith("CRITICAL The disk takes no candles: ")
    assert "No space left on device" in full
    assert hello.startswith("INFO Connected")
    assert well.startswith("SUCCESS The disk takes candles again after 4")
    assert bye.startswith("INFO Stopped")


def test_a_market_that_is_quiet_from_the_start_is_no_alarm(tmp_path: Path, heard: Heard) -> None:
    async def script(trial: Trial) -> None:
        now = trial.clock.wall_ms()
        trial.server.quiet(now - 60_000, now + 300_000, closes=False)
        await asyncio.sleep(290)
        assert trial.of(events.Connected)
        assert not trial.of(events.Live)

    run_trial(tmp_path, 400, script, credentials=HOOK, **MINUTE)
    assert [title.split()[0] for title in heard.titles] == ["INFO", "INFO"]


def test_what_is_fetched_is_told_of_where_there_was_a_file_before(
    tmp_path: Path, heard: Heard
) -> None:
    run_trial(tmp_path, 70, credentials=HOOK, **MINUTE)
    assert "fetched from REST" not in heard.messages[0].text
    heard.messages.clear()
    later = MINUTE | {"start_ms": MINUTE["start_ms"] + 400_000}
    trial = run_trial(tmp_path, 70, credentials=HOOK, **later)
    assert trial.rows() == trial.truth()
    assert "is not on disk, is fetched from REST" in heard.messages[0].text


def test_a_restart_that_is_due_while_nothing_is_connected_says_so(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(12)
        trial.server.refuse(12, tcp=True)
        trial.server.cut()

    trial = run_trial(tmp_path, 40, script, binance__reconnect=RENEWED)
    assert None in [event.seconds for event in trial.of(events.RestartSkipped)]


def test_the_end_is_told_once_what_was_lost_is_on_disk(tmp_path: Path, heard: Heard) -> None:
    """REST answers some time after the stream does."""

    async def script(trial: Trial) -> None:
        await asyncio.sleep(10)
        trial.server.refuse(54, tcp=True)
        trial.server.rest_down(54 + 60)
        trial.server.cut()

    trial = run_trial(tmp_path, 250, script, credentials=HOOK, alerts__floor=30.0)
    assert trial.rows() == trial.truth()
    over = [message.text for message in heard.messages if "Connected again" in message.title]
    assert len(over) == 1
    assert ", still missing 0." in over[0]
    assert "recovered 0" not in over[0]
    assert [title.split()[0] for title in heard.titles] == [
        "INFO", "WARNING", "CRITICAL", "SUCCESS", "INFO"
    ]  # fmt: skip


def test_what_is_missing_at_the_end_is_told_when_it_has_come(tmp_path: Path, heard: Heard) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(10)
        trial.server.refuse(54, tcp=True)
        trial.server.rest_down(54 + 50)
        trial.server.cut()

    trial = run_trial(tmp_path, 250, script, credentials=HOOK, alerts__floor=20.0)
    assert trial.rows() == trial.truth()
    _, _, _, over, complete, _ = heard.messages
    assert "Connected again" in over.title
    assert "still missing" in over.text
    assert "they are asked for until they come" in over.text
    assert "The candles are complete again" in complete.title
    assert ", still missing 0." in complete.text


def test_the_heartbeats_channel_is_told_of_a_feed_that_died(tmp_path: Path, heard: Heard) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(5)
        trial.session._revive()

    trial = run_trial(tmp_path, 40, script, credentials=HOOK)
    assert trial.rows() == trial.truth()
    (at,) = (i for i, title in enumerate(heard.titles) if "died and was restarted" in title)
    assert heard.keys[at] == "sops_hb"
    assert set(heard.keys) == {"sops_hb", "sops_mainnet"}


def test_a_ban_is_one_trouble_and_not_two(tmp_path: Path, heard: Heard) -> None:
    async def script(trial: Trial) -> None:
        interval = trial.settings.stream.interval
        await asyncio.sleep(5)
        trial.server.apply(Fault(FaultKind.REST_BANNED, seconds=200, retry_after=200))
        trial.server.withhold(
            "BTCUSDT", interval, interval.floor(trial.clock.wall_ms()) + interval.typical_ms
        )

    trial = run_trial(tmp_path, 440, script, credentials=HOOK, alerts__floor=20.0, **MINUTE)
    assert trial.rows() == trial.truth()
    _, banned, over, _ = heard.titles
    assert banned.startswith("WARNING Banned by the exchange until 2026-01-01T06:0")
    assert over.startswith("SUCCESS The ban is over after ")
    assert "lost on the wire 1, recovered 1" in heard.messages[2].text


def test_without_rest_what_is_lost_is_a_warning(tmp_path: Path, heard: Heard) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(30)
        trial.server.refuse(4, tcp=True)
        trial.server.cut()

    run_trial(tmp_path, 200, script, rest=False, credentials=HOOK)
    _, dropped, lost, stopped = heard.titles
    assert dropped.startswith("INFO Reconnected after ")
    assert lost.startswith("WARNING ")
    assert "lost, and no REST address to ask" in lost
    assert stopped.startswith("INFO Stopped")
    assert "missing still" in heard.messages[-1].text


def test_a_channel_that_fails_is_an_event_and_no_message(tmp_path: Path, heard: Heard) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(5)
        await asyncio.to_thread(heard.on_failed, "hooks.slack.com", "answered 404", 3)

    trial = run_trial(tmp_path, 60, script, credentials=HOOK, **MINUTE)
    (failed,) = trial.of(events.AlertFailed)
    assert (failed.host, failed.reason, failed.lost) == ("hooks.slack.com", "answered 404", 3)
    assert len(heard.titles) == 2
    log = trial.settings.events_file.read_text()
    assert '"kind":"alert_failed"' in log


def test_a_dead_mans_switch_that_fails_is_an_event(tmp_path: Path, hook: Webhook) -> None:
    hook.answers = [(500, {}, b"")]

    async def script(trial: Trial) -> None:
        for _ in range(100):
            await asyncio.sleep(1)
            if trial.of(events.AlertFailed):
                return
            await asyncio.to_thread(time.sleep, 0.05)

    trial = run_trial(tmp_path, 150, script, alerts__ping_url=hook.url)
    (failed,) = trial.of(events.AlertFailed)
    assert (failed.host, failed.reason) == ("127.0.0.1", "the dead man's switch answered 500")
    assert '"kind":"alert_failed"' in trial.settings.events_file.read_text()


def test_a_herald_that_fails_ends_no_recording(
    tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("kline_ops.alerts.herald.Herald.look", broken)
    monkeypatch.setattr("kline_ops.alerts.herald.Herald.hear", broken)
    trial = run_trial(tmp_path, 20, credentials=HOOK)
    assert len(trial.rows()) == 20
    assert trial.rows() == trial.truth()
