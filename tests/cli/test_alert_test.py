"""``kline-ops alert-test``: real processes, and real servers that are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.alerts.hook import Webhook
from tests.support.machine import Machine


@pytest.fixture
def hooks() -> Iterator[list[Webhook]]:
    made = [Webhook(), Webhook()]
    yield made
    for hook in made:
        hook.close()


def config(machine: Machine, **sections: Any) -> None:
    binance = {"stream": {"symbol": "btcusdt", "timeframe": "1h"}}
    (machine.folder / "x.yml").write_text(yaml.safe_dump({"binance": binance, **sections}))


def test_every_channel_is_told_of_every_level(machine: Machine, hooks: list[Webhook]) -> None:
    slack, other = hooks
    config(
        machine,
        credentials={"sops_hb": slack.url, "sops_testnet": slack.url},
        alerts={"urls": [other.url]},
    )
    ran = machine.run("alert-test", "x", "--config", "x.yml")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        "ok    credentials.sops_hb (127.0.0.1)    stream, heartbeat, watchdog",
        "ok    alerts.urls, number 1 (127.0.0.1)  stream, heartbeat, watchdog",
    ]
    assert slack.titles == [f"x: test {number} of 4" for number in (1, 2, 3, 4)]
    assert [payload["level"] for _, payload in other.posted] == [
        "INFO", "SUCCESS", "WARNING", "CRITICAL",
    ]  # fmt: skip
    payload = other.posted[0][1]
    assert payload["session"] == "x"
    assert payload["facts"]["Told here"] == "stream, heartbeat, watchdog"


def test_each_is_told_of_what_it_is_for(machine: Machine, hooks: list[Webhook]) -> None:
    stream, watchdog = hooks
    config(machine, credentials={"sops_mainnet": stream.url, "sops_wd": watchdog.url})
    ran = machine.run("alert-test", "x", "--config", "x.yml")
    assert [line.rpartition("  ")[2] for line in ran.stdout.splitlines()] == [
        "stream, heartbeat",
        "watchdog",
    ]


def test_one_fails(machine: Machine, hooks: list[Webhook]) -> None:
    bad, good = hooks
    bad.answers = [(404, {}, b"no_service")]
    config(machine, credentials={"sops_mainnet": bad.url}, alerts={"urls": [good.url]})
    ran = machine.run("alert-test", "x", "--config", "x.yml")
    assert (ran.returncode, ran.stderr) == (1, "")
    first, second = ran.stdout.splitlines()
    assert first == "FAIL  credentials.sops_mainnet (127.0.0.1)  answered 404 (no_service)"
    assert second.startswith("ok    alerts.urls, number 1 ")
    assert (len(bad.posted), len(good.posted)) == (1, 4)
    assert "SECRET" not in ran.stdout


def test_nobody_is_to_be_told(machine: Machine) -> None:
    config(machine, credentials={"sops_testnet": "https://hooks.slack.com/services/T/B/x"})
    ran = machine.run("alert-test", "x", "--config", "x.yml")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        "kline-ops: alerts.urls: x has no alert channel. Try: a webhook there, or one in"
        " credentials.sops_mainnet\n"
    )


def test_the_dead_mans_switch_is_asked_once(machine: Machine, hooks: list[Webhook]) -> None:
    switch, other = hooks
    config(machine, alerts={"ping_url": switch.url})
    ran = machine.run("alert-test", "x", "--config", "x.yml")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "ok    alerts.ping_url (127.0.0.1)  asked once\n"
    assert (len(switch.asked), switch.posted) == (1, [])
    switch.answers = [(500, {}, b"")]
    config(machine, alerts={"ping_url": switch.url, "urls": [other.url]})
    ran = machine.run("alert-test", "x", "--config", "x.yml")
    assert ran.returncode == 1
    assert ran.stdout.splitlines()[1] == "FAIL  alerts.ping_url (127.0.0.1)        answered 500"


def test_a_wait_is_told(machine: Machine, hooks: list[Webhook]) -> None:
    busy = hooks[0]
    busy.answers = [(429, {"Retry-After": "1"}, b""), (200, {}, b"ok")]
    config(machine, alerts={"urls": [busy.url]})
    ran = machine.run("alert-test", "x", "--config", "x.yml")
    assert ran.returncode == 0
    assert ran.stderr == (
        "kline-ops: alerts.urls, number 1 (127.0.0.1) asks for 1 s of silence: waiting\n"
    )
    assert len(busy.posted) == 5


def test_one_that_can_not_be_used_is_refused_beside_a_good_one(
    machine: Machine, hooks: list[Webhook]
) -> None:
    """As `config check` does: nothing is sent."""
    config(machine, alerts={"urls": [hooks[0].url, "jsonn://SECRET/SECRET"]})
    for command in (["config", "check"], ["alert-test"]):
        ran = machine.run(*command, "x", "--config", "x.yml")
        assert (ran.returncode, ran.stdout) == (2, "")
        assert "alerts.urls, number 2: Apprise knows no such address." in ran.stderr
    assert hooks[0].posted == []


def test_no_such_session(machine: Machine) -> None:
    ran = machine.run("alert-test", "nosuch")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert len(ran.stderr.splitlines()) == 1


def test_a_service_that_nobody_knows_is_refused_before_anything_begins(machine: Machine) -> None:
    config(machine, alerts={"urls": ["nosuch://SECRET/SECRET"]})
    for command in (["config", "check"], ["alert-test"]):
        ran = machine.run(*command, "x", "--config", "x.yml")
        assert (ran.returncode, ran.stdout) == (2, "")
        assert "alerts.urls, number 1: Apprise knows no such address. Try: see https" in ran.stderr
        assert "SECRET" not in ran.stderr
