"""A guard over real files and real processes, which need be no recorders for that."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kline_ops.alerts.message import Message
from kline_ops.clock import SystemClock
from kline_ops.ops import guard as module
from kline_ops.ops.guard import Guard, Memory, Ward
from kline_ops.ops.rescue import Outcome, Rescuer
from kline_ops.watch.files import write_json
from kline_ops.watch.process import started_at
from kline_ops.watch.registry import KnownSession
from kline_ops.watch.remedy import Remedy
from kline_ops.watch.staleness import Pulse
from tests.watch.test_registry import DEMO


class Told:
    """What is told."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def titles(self) -> list[str]:
        return [f"{message.level.name} {message.title}" for message in self.messages]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def session(tmp_path: Path) -> KnownSession:
    return dataclasses.replace(
        DEMO, name="mine", config=str(tmp_path / "none.yml"), data_dir=str(tmp_path), csv="",
        state_file=str(tmp_path / "state.json"), exit_file=str(tmp_path / "exit.json"),
        log_file=str(tmp_path / "log"), keeper_pid=(1 << 22) - 1, keeper_started=1, supervised=True,
    )  # fmt: skip


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def beat(session: KnownSession, pid: int, ago: float = 0.0, **content: Any) -> None:
    at = datetime.now(UTC) - timedelta(seconds=ago)
    told = {"pid": pid, "pid_started": started_at(pid), "heartbeat_interval": 1.0}
    state = {"timestamp": at.isoformat(), "status": "recording", "metadata": told}
    write_json(Path(session.state_file), state | content)


def guard(session: KnownSession, *, restart: bool = True, settles: float = 0.0) -> Guard:
    clock = SystemClock()
    rescuer = Rescuer(clock) if restart else None
    return Guard(ward_of(lambda: session), clock, Memory(), rescuer, settles=settles)


def ward_of(find: Callable[[], KnownSession], max_age: float = 30.0) -> Ward:
    return Ward("mine", find, None, max_age)


def test_what_hangs_is_killed_at_the_second_check_and_that_process_alone(
    session: KnownSession, child: subprocess.Popen[bytes], told: Told
) -> None:
    """It runs and has told nothing for a minute, and nobody would start it again."""
    beat(session, child.pid, ago=60.0)
    watch = guard(session)
    finding = watch.round(told)
    assert finding.word is Pulse.STALE
    assert finding.reason.startswith("hung: the process lives but has told nothing for 6")
    assert child.poll() is None
    watch.round(told)
    assert child.wait(10) == -signal.SIGKILL
    assert told.titles == [
        "CRITICAL mine: no heartbeat", "WARNING mine: its recorder could not be restarted"
    ]  # fmt: skip
    assert told.messages[0].facts["pid"] == str(child.pid)
    assert told.messages[1].text.startswith(f"pid {child.pid} was killed; ")
    assert "none.yml does not exist" in told.messages[1].text


def test_without_restart_nothing_is_touched(
    session: KnownSession, child: subprocess.Popen[bytes], told: Told
) -> None:
    beat(session, child.pid, ago=60.0)
    watch = guard(session, restart=False)
    for _ in range(4):
        watch.round(told)
    assert child.poll() is None
    assert told.titles == ["CRITICAL mine: no heartbeat"]


def test_a_process_that_was_given_the_pid_of_a_dead_recorder_is_left_alone(
    session: KnownSession, child: subprocess.Popen[bytes], told: Told
) -> None:
    told_of = {"pid": child.pid, "pid_started": 1, "heartbeat_interval": 1.0}
    beat(session, child.pid, ago=60.0, metadata=told_of)
    watch = guard(session)
    for _ in range(3):
        assert watch.round(told).word is Pulse.DEAD
    assert child.poll() is None


def test_three_starts_in_an_hour_and_then_it_is_told_only(
    session: KnownSession, told: Told
) -> None:
    beat(session, 1 << 22)
    watch = guard(session)
    for _ in range(6):
        watch.round(told)
    assert told.titles == [
        "CRITICAL mine: dead", *["WARNING mine: could not be started"] * 3,
        "WARNING mine: not restarted any more",
    ]  # fmt: skip


def test_a_unit_of_systemd_is_left_to_it(session: KnownSession, told: Told) -> None:
    beat(session, 1 << 22)
    watch = guard(dataclasses.replace(session, unit="kline-ops-mine.service"))
    for _ in range(3):
        watch.round(told)
    assert told.titles == ["CRITICAL mine: dead", "WARNING mine: left to whoever keeps it"]


def test_what_was_stopped_is_never_started(session: KnownSession, told: Told) -> None:
    beat(session, 1 << 22, status="stopped")
    watch = guard(session)
    for _ in range(3):
        assert watch.round(told).word is Pulse.STOPPED
    assert told.titles == []


def test_a_session_that_may_be_starting_is_given_time(session: KnownSession, told: Told) -> None:
    beat(session, 1 << 22)
    watch = guard(session, settles=1.0)
    finding = watch.round(told)
    assert finding.word is Pulse.WAITING
    assert finding.reason.startswith("DEAD: the process is gone")
    beat(session, os.getpid())
    assert watch.round(told).word is Pulse.WELL
    assert told.titles == []


