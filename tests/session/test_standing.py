"""A look at a session: what probes and metrics are told, as it goes through trouble."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from kline_ops.observe.snapshot import Snapshot
from tests.support.trial import Trial, run_trial


def test_it_delivers_while_data_flows_and_the_disk_takes_it(tmp_path: Path) -> None:
    looks: dict[str, Snapshot] = {}

    async def script(trial: Trial) -> None:
        session = trial.session
        while not hasattr(session, "_view"):
            await asyncio.sleep(0)
        looks["first"] = session.snapshot()
        await asyncio.sleep(5)
        looks["well"] = session.snapshot()
        trial.server.refuse(60)
        trial.server.cut()
        await asyncio.sleep(15)
        looks["dark"] = session.snapshot()

    trial = run_trial(tmp_path, 40, script)
    first, well, dark = looks["first"], looks["well"], looks["dark"]
    last = trial.session.snapshot()
    assert (first.word, first.delivering, first.is_stopping) == ("STARTING", False, False)
    assert first.dark_for is not None
    assert (well.word, well.reason, well.delivering) == ("RECORDING", "", True)
    assert (well.session, well.missing, well.dark_for) == ("trial", 0, None)
    assert well.wire.is_up
    assert well.queues["candles"].size == 0
    assert well.allowed is not None
    assert (dark.word, dark.delivering, dark.wire.is_up) == ("STALLED", False, False)
    assert dark.reason.startswith("not connected: ")
    assert (last.word, last.is_stopping) == ("STOPPED", True)


def test_silence_is_no_delivery(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(4)
        # Also where it tries again and again: nothing is usable.
        trial.server.silence(60)
        await asyncio.sleep(10)
        assert not trial.session.snapshot().delivering

    run_trial(tmp_path, 20, script, websocket__stall_timeout=5, rest=False)


def test_silence_while_something_is_due_is_none_sooner(tmp_path: Path) -> None:
    """Of a quiet market REST has what is due; where it does not, a silent stream delivers nothing."""
    looks: dict[str, Snapshot] = {}

    async def script(trial: Trial) -> None:
        await asyncio.sleep(4)
        trial.server.silence(30)
        await asyncio.sleep(12)
        looks["silent"] = trial.session.snapshot()
        trial.server.rest_down(15)
        await asyncio.sleep(12)
        looks["and REST is down"] = trial.session.snapshot()
        await asyncio.sleep(15)
        looks["over"] = trial.session.snapshot()

    trial = run_trial(tmp_path, 50, script)
    assert {when: look.delivering for when, look in looks.items()} == {
        "silent": True, "and REST is down": False, "over": True,
    }  # fmt: skip
    assert trial.rows() == trial.truth()


def test_nobody_is_asked_where_rest_is_not_to_be(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(4)
        trial.server.silence(3)
        await asyncio.sleep(12)
        look = trial.session.snapshot()
        assert (look.missing > 0, look.pursued) == (True, 0)

    run_trial(tmp_path, 20, script, record__backfill=False)


def test_a_look_is_cheap_and_plain(tmp_path: Path) -> None:
    """It is taken with each scrape and each probe, on the loop that records."""

    async def script(trial: Trial) -> None:
        await asyncio.sleep(5)
        took = []
        for _ in range(50):
            began = time.thread_time()
            snapshot = trial.session.snapshot()
            took.append(time.thread_time() - began)
        assert min(took) < 0.001  # 0.13 ms where nothing else runs
        json.dumps(snapshot.state)

    run_trial(tmp_path, 8, script)


def test_a_look_opens_no_file(tmp_path: Path) -> None:
    """Each one that is opened lets whichever thread computes have its turn first."""
    opened: list[object] = []
    looking = False

    def hook(name: str, arguments: tuple[object, ...]) -> None:
        if looking and name == "open":
            opened.append(arguments[0])

    sys.addaudithook(hook)  # it can not be taken away, and does nothing afterwards

    async def script(trial: Trial) -> None:
        nonlocal looking
        await asyncio.sleep(5)
        looking = True
        trial.session.snapshot()
        looking = False

    run_trial(tmp_path, 8, script)
    assert opened == []
