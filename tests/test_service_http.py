"""Whoever asks over HTTP gets the truth in each state, and costs no candle."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from kline_ops import events
from tests.support.disks import FailingDisk
from tests.support.trial import Trial, run_trial
from tests.support.web import Listener, ask, free_port

HEALTH = ("/healthz", "/ready", "/complete")


class Asked:
    """A trial with HTTP on; the answers that its script got, by their path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.told: dict[str, Any] = {}
        self.codes: dict[str, int] = {}

    def run(self, seconds: float, script: Any = None, **changes: Any) -> Trial:
        return run_trial(self.folder, seconds, script, http__port=self.port, **changes)

    async def look(self, *paths: str) -> None:
        for path in paths or (*HEALTH, "/api/status"):
            got = await ask(self.port, path)
            self.codes[path], self.told[path] = got.code, got.json()

    def assert_health(self, *codes: int) -> None:
        assert tuple(self.codes[path] for path in HEALTH) == codes


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


def test_recording(asked: Asked) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(10.5)
        await asked.look()

    trial = asked.run(12, script)
    asked.assert_health(200, 200, 200)
    alive, ready, complete = (asked.told[path] for path in HEALTH)
    assert alive["session"] == "trial"
    assert 10 < alive["uptime_seconds"] < 12
    assert (ready["status"], ready["state"]) == ("ready", "RECORDING")
    assert (complete["status"], complete["missing"]) == ("complete", 0)
    assert complete["owed"] == complete["on_disk"] >= 9
    assert asked.told["/api/status"]["state"] == "RECORDING"
    assert asked.told["/api/status"]["stopping"] is False
    assert trial.rows() == trial.truth()


def test_starting(asked: Asked) -> None:
    async def script(trial: Trial) -> None:
        trial.server.ack_only()
        await asyncio.sleep(2)
        await asked.look()

    asked.run(5, script)
    asked.assert_health(200, 503, 503)
    assert asked.told["/ready"] == {
        "status": "not ready",
        "state": "STARTING",
        "session": "trial",
        "reason": "waiting for the first data",
    }
    assert asked.told["/complete"]["reason"] == "waiting for the first data"


def test_catching_up_is_ready_and_not_complete(asked: Asked) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(5.5)
        trial.server.rest_down(30)
        trial.server.silence(4)
        await asyncio.sleep(12)
        await asked.look()
        codes.append((await ask(asked.port, "/complete")).code)
        await asyncio.sleep(30)
        codes.append((await ask(asked.port, "/complete")).code)

    codes: list[int] = []
    trial = asked.run(60, script)
    assert codes == [503, 200]
    assert trial.rows() == trial.truth()
    asked.assert_health(200, 200, 503)
    assert asked.told["/ready"]["state"] == "CATCHING_UP"
    told = asked.told["/complete"]
    assert told["status"] == "incomplete"
    assert 3 <= told["missing"] == told["pursued"] <= 5
    assert "REST" in told["reason"]


def test_stalled_by_silence(asked: Asked) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(5.5)
        trial.server.silence(60)
        await asyncio.sleep(20)
        await asked.look()

    trial = asked.run(30, script, websocket__stall_timeout=6, rest=False)
    asked.assert_health(200, 503, 503)
    assert asked.told["/ready"]["state"] == "STALLED"
    assert asked.told["/ready"]["reason"]
    assert trial.of(events.Stalled)


def test_stalled_by_a_full_disk(asked: Asked) -> None:
    disk = FailingDisk()

    async def script(trial: Trial) -> None:
        await asyncio.sleep(5.5)
        disk.fail(1, errno.ENOSPC, times=10**6)
        await asyncio.sleep(10)
        await asked.look()
        disk.heal()

    trial = asked.run(60, script, disk=disk)
    asked.assert_health(200, 503, 503)
    for path in ("/ready", "/complete"):
        assert "No space left" in asked.told[path]["reason"]
    assert asked.told["/complete"]["waiting"] >= 5
    assert trial.rows() == trial.truth()


def test_stopping_is_told_while_the_end_takes_its_time(asked: Asked) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(5.5)
        trial.server.silence(60)
        trial.server.rest_slow(30, 60)
        await asyncio.sleep(1.2)
        trial.session.stop("end of the trial")
        await asyncio.sleep(0.1)
        await asked.look()

    asked.run(10, script)
    assert asked.codes["/healthz"] == 200
    assert asked.codes["/ready"] == 503
    assert asked.told["/ready"]["reason"] == "stopping"
    assert asked.told["/api/status"]["stopping"] is True