def test_what_lasts_for_a_moment_is_not_told(
    session: KnownSession, child: subprocess.Popen[bytes], told: Told
) -> None:
    """Processes change: for a moment neither is there."""
    beat(session, 1 << 22)
    watch = guard(session)
    with subprocess.Popen(["sh", "-c", 'sleep 0.2; mv "$1.new" "$1"', "sh", session.state_file]):
        state = Path(session.state_file)
        beat(dataclasses.replace(session, state_file=f"{state}.new"), child.pid)
        assert watch.round(told).word is Pulse.WELL
    assert told.titles == []


def test_a_look_that_fails_is_a_finding_and_its_end_is_told(
    session: KnownSession, child: subprocess.Popen[bytes], told: Told
) -> None:
    """An entry of the registry that somebody has written in may hold anything."""
    beat(session, child.pid)
    broken = dataclasses.replace(session, state_file=5)  # type: ignore[arg-type]
    entries = [broken, broken, session]
    watch = Guard(ward_of(lambda: entries.pop(0)), SystemClock(), Memory(), Rescuer(SystemClock()))
    for _ in range(2):
        finding = watch.round(told)
        assert finding.word is Pulse.BAD
        assert finding.reason.startswith("it can not be looked at: TypeError: ")
    assert watch.round(told).word is Pulse.WELL
    assert told.titles == [
        "CRITICAL mine: its state file can not be read", "SUCCESS mine: well again"
    ]  # fmt: skip
    assert child.poll() is None


def test_a_disk_that_hangs_is_told_and_costs_one_thread(
    session: KnownSession,
    child: subprocess.Popen[bytes],
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who waits for it for ever would never tell that the recorder does so as well."""
    monkeypatch.setattr(module, "_PATIENCE", 0.2)
    beat(session, child.pid)
    answers = threading.Event()

    def find() -> KnownSession:
        answers.wait(30)
        return session

    watch = Guard(ward_of(find, 0.2), SystemClock(), Memory(), Rescuer(SystemClock()))
    before = threading.active_count()
    for _ in range(3):
        assert watch.round(told).reason == "its disk has not answered for 0.2 s"
    assert threading.active_count() == before + 1
    answers.set()
    beat(session, child.pid)
    assert watch.round(told).word is Pulse.WELL
    assert told.titles == [
        "CRITICAL mine: its state file can not be read", "SUCCESS mine: well again"
    ]  # fmt: skip


def test_a_remedy_that_fails_is_told_and_tried_again(session: KnownSession, told: Told) -> None:
    class Broken(Rescuer):
        def help(self, session: KnownSession, remedy: Remedy, pid: object) -> Outcome:
            raise AttributeError("oops")

    beat(session, 1 << 22)
    watch = Guard(ward_of(lambda: session), SystemClock(), Memory(), Broken(SystemClock()))
    for _ in range(2):
        assert watch.round(told).word is Pulse.DEAD
    assert told.titles == ["CRITICAL mine: dead", *["WARNING mine: could not be started"] * 2]
    assert told.messages[1].text == "AttributeError: oops"


def test_of_which_it_is_not_sure_it_kills_none(
    session: KnownSession, child: subprocess.Popen[bytes], told: Told
) -> None:
    """A pid without the time when it began may be a stranger's by now."""
    beat(session, child.pid, ago=60.0, metadata={"pid": child.pid, "heartbeat_interval": 1.0})
    watch = guard(session)
    for _ in range(3):
        assert watch.round(told).word is Pulse.STALE
    assert child.poll() is None
    assert told.titles[:2] == [
        "CRITICAL mine: no heartbeat", "WARNING mine: its recorder could not be restarted"
    ]  # fmt: skip
    beat(session, child.pid)
    outcome = Rescuer(SystemClock()).help(session, Remedy.KILL, 1 << 22)
    assert outcome.text == f"it has another recorder by now, pid {child.pid}: none was killed"
    assert child.poll() is None


def test_a_session_that_is_begun_with_another_folder_has_lost_no_file(
    session: KnownSession, child: subprocess.Popen[bytes], told: Told, tmp_path: Path
) -> None:
    beat(session, child.pid)
    moved = dataclasses.replace(session, state_file=str(tmp_path / "other" / "state.json"),
                                keeper_pid=child.pid, keeper_started=started_at(child.pid))  # fmt: skip
    entries = [session, moved, moved]
    watch = Guard(ward_of(lambda: entries.pop(0)), SystemClock(), Memory())
    assert watch.round(told).word is Pulse.WELL
    assert watch.round(told).word is Pulse.WAITING
    assert told.titles == []


def test_one_without_a_supervisor_is_left_to_whoever_started_it(
    session: KnownSession, child: subprocess.Popen[bytes], told: Told
) -> None:
    """A service of somebody's own, a container: two that start it would fight for its file."""
    alone = dataclasses.replace(session, keeper_pid=child.pid,
                                keeper_started=started_at(child.pid))  # fmt: skip
    beat(session, child.pid, ago=60.0)
    watch = guard(alone)
    for _ in range(2):
        assert watch.round(told).word is Pulse.STALE
    assert child.wait(10) == -signal.SIGKILL
    for _ in range(2):
        assert watch.round(told).word is Pulse.DEAD
    left = "it ran without a supervisor: it is left to whoever started it"
    assert [message.text for message in told.messages if message.level.name == "WARNING"] == [
        f"pid {child.pid} was killed; {left}",
        left,
    ]
