"""``status`` and ``list``: what they exit with, and ``--watch`` on screens of any size."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from typing import Any

import pytest
from rich.console import Console

from kline_ops.cli.status_table import fitted
from kline_ops.watch.registry import remember
from kline_ops.watch.status import look
from tests.support.machine import Machine, until
from tests.support.terminal import Terminal
from tests.watch.test_registry import DEMO, named

LONG = "x" * 64


@pytest.fixture
def known(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose registry this process writes, too."""
    monkeypatch.setenv("XDG_STATE_HOME", machine.environ["XDG_STATE_HOME"])
    return machine


def put(machine: Machine, name: str, code: int | None) -> None:
    """A session that has ended like that; None: without a word."""
    exit_file = machine.folder / f"{name}.exit.json"
    if code is not None:
        exit_file.write_text(json.dumps({"name": name, "code": code, "at": "2026-01-27T14:00:00Z"}))
    # Its supervisor is gone: that pid is another process by now.
    keeper = {"keeper_pid": os.getpid(), "keeper_started": 1}
    files = {"exit_file": str(exit_file), "data_dir": str(machine.folder)}
    remember(dataclasses.replace(named(name), **files, **keeper))


def record(name: str, state: str = "RECORDING", reason: str = "") -> dict[str, Any]:
    _, told = look(DEMO, 1_769_522_400_000)
    counts = {"owed": 1234, "on_disk": 1233, "missing": 1}
    return told | counts | {"name": name, "state": state, "reason": reason}


def drawn(
    records: list[dict[str, Any]], columns: int, lines: int, *, one: bool = False
) -> list[str]:
    """The lines of the screen; there must not be more of them than it has, nor longer ones."""
    console = Console(file=io.StringIO(), width=columns, height=lines, force_terminal=True)
    shown = console.render_lines(fitted(records, console, one=one), pad=False)
    texts = ["".join(piece.text for piece in line).rstrip() for line in shown]
    assert len(texts) <= lines, texts
    assert max(map(len, texts)) <= columns, texts
    return texts


def test_of_all_sessions_one_that_is_dead_is_a_finding(known: Machine) -> None:
    put(known, "done", 0)
    for command in (["status"], ["list"], ["list", "--json"]):
        assert known.run(*command).returncode == 0
    put(known, "fell", None)
    for command in (["status"], ["list"], ["status", "--json"], ["list", "--json"]):
        told = known.run(*command)
        assert (told.returncode, told.stderr) == (1, "")
        assert "done" in told.stdout


def test_eight_sessions_on_a_small_screen_lose_no_dead_one_without_a_sign() -> None:
    names = [LONG, *(f"session-{n}" for n in range(7))]
    shown = drawn([record(name) for name in names], 40, 12)
    assert [line.split()[0] for line in shown[3:]] == names[1:]
    assert shown[2].startswith("xxx")
    assert "… " in shown[2]
    # A line less than the sessions need.
    shown = drawn([record(name) for name in names], 40, 9)
    assert shown[-1] == "… 2 more"


@pytest.mark.parametrize("columns", [20, 24, 31, 32, 40, 60, 80, 96, 200])
@pytest.mark.parametrize("lines", [3, 5, 12, 24])
@pytest.mark.parametrize("one", [True, False])
def test_no_screen_is_overrun_and_the_first_word_is_whole(
    columns: int, lines: int, one: bool
) -> None:
    why = "its data_dir is that of session " + LONG
    records = [record(LONG, "DEAD", why), *(record(f"s{n}", "STALLED", why) for n in range(9))]
    shown = drawn(records, columns, lines, one=one)
    assert any("DEAD" in line for line in shown)
    last = "/d/c.csv" if one else "s8"
    assert " more" in shown[-1] or last in shown[-1]


def test_reasons_are_told_as_far_as_they_fit() -> None:
    records = [record(f"s{n}", "DEAD", f"reason {n}") for n in range(4)]
    assert drawn(records, 40, 11)[6:] == ["", *(f"s{n}: reason {n}" for n in range(4))]
    assert drawn(records, 40, 9)[6:] == ["", "s0: reason 0", "… 3 more"]
    assert drawn(records, 40, 7)[6:] == ["… 4 more"]
    assert drawn([record("s0", "DEAD", "x " * 60)], 40, 6)[5:] == ["… 1 more"]
    assert len(drawn(records, 40, 6)) == 6


def test_a_card_on_a_small_screen_has_its_candles_first() -> None:
    shown = drawn([record("demo")], 20, 5, one=True)
    assert shown[0] == "demo  RECORDING"
    assert " ".join(shown[1:3]) == "1,234 owed, 1,233 on disk, 1 missing"
    assert shown[-1].endswith(" more")


def test_watch_draws_the_dead_first(known: Machine) -> None:
    known.environ["TERM"] = "xterm"
    put(known, "done", 0)
    put(known, "fell", None)
    with Terminal(known, "status", "--watch", columns=60, lines=12) as terminal:
        terminal.wait_for(b"done")
        shown = terminal.look()
        assert shown.index(b"fell") < shown.index(b"done")
        terminal.child.terminate()


@pytest.mark.parametrize("term", ["dumb", "unknown", None])
def test_watch_on_a_terminal_that_can_not_be_drawn_on_goes_on_line_by_line(
    known: Machine, term: str | None
) -> None:
    put(known, "done", 0)
    known.environ.pop("TERM", None)
    if term is not None:
        known.environ["TERM"] = term
    with Terminal(known, "status", "--watch") as terminal:
        until(lambda: terminal.look().count(b"STOPPED") >= 2)
        assert b"\x1b[H" not in terminal.shown
        assert b"\x1b[?1049h" not in terminal.shown
        terminal.child.terminate()
