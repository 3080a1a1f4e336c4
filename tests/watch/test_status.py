"""A look at a session: real files, real processes, and files that somebody damaged."""

import dataclasses
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kline_ops.market.timestamp import to_text
from kline_ops.watch.files import write_json
from kline_ops.watch.process import started_at
from kline_ops.watch.registry import KnownSession
from kline_ops.watch.status import look
from kline_ops.watch.verdict import Word
from tests.watch.test_registry import DEMO

NOW = 1_769_522_400_000


@pytest.fixture
def session(tmp_path: Path) -> KnownSession:
    return dataclasses.replace(
        DEMO, state_file=str(tmp_path / "state.json"), exit_file=str(tmp_path / "exit.json")
    )


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def write_state(session: KnownSession, pid: int, **changes: Any) -> dict[str, Any]:
    state = {
        "timestamp": to_text(NOW - 2_000),
        "websocket_reconnects": 4,
        "last_candle_time": "2026-01-27T12:00:00Z",
        "status": "recording",
        "error": None,
        "metadata": {
            "pid": pid,
            "pid_started": started_at(pid),
            "started_ms": NOW - 3_600_000,
            "heartbeat_interval": 5.0,
            "endpoint": "ws://other",
            "last_candle_closed_ms": NOW - 3_600_000,
            "next_due": "2026-01-27T14:00:00Z",
            "owed": 10,
            "on_disk": 9,
            "missing": 1,
            "clock_skew_seconds": 5.25,
        },
    } | changes
    write_json(Path(session.state_file), state)
    return state


def test_a_session_that_records_is_told_with_its_figures(session: KnownSession) -> None:
    write_state(session, os.getpid())
    word, record = look(session, NOW)
    assert word is Word.RECORDING
    assert record["state"] == "RECORDING"
    assert record["pid"] == os.getpid()
    assert record["endpoint"] == "ws://other"
    assert record["last_candle_age_seconds"] == 3_600.0
    assert record["uptime_seconds"] == 3_600.0
    assert record["clock_skew_seconds"] == 5.25
    assert (record["owed"], record["on_disk"], record["missing"]) == (10, 9, 1)
    assert record["next_due"] == "2026-01-27T14:00:00Z"
    json.dumps(record)


def test_nothing_there_at_all_is_dead_and_has_every_key(session: KnownSession) -> None:
    word, record = look(session, NOW)
    assert word is Word.DEAD
    write_state(session, os.getpid())
    assert list(look(session, NOW)[1]) == list(record)


def test_a_supervisor_without_a_state_is_starting(
    session: KnownSession, child: subprocess.Popen[bytes]
) -> None:
    began = started_at(child.pid)
    kept = dataclasses.replace(session, keeper_pid=child.pid, keeper_started=began)
    assert look(kept, NOW)[0] is Word.STARTING
    other = dataclasses.replace(session, keeper_pid=child.pid, keeper_started=0)
    assert look(other, NOW)[0] is Word.DEAD


def test_a_suspended_a_killed_and_an_unburied_recorder_are_told_apart(
    session: KnownSession, child: subprocess.Popen[bytes]
) -> None:
    write_state(session, child.pid)
    assert look(session, NOW)[0] is Word.RECORDING
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    word, record = look(session, NOW)
    assert word is Word.STALLED
    assert "suspended" in record["reason"]
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    word, record = look(session, NOW)
    assert word is Word.DEAD
    assert record["last_candle_age_seconds"] is None
    child.wait()
    assert look(session, NOW)[0] is Word.DEAD


def test_the_last_words_are_those_of_this_run(
    session: KnownSession, child: subprocess.Popen[bytes]
) -> None:
    write_state(session, child.pid)
    child.kill()
    child.wait()
    exit_file = Path(session.exit_file)
    write_json(exit_file, {"at": to_text(NOW - 7_200_000), "code": 0})
    assert look(session, NOW)[0] is Word.DEAD
    write_json(exit_file, {"at": to_text(NOW), "signal": "SIGKILL", "code": None})
    word, record = look(session, NOW)
    assert (word, record["reason"]) == (Word.DEAD, "killed by SIGKILL")
    write_json(exit_file, {"at": to_text(NOW), "code": 2, "reason": "bad config"})
    assert look(session, NOW)[1]["reason"] == "exit code 2: bad config"


def of_session(name: str, pid: int) -> dict[str, Any]:
    return {"pid": pid, "pid_started": started_at(pid), "session": name, "owed": 10, "on_disk": 9}


def test_the_state_of_another_session_is_no_evidence_of_this_one(
    session: KnownSession, child: subprocess.Popen[bytes]
) -> None:
    write_state(session, os.getpid(), metadata=of_session("demo", os.getpid()))
    assert look(session, NOW)[0] is Word.RECORDING
    write_state(session, os.getpid(), metadata=of_session("other", os.getpid()))
    word, record = look(session, NOW)
    assert word is Word.DEAD
    assert "session other" in record["reason"]
    assert (record["pid"], record["owed"], record["on_disk"]) == (None, 0, 0)
    # Both run, and take turns at writing one file.
    began = started_at(child.pid)
    kept = dataclasses.replace(session, keeper_pid=child.pid, keeper_started=began)
    word, record = look(kept, NOW)
    assert word is Word.STALLED
    assert "session other" in record["reason"]
    # The other one has ended, and this one has just been started.
    write_state(
        session, os.getpid(), metadata=of_session("other", os.getpid()) | {"pid_started": 0}
    )
    assert look(kept, NOW)[0] is Word.STARTING