def test_a_taken_port_is_told_once_and_had_when_it_is_free(
    asked: Asked, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(trial: Trial) -> None:
        with socket.create_server(("127.0.0.1", asked.port)):
            await asyncio.sleep(20)
            assert trial.session.snapshot().word == "RECORDING"
        await asyncio.sleep(5)
        await asked.look("/healthz")

    # The script begins when the session does: before it has come to the port.
    trial = asked.run(30, script)
    assert asked.codes["/healthz"] == 200
    told = [record.getMessage() for record in caplog.records if "http" in record.getMessage()]
    assert sum("can not be had" in line for line in told) == 1
    assert trial.rows() == trial.truth()


def test_the_token(asked: Asked) -> None:
    got: dict[str, int] = {}

    async def script(trial: Trial) -> None:
        await asyncio.sleep(3)
        for path in (
            "/healthz",
            "/",
            "/ready",
            "/metrics",
            "/api/events",
            "/nothing",
            "/page/x.js",
        ):
            got[path] = (await ask(asked.port, path, accept="application/json")).code
        for given in ("Bearer not-the-token", "open sesame", "Bearer", "Basic open-sesame"):
            got[given] = (await ask(asked.port, "/ready", authorization=given)).code
        right = await ask(asked.port, "/ready", authorization="bearer open-sesame")
        got["right"] = right.code
        wrong = await ask(asked.port, "/ready")
        assert wrong.headers["www-authenticate"] == "Bearer"
        assert "http.token" in wrong.json()["hint"]

    asked.run(5, script, http__token="open-sesame")  # noqa: S106
    assert got.pop("right") == got.pop("/healthz") == got.pop("/") == 200
    assert got.pop("/page/x.js") == 404
    assert set(got.values()) == {401}


def test_events_come_as_they_happen_and_end_with_the_session(asked: Asked) -> None:
    found: list[dict[str, str]] = []

    async def script(trial: Trial) -> None:
        await asyncio.sleep(3)
        listener = await Listener.open(asked.port)
        first = await listener.next("status")
        assert json.loads(first["data"])["state"] == "RECORDING"
        for closed in (False, True):
            while json.loads((await listener.next("kline"))["data"])["closed"] is not closed:
                pass
        assert "id" not in await listener.next("recorded")
        trial.server.cut()
        cut = await listener.next("disconnected")
        assert json.loads(cut["data"])["kind"] == "disconnected"
        listener.close()
        await asyncio.sleep(5)
        again = await Listener.open(asked.port, last_event_id=cut["id"])
        trial.session.stop("end of the trial")
        found.extend(await again.rest())
        again.close()

    asked.run(90, script, binance__stream__timeframe="1m")
    kinds = [told.get("event") for told in found]
    assert kinds.count("live") == 1
    assert "disconnected" not in kinds[:3]
    assert kinds[-1] == "session_stopped"


def test_the_last_events_as_json(asked: Asked) -> None:
    lists: dict[str, Any] = {}

    async def script(trial: Trial) -> None:
        await asyncio.sleep(5)
        for query in ("", "?limit=1", "?limit=0", "?session=trial", "?session=nobody"):
            got = await ask(asked.port, f"/api/events{query}", accept="application/json")
            lists[query] = (got.code, got.json())

    trial = asked.run(6, script)
    code, told = lists[""]
    assert (code, [event["kind"] for event in told][-1]) == (200, "live")
    assert lists["?limit=1"] == (200, told[-1:])
    assert lists["?session=trial"][1] == told
    assert lists["?limit=0"][0] == 400
    assert lists["?session=nobody"][0] == 404
    assert trial.rows() == trial.truth()


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_other_addresses_of_this_machine(tmp_path: Path, host: str) -> None:
    port = free_port("::1" if ":" in host else "127.0.0.1")
    codes = []

    async def script(trial: Trial) -> None:
        await asyncio.sleep(3)
        codes.append((await ask(port, "/ready", host=host)).code)

    run_trial(tmp_path, 5, script, http__port=port, http__host=host)
    assert codes == [200]
