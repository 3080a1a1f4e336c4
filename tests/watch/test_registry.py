"""The sessions of this machine."""

import dataclasses
import errno
import json
import os
from pathlib import Path

import pytest

from kline_ops.errors import EXIT_NO_SESSION, EXIT_USAGE, SessionError
from kline_ops.watch.registry import (
    KnownSession,
    find_session,
    folder,
    forget,
    note_end,
    remember,
    sessions,
)

DEMO = KnownSession(
    name="demo",
    config="/c.yml",
    data_dir="/d",
    csv="/d/c.csv",
    state_file="/d/s.json",
    events_file="/d/e.jsonl",
    log_file="/d/l.log",
    exit_file="/d/x.json",
    symbol="BTCUSDT",
    interval="1h",
    endpoint="ws://x",
    tmux_socket="kline-ops",
)


def named(name: str) -> KnownSession:
    return dataclasses.replace(DEMO, name=name)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_it_lies_in_the_state_folder_of_the_user(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder() == home / "kline-ops" / "sessions"
    monkeypatch.setenv("HOME", "/home/nobody")
    for unset in ("", None):
        if unset is None:
            monkeypatch.delenv("XDG_STATE_HOME")
        else:
            monkeypatch.setenv("XDG_STATE_HOME", unset)
        assert folder() == Path("/home/nobody/.local/state/kline-ops/sessions")


def test_a_session_is_remembered_and_replaced() -> None:
    remember(DEMO)
    assert find_session("demo") == DEMO
    changed = dataclasses.replace(DEMO, keeper_pid=5, keeper_started=7)
    remember(changed)
    assert find_session("demo") == changed
    assert sessions() == [changed]


def test_a_session_is_forgotten_whether_it_was_known_or_not() -> None:
    remember(DEMO)
    remember(named("other"))
    forget("demo")
    forget("demo")
    assert sessions() == [named("other")]


def test_nothing_was_started_here_yet() -> None:
    assert sessions() == []
    with pytest.raises(SessionError, match="no session 'demo'") as caught:
        find_session("demo")
    assert caught.value.exit_code == EXIT_NO_SESSION
    assert "kline-ops start demo" in caught.value.hint


def test_an_unknown_session_is_answered_with_the_known_ones() -> None:
    remember(DEMO)
    remember(named("other"))
    with pytest.raises(SessionError) as caught:
        find_session("dem")
    assert "demo, other" in caught.value.hint


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a.b", "-x", "_x", "a b", "é", "a\n", "x" * 65, "a:b", "=a"],
)
def test_what_can_be_no_name_is_a_wrong_use(name: str) -> None:
    with pytest.raises(SessionError) as caught:
        find_session(name)
    assert caught.value.exit_code == EXIT_USAGE


def test_they_come_in_the_order_of_their_names() -> None:
    names = ["b", "a", "a-b", "a_b", "a0", "B"]
    for name in names:
        remember(named(name))
    assert [session.name for session in sessions()] == sorted(names)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"name": "torn"}', '{"a": {}}'])
def test_a_torn_entry_is_passed_over(content: str) -> None:
    remember(DEMO)
    (folder() / "torn.json").write_text(content)
    assert sessions() == [DEMO]
    with pytest.raises(SessionError):
        find_session("torn")


def test_an_entry_of_a_newer_version_is_read_and_one_of_an_older_too() -> None:
    told = dataclasses.asdict(DEMO)
    folder().mkdir(parents=True)
    (folder() / "demo.json").write_text(json.dumps({**told, "colour": "red"}))
    assert find_session("demo") == DEMO
    del told["keeper_pid"], told["keeper_started"]
    (folder() / "demo.json").write_text(json.dumps(told))
    assert find_session("demo") == DEMO


def test_an_entry_that_is_being_written_is_no_session() -> None:
    remember(DEMO)
    (folder() / ".demo.json.123.tmp").write_text("{")
    assert sessions() == [DEMO]


def test_an_end_is_noted_in_the_entry_of_that_supervisor_only() -> None:
    kept = dataclasses.replace(DEMO, keeper_pid=4, keeper_started=5)
    remember(kept)
    note_end(kept, {"code": 0})
    assert find_session("demo").ended == {"code": 0, "keeper_pid": 4, "keeper_started": 5}
    begun_again = dataclasses.replace(DEMO, keeper_pid=6, keeper_started=7)
    remember(begun_again)
    note_end(kept, {"code": 0})
    assert find_session("demo") == begun_again
    forget("demo")
    note_end(kept, {"code": 0})
    assert sessions() == []


def test_a_small_word_goes_into_its_entry_on_a_full_disk(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(DEMO)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    note_end(DEMO, {"code": None, "reason": "x" * 160})
    assert (find_session("demo").ended or {})["reason"] == "x" * 160
    with pytest.raises(OSError, match="No space"):
        note_end(DEMO, {"reason": "x" * 10_000})
    with pytest.raises(OSError, match="No space"):
        remember(named("other"))
    assert [path.name for path in folder().iterdir()] == ["demo.json"]