def ended_in_registry(session: KnownSession, ago_ms: int, **changes: Any) -> KnownSession:
    """What was noted in its entry, as its disk took nothing."""
    told = {
        "at": to_text(NOW - ago_ms), "code": 0, "signal": None, "final": True,
        "keeper_pid": session.keeper_pid, "keeper_started": session.keeper_started,
    } | changes  # fmt: skip
    return dataclasses.replace(session, ended=told)


def test_what_its_own_disk_could_not_take_is_known_by_the_registry(session: KnownSession) -> None:
    write_state(session, 1 << 22)
    assert look(session, NOW)[0] is Word.DEAD
    assert look(ended_in_registry(session, 1_000), NOW)[0] is Word.STOPPED
    # Of a run before: it has told more since.
    assert look(ended_in_registry(session, 10_000), NOW)[0] is Word.DEAD
    failed = ended_in_registry(session, 1_000, code=2, reason="no such symbol")
    assert look(failed, NOW)[1]["reason"] == "exit code 2: no such symbol"


def test_the_end_of_a_supervisor_before_says_nothing_of_this_one(session: KnownSession) -> None:
    write_state(session, 1 << 22)
    ended = ended_in_registry(session, 1_000, by_hand=True, keeper_pid=4, keeper_started=5)
    now = dataclasses.replace(ended, keeper_pid=1 << 22, keeper_started=7)
    assert look(now, NOW)[0] is Word.DEAD
    assert look(ended, NOW)[0] is Word.STOPPED  # nothing has begun since


def test_who_was_killed_by_hand_is_stopped_whatever_its_supervisor_says(
    session: KnownSession,
) -> None:
    write_state(session, 1 << 22)
    exit_told = {"at": to_text(NOW), "code": None, "signal": "SIGKILL", "final": True}
    write_json(Path(session.exit_file), exit_told)
    assert look(session, NOW)[0] is Word.DEAD
    forced = ended_in_registry(session, 500, code=None, by_hand=True, reason="it hung")
    word, record = look(forced, NOW)
    assert (word, record["reason"]) == (Word.STOPPED, "it hung")


@pytest.mark.parametrize("ended", [5, "x", [], {"at": 5}, {"keeper_pid": None, "at": "soon"}])
def test_an_entry_that_is_damaged_is_no_traceback(session: KnownSession, ended: Any) -> None:
    write_state(session, 1 << 22)
    assert look(dataclasses.replace(session, ended=ended), NOW)[0] is Word.DEAD


def test_how_another_session_ended_is_no_evidence_of_this_one(session: KnownSession) -> None:
    write_json(Path(session.exit_file), {"at": to_text(NOW), "code": 0, "name": "demo"})
    write_state(session, os.getpid(), metadata=of_session("other", os.getpid()))
    assert look(session, NOW)[0] is Word.STOPPED
    write_json(Path(session.exit_file), {"at": to_text(NOW), "code": 0, "name": "other"})
    assert look(session, NOW)[0] is Word.DEAD


@pytest.mark.parametrize("told", [None, "", "soon", 5, "2026-01-27T14:00:00"])
def test_a_state_without_a_time_is_stalled_and_no_traceback(
    session: KnownSession, told: object
) -> None:
    write_state(session, os.getpid(), timestamp=told)
    assert look(session, NOW)[0] is Word.STALLED


ANY = (
    st.none()
    | st.booleans()
    | st.integers(-5, 10**20)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
)
ANY |= st.lists(st.integers(), max_size=2) | st.just({})
KEYS = "pid pid_started started_ms heartbeat_interval endpoint last_candle_closed_ms next_due owed"
DAMAGE = st.dictionaries(
    st.sampled_from(["timestamp", "status", "error", "metadata", "last_candle_time"]),
    ANY,
    max_size=3,
)
INNER = st.dictionaries(st.sampled_from(KEYS.split()), ANY, max_size=3)
ENDED = st.dictionaries(st.sampled_from(["at", "code", "signal", "reason"]), ANY)


@given(DAMAGE, INNER, ENDED)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_damage_to_the_files_is_a_traceback(
    session: KnownSession, damage: dict[str, Any], inner: dict[str, Any], ended: dict[str, Any]
) -> None:
    whole = {"timestamp": to_text(NOW), "status": "recording", "metadata": {"pid": os.getpid()}}
    whole["metadata"] |= inner  # type: ignore[operator]
    Path(session.state_file).write_text(json.dumps(whole | damage))
    Path(session.exit_file).write_text(json.dumps(ended))
    word, record = look(session, NOW)
    assert record["state"] == word.value
    assert isinstance(record["reason"], str)
