"""How the process before ended, by all that it, its supervisor and a ``stop`` have left."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kline_ops.config.settings import Settings
from kline_ops.session.alerts_file import crash_before
from kline_ops.watch.files import write_json
from kline_ops.watch.registry import remember
from tests.watch.test_registry import DEMO

EARLIER, BEAT, LATER = "2026-01-27T13:00:00Z", "2026-01-27T14:00:00Z", "2026-01-27T14:00:05Z"
CLEAN = {"at": LATER, "code": 0, "signal": None, "final": True}
KILLED = {"at": LATER, "code": None, "signal": "SIGKILL", "final": True}


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A session that beat, and said no last word."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "machine"))
    state = tmp_path / "state.json"
    write_json(state, {"timestamp": BEAT, "status": "recording"})
    left = SimpleNamespace(name="demo", state_file=state, exit_file=tmp_path / "exit.json")
    return cast("Settings", left)


def noted(told: dict[str, Any] | None) -> None:
    remember(dataclasses.replace(DEMO, ended=told))


@pytest.mark.parametrize("ended", [None, CLEAN | {"at": EARLIER}])
def test_without_any_word_it_was_a_crash(before: Settings, ended: dict[str, Any] | None) -> None:
    noted(ended)
    assert "gone without a last word" in str(crash_before(before))


@pytest.mark.parametrize("ended", [CLEAN, KILLED | {"by_hand": True}])
def test_who_was_stopped_has_not_crashed(before: Settings, ended: dict[str, Any]) -> None:
    """Its own disk was full, or it had to be forced."""
    noted(ended)
    assert crash_before(before) is None


def test_a_clean_end_that_its_supervisor_saw_is_none(before: Settings) -> None:
    write_json(before.exit_file, CLEAN)
    assert crash_before(before) is None


@pytest.mark.parametrize(
    ("told", "why"),
    [(KILLED, "killed by SIGKILL"), (CLEAN | {"orphaned": True}, "exit code 0")],
)
def test_any_other_end_is_a_crash(before: Settings, told: dict[str, Any], why: str) -> None:
    noted(CLEAN | {"at": EARLIER, "by_hand": True})
    write_json(before.exit_file, told)
    assert crash_before(before) == why
