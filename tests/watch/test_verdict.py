"""From evidence to one word: every row of the table, and no evidence that has no word."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.watch.process import Process
from kline_ops.watch.verdict import Evidence, Facts, Word, judge, verdict

WELL = Facts(
    uptime=3_600.0,
    dark_for=None,
    has_data=True,
    silent_for=0.5,
    overdue_for=-1_800.0,
    pursued=0,
    absent=0,
    backfill=True,
    disk_error=None,
    rest_error=None,
    feed_error=None,
    patience=5.0,
    stall=60.0,
)
NEW = replace(WELL, uptime=1.0, dark_for=1.0, has_data=False, silent_for=None, overdue_for=0.0)


@pytest.mark.parametrize(
    ("changes", "word", "reason"),
    [
        ({}, Word.RECORDING, ""),
        ({"dark_for": 10.0, "feed_error": "reset"}, Word.RECORDING, ""),
        ({"dark_for": 10.1, "feed_error": "reset"}, Word.STALLED, "not connected: reset"),
        ({"dark_for": 10.1}, Word.STALLED, "not connected: no connection delivers"),
        ({"pursued": 3}, Word.CATCHING_UP, "asking REST for 3 candle(s)"),
        ({"pursued": 3, "absent": 2}, Word.CATCHING_UP, "asking REST for 3 candle(s)"),
        (
            {"pursued": 3, "absent": 3},
            Word.CATCHING_UP,
            "REST has none of 3 candle(s); asking again",
        ),
        # Without a connection it is not "connected, but silent".
        ({"dark_for": 5.0, "silent_for": 99.0}, Word.RECORDING, ""),
        (
            {"pursued": 3, "rest_error": "503", "overdue_for": 60.0},
            Word.CATCHING_UP,
            "asking REST for 3 candle(s): 503",
        ),
        (
            {"pursued": 3, "rest_error": "503", "overdue_for": 60.1},
            Word.STALLED,
            "3 candles are overdue: 503",
        ),
        ({"pursued": 3, "overdue_for": 1e6}, Word.CATCHING_UP, "asking REST for 3 candle(s)"),
        ({"pursued": 1, "backfill": False, "overdue_for": 60.0}, Word.RECORDING, ""),
        (
            {"pursued": 1, "backfill": False, "overdue_for": 60.1},
            Word.STALLED,
            "1 candles are overdue",
        ),
        ({"pursued": 1, "dark_for": 11.0}, Word.STALLED, "not connected: no connection delivers"),
        ({"disk_error": "disk full"}, Word.STALLED, "disk full"),
        ({"disk_error": "disk full", "dark_for": 99.0, "pursued": 2}, Word.STALLED, "disk full"),
        ({"rest_error": "503"}, Word.RECORDING, ""),
        (
            {"patience": 100.0, "pursued": 1, "rest_error": "x", "overdue_for": 99.0},
            Word.CATCHING_UP,
            "asking REST for 1 candle(s): x",
        ),
    ],
)
def test_a_recorder_with_data_is_judged_by_its_data(
    changes: dict[str, Any], word: Word, reason: str
) -> None:
    assert judge(replace(WELL, **changes)) == (word, reason)


@pytest.mark.parametrize(
    ("changes", "word", "reason"),
    [
        ({}, Word.STARTING, "waiting for the first data"),
        ({"feed_error": "refused"}, Word.STALLED, "no data yet: refused"),
        ({"feed_error": "refused", "pursued": 5}, Word.STALLED, "no data yet: refused"),
        ({"dark_for": None, "feed_error": None}, Word.STARTING, "waiting for the first data"),
        ({"rest_error": "503"}, Word.STARTING, "503"),
        ({"uptime": 11.0, "dark_for": 11.0}, Word.STARTING, "waiting for the first data"),
        (
            {"uptime": 11.0, "dark_for": 11.0, "feed_error": "refused"},
            Word.STALLED,
            "no data yet: refused",
        ),
        ({"uptime": 60.1, "dark_for": 60.1}, Word.STALLED, "no data yet: the stream is silent"),
        ({"uptime": 60.1, "dark_for": None}, Word.STALLED, "no data yet: the stream is silent"),
        ({"pursued": 5}, Word.CATCHING_UP, "asking REST for 5 candle(s)"),
        ({"disk_error": "full"}, Word.STALLED, "full"),
    ],
)
def test_a_recorder_without_data_is_starting_for_a_while(
    changes: dict[str, Any], word: Word, reason: str
) -> None:
    assert judge(replace(NEW, **changes)) == (word, reason)


RUNNING = Evidence(
    state={"status": "recording", "error": None},
    state_age=2.0,
    beat=5.0,
    recorder=Process.RUNNING,
    keeper=Process.RUNNING,
    exit=None,
    recorder_pid=7,
    keeper_pid=6,
)


UNATTENDED = ", and its supervisor is suspended (continue it with: kill -CONT 6)"


def told(status: object, error: object = None) -> dict[str, Any]:
    return {"status": status, "error": error}


@pytest.mark.parametrize(
    ("changes", "word", "reason"),
    [
        ({}, Word.RECORDING, ""),
        ({"state": told("starting", "waiting")}, Word.STARTING, "waiting"),
        ({"state": told("catching_up", "asking")}, Word.CATCHING_UP, "asking"),
        ({"state": told("stalled", "why")}, Word.STALLED, "why"),
        ({"state": told("stopped")}, Word.STOPPED, ""),
        ({"keeper": Process.GONE}, Word.RECORDING, ""),
        # No state yet.
        ({"state": None, "state_age": None}, Word.STARTING, "no state yet"),
        (
            {"state": None, "state_age": None, "keeper": Process.GONE},
            Word.DEAD,
            "the process is gone and said no last word",
        ),
        (
            {
                "state": None,
                "state_age": None,
                "keeper": Process.ZOMBIE,
                "exit": {"code": 2, "reason": "bad"},
            },
            Word.DEAD,
            "exit code 2: bad",
        ),
        # The recorder is gone.
        ({"recorder": Process.GONE}, Word.STARTING, "the recorder ended and is started again"),
        ({"recorder": Process.ZOMBIE}, Word.STARTING, "the recorder ended and is started again"),
        (
            {"recorder": Process.GONE, "keeper": Process.GONE},
            Word.DEAD,
            "the process is gone and said no last word",
        ),
        (
            {"recorder": Process.ZOMBIE, "keeper": Process.ZOMBIE, "exit": {"signal": "SIGKILL"}},
            Word.DEAD,
            "killed by SIGKILL",
        ),
        (
            {"recorder": Process.GONE, "keeper": Process.GONE, "exit": {"code": 3, "reason": ""}},
            Word.DEAD,
            "exit code 3",
        ),
        ({"recorder": Process.GONE, "keeper": Process.GONE, "exit": {"code": 0}}, Word.STOPPED, ""),
        (
            {"recorder": Process.GONE, "keeper": Process.GONE, "state": told("stopped")},
            Word.STOPPED,
            "",
        ),
        (
            {"recorder": Process.GONE, "keeper": Process.RUNNING, "state": told("stopped")},
            Word.STOPPED,
            "",
        ),
        # It lives, and says nothing.
        (
            {"recorder": Process.STOPPED},
            Word.STALLED,
            "the process is suspended (continue it with: kill -CONT 7)",
        ),
        ({"state_age": 15.0}, Word.RECORDING, ""),
        (
            {"state_age": 15.1},
            Word.STALLED,
            "hung: the process lives but has told nothing for 15 s",
        ),
        ({"state_age": 5.0, "beat": 0.1}, Word.RECORDING, ""),
        (
            {"state_age": 5.1, "beat": 0.1},
            Word.STALLED,
            "hung: the process lives but has told nothing for 5 s",
        ),
        ({"state_age": -15.0}, Word.RECORDING, ""),
        ({"state_age": -15.1}, Word.STALLED, "its state is from the future: a clock was stepped"),
        (
            {"state_age": 40.0, "log_age": 2.0},
            Word.STALLED,
            "its state could not be written for 40 s; see its log",
        ),
        (
            {"state_age": 40.0, "log_age": 38.0},
            Word.STALLED,
            "hung: the process lives but has told nothing for 40 s",
        ),
        (
            {"recorder": Process.GONE, "lock_holder": 8, "state_age": 20.0},
            Word.STALLED,
            "pid 8 can not write its state",
        ),
        (
            {"recorder": Process.GONE, "lock_holder": 8, "disk_free": 0},
            Word.STALLED,
            "pid 8 can not write its state: the disk of its files is full",
        ),
        (
            {"recorder": Process.GONE, "state_age": 40.0},
            Word.STALLED,
            "the recorder ended, and its supervisor has not started another",
        ),
        ({"lock_holder": 7, "state_age": 3.0}, Word.RECORDING, ""),
        ({"lock_holder": 8, "state_age": 1.0}, Word.RECORDING, ""),
        (
            {"lock_holder": 8, "state_age": 3.0},
            Word.STALLED,
            "its candle file is locked by pid 8",
        ),
        (
            {"recorder": Process.ZOMBIE, "keeper": Process.STOPPED},
            Word.DEAD,
            "the recorder (pid 7) is a zombie" + UNATTENDED,
        ),
        (
            {"recorder": Process.GONE, "keeper": Process.STOPPED},
            Word.DEAD,
            "the recorder (pid 7) is gone" + UNATTENDED,
        ),
        (
            {"recorder": Process.ZOMBIE, "keeper": Process.RUNNING, "state_age": 6.0},
            Word.DEAD,
            "the recorder (pid 7) is a zombie, and nobody looks after it",
        ),
        ({"state": told("dancing")}, Word.STALLED, "its state is not known: 'dancing'"),
        ({"state": {}}, Word.STALLED, "its state is not known: None"),
    ],
)
def test_a_session_is_judged_from_outside_by_evidence(
    changes: dict[str, Any], word: Word, reason: str
) -> None:
    assert verdict(replace(RUNNING, **changes)) == (word, reason)


def test_a_state_without_a_time_is_no_proof_of_life() -> None:
    word, reason = verdict(replace(RUNNING, state_age=None))
    assert word is Word.STALLED
    assert reason


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("STARTING", 0),
        ("RECORDING", 0),
        ("CATCHING_UP", 0),
        ("STALLED", 1),
        ("STOPPED", 3),
        ("DEAD", 3),
    ],
)
def test_every_word_has_its_exit_code(word: str, code: int) -> None:
    assert Word(word).exit_code == code


PROCESS = st.sampled_from(Process)
AGE = st.none() | st.floats(-1e9, 1e9)
STATUS = st.sampled_from([*(w.value.lower() for w in Word), "x", "", None, 5])
STATE = st.none() | st.fixed_dictionaries(
    {}, optional={"status": STATUS, "error": st.none() | st.text()}
)
EXIT = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "code": st.none() | st.integers(0, 255),
        "signal": st.none() | st.text(),
        "reason": st.none() | st.text(),
    },
)


@given(STATE, AGE, st.floats(0.1, 300), PROCESS, PROCESS, EXIT)
def test_no_evidence_is_without_a_word(
    state: dict | None,
    age: float | None,
    beat: float,
    recorder: Process,
    keeper: Process,
    ended: dict | None,
) -> None:
    word, reason = verdict(Evidence(state, age, beat, recorder, keeper, ended))
    assert isinstance(reason, str)
    if word in {Word.RECORDING, Word.CATCHING_UP}:
        assert recorder is Process.RUNNING


@given(
    st.builds(
        Facts,
        uptime=st.floats(-1e6, 1e6),
        dark_for=st.none() | st.floats(0, 1e6),
        has_data=st.booleans(),
        pursued=st.integers(0, 10**6),
        absent=st.integers(0, 10**6),
        backfill=st.booleans(),
        disk_error=st.none() | st.text(),
        rest_error=st.none() | st.text(),
        feed_error=st.none() | st.text(),
        patience=st.floats(0, 100),
        stall=st.floats(1, 100),
    )
)
def test_a_recorder_is_never_called_well_without_data_or_while_it_is_dark(facts: Facts) -> None:
    word, _ = judge(facts)
    assert word in {Word.STARTING, Word.RECORDING, Word.CATCHING_UP, Word.STALLED}
    if word is Word.RECORDING:
        assert facts.has_data or facts.pursued
        assert facts.dark_for is None or facts.dark_for <= 10.0
        assert facts.disk_error is None


def test_a_recorder_that_waits_for_its_next_start_is_stalled_and_says_until_when() -> None:
    told = {"signal": "SIGKILL", "code": None, "next_start": "2026-01-01T00:00:30Z"}
    dead = replace(RUNNING, recorder=Process.GONE, keeper=Process.RUNNING, exit=told)
    assert verdict(replace(dead, exit_age=1.0))[0] is Word.STARTING
    word, reason = verdict(replace(dead, exit_age=8.0))
    assert word is Word.STALLED
    assert "killed by SIGKILL" in reason
    assert "2026-01-01T00:00:30Z" in reason


def test_the_end_that_the_supervisor_saw_is_newer_than_a_clean_stop_before_it() -> None:
    stopped = {"status": "stopped", "metadata": {}}
    gone = replace(RUNNING, state=stopped, recorder=Process.GONE, keeper=Process.GONE)
    assert verdict(gone)[0] is Word.STOPPED
    assert verdict(replace(gone, exit={"code": 1, "reason": "broken"}))[0] is Word.DEAD


def test_a_recorder_whose_terminal_went_away_was_stopped_by_nobody() -> None:
    orphan = {"status": "stopped", "metadata": {"orphaned": True}}
    gone = replace(RUNNING, state=orphan, recorder=Process.GONE, keeper=Process.GONE)
    assert verdict(gone)[0] is Word.DEAD


def test_silence_on_an_open_connection_is_no_recording() -> None:
    assert judge(WELL)[0] is Word.RECORDING
    assert judge(replace(WELL, silent_for=61.0))[0] is Word.STALLED


def test_a_full_disk_is_named_where_not_even_the_state_can_be_written() -> None:
    word, reason = verdict(replace(RUNNING, state_age=60.0, disk_free=0))
    assert word is Word.STALLED
    assert "full" in reason


def test_a_new_run_that_can_write_nothing_is_not_taken_for_the_one_before() -> None:
    before = {"code": 0, "signal": None, "final": True}
    mute = replace(
        RUNNING, recorder=Process.GONE, keeper=Process.RUNNING, exit=before, exit_age=60.0,
        state_age=60.0, disk_free=10**9,
    )  # fmt: skip
    assert verdict(mute) == (Word.STARTING, "no state yet")
    word, reason = verdict(replace(mute, disk_free=0))
    assert word is Word.STALLED
    assert "full" in reason


SILENT = replace(RUNNING, state=None, state_age=None, recorder=Process.GONE, keeper=Process.RUNNING)


@pytest.mark.parametrize(
    ("changes", "word", "reason"),
    [
        ({"keeper_for": 60.0}, Word.STARTING, "no state yet"),
        (
            {"keeper_for": 200.0},
            Word.STALLED,
            "no recorder has told anything since its supervisor began 3 min 20 s ago; see its log",
        ),
        (
            {"keeper_for": 200.0, "exit": {"code": 1}, "exit_age": 20.0},
            Word.STALLED,
            None,
        ),
        # What an earlier supervisor has left: a power cut, a crash.
        ({"keeper_for": 2.0, "state": told("recording"), "state_age": 900.0}, Word.STARTING, None),
        (
            {"keeper_for": 2.0, "exit": {"code": 1, "final": False}, "exit_age": 900.0},
            Word.STARTING,
            None,
        ),
        (
            {
                "keeper_for": 2.0, "state": told("recording"), "state_age": 950.0,
                "exit": {"code": 1, "final": False}, "exit_age": 900.0,
            },
            Word.STARTING,
            None,
        ),
        ({"keeper_for": 200.0, "state": told("recording"), "state_age": 900.0}, Word.STALLED, None),
    ],
)  # fmt: skip
def test_a_supervisor_whose_recorder_tells_nothing(
    changes: dict[str, Any], word: Word, reason: str | None
) -> None:
    """For a minute it may be beginning; what was before it says nothing of it."""
    found = verdict(replace(SILENT, **changes))
    assert found[0] is word
    assert reason in {None, found[1]}


def test_how_the_last_recorder_ended_is_told_where_it_was_this_supervisors() -> None:
    ended = {"code": 1, "reason": "no such symbol"}
    _, reason = verdict(replace(SILENT, keeper_for=200.0, exit=ended, exit_age=20.0))
    assert reason.endswith("; the last one ended (exit code 1: no such symbol)")
    _, reason = verdict(replace(SILENT, keeper_for=200.0, exit=ended, exit_age=900.0))
    assert reason.endswith("; see its log")
