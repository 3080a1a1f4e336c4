"""One budget for all processes of a machine: real files, real locks, real processes."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kline_ops.budget import Budget, budget_path
from tests.support.machine import ROOT
from tests.support.told_clock import ToldClock

NOW = 1_767_225_600_000
MINUTE = 60_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "budget.json"


def granted(budget: Budget, tries: int = 200) -> int:
    return sum(1 for _ in range(tries) if budget.connect() == 0.0)


def test_the_file_lies_beside_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert budget_path() == Path("/somewhere/kline-ops/budget.json")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert budget_path() == Path("~/.local/state/kline-ops/budget.json").expanduser()


def test_connection_attempts_are_counted_together_and_come_back_with_time(path: Path) -> None:
    clock = ToldClock()
    one, other = Budget(path, "mainnet", clock), Budget(path, "mainnet", clock)
    assert granted(one, 100) == 100
    assert granted(other, 100) == 40
    wait = one.connect()
    assert 0 < wait <= 2.2
    clock.now_ms += int(wait * 1000) + 1
    assert other.connect() == 0.0
    assert one.connect() > 0.0


def test_venues_have_budgets_of_their_own(path: Path) -> None:
    assert granted(Budget(path, "mainnet", ToldClock())) == 140
    assert granted(Budget(path, "127.0.0.1:9443", ToldClock())) == 140


def test_request_weight_stays_under_eighty_percent_of_a_minute(path: Path) -> None:
    clock = ToldClock(NOW + 15_000)
    one, other = Budget(path, "mainnet", clock), Budget(path, "mainnet", clock)
    assert one.request(4000) == 0.0
    assert other.request(800) == 0.0
    assert one.request(2) == 45.0
    clock.now_ms = NOW + MINUTE
    assert one.request(2) == 0.0


def test_binance_us_allows_less(path: Path) -> None:
    budget = Budget(path, "us", ToldClock())
    assert [budget.request(900), budget.request(60), budget.request(1)] == [0.0, 0.0, 60.0]


def test_what_the_exchange_counts_for_our_address_counts(path: Path) -> None:
    one, other = Budget(path, "mainnet", ToldClock()), Budget(path, "mainnet", ToldClock())
    one.request(2)
    one.used(4799)
    assert other.request(2) == 60.0
    assert other.request(1) == 0.0
    one.used(3)
    assert other.request(1) == 60.0


def test_a_ban_holds_for_all_and_across_a_restart_and_ends(path: Path) -> None:
    clock = ToldClock()
    Budget(path, "mainnet", clock).refused("request", 120)
    again = Budget(path, "mainnet", clock)
    assert again.request(1) == 120.0
    assert again.connect() == 0.0
    again.refused("request", 10)
    again.refused("connect", 300)
    clock.now_ms += 100_000
    assert again.request(1) == 20.0
    assert again.connect() == 200.0
    clock.now_ms += 20_000
    assert again.request(1) == 0.0


@pytest.mark.parametrize("step", [-3_600_000, -86_400_000 * 400])
def test_a_clock_that_is_stepped_back_makes_no_ban_longer_than_it_was_told(
    path: Path, step: int
) -> None:
    clock = ToldClock()
    Budget(path, "mainnet", clock).refused("request", 120)
    clock.now_ms += step
    assert Budget(path, "mainnet", clock).request(1) == 120.0
    clock.now_ms += 120_000
    assert Budget(path, "mainnet", clock).request(1) == 0.0


def test_no_ban_is_longer_than_the_exchange_makes_them(path: Path) -> None:
    budget = Budget(path, "mainnet", ToldClock())
    budget.refused("request", 1e300)
    assert budget.request(1) == 3 * 86_400
    budget.refused("connect", -5)
    assert budget.connect() == 0.0


BOOK = {"attempts_left": 1, "attempts_at_ms": NOW, "minute": NOW // MINUTE, "weight": 1, "bans": {}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 500,
        b"{",
        b"[1]",
        b'{"mainnet": 7}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe",
        json.dumps({"mainnet": BOOK | {"attempts_left": -1e308, "weight": -7}}).encode(),
        json.dumps({"mainnet": BOOK | {"attempts_left": 1e308}}).encode(),
        json.dumps({"mainnet": BOOK | {"attempts_at_ms": 10**30}}).encode(),
        json.dumps({"mainnet": BOOK | {"attempts_at_ms": -(10**400)}}).encode(),
        json.dumps(
            {"mainnet": BOOK | {"bans": {"connect": {"until_ms": 9, "seconds": "x"}}}}
        ).encode(),
        json.dumps({"mainnet": BOOK | {"bans": {"lunch": {}}}, "us": None}).encode(),
    ],
)
def test_a_damaged_file_stops_nothing(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    budget = Budget(path, "mainnet", ToldClock())
    assert budget.connect() <= 2.2
    assert budget.request(2) == 0.0
    assert granted(budget) <= 140
    assert json.loads(path.read_bytes())["mainnet"]


def test_books_from_the_future_refill_nothing_and_hold_nobody_up(path: Path) -> None:
    path.parent.mkdir()
    later = BOOK | {"attempts_at_ms": NOW + 10**10, "minute": NOW // MINUTE + 5, "weight": 4800}
    path.write_text(json.dumps({"mainnet": later}))
    budget = Budget(path, "mainnet", ToldClock())
    assert granted(budget) == 1
    assert budget.request(2) == 0.0


def test_a_file_that_goes_away_is_begun_again_with_what_this_process_knows(path: Path) -> None:
    budget = Budget(path, "mainnet", ToldClock())
    assert granted(budget, 130) == 130
    path.unlink()
    assert granted(budget) == 10


def test_venues_that_nobody_has_used_for_long_are_left_out(path: Path) -> None:
    clock = ToldClock()
    Budget(path, "127.0.0.1:1", clock).connect()
    Budget(path, "127.0.0.1:2", clock).refused("connect", 86_400)
    clock.now_ms += 3_600_000
    Budget(path, "mainnet", clock).request(2)
    assert set(json.loads(path.read_bytes())) == {"mainnet", "127.0.0.1:2"}


def test_where_nothing_can_be_written_this_process_keeps_to_the_limits_by_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    budget = Budget(tmp_path / "file" / "budget.json", "mainnet", ToldClock())
    with caplog.at_level(logging.INFO):
        assert granted(budget) == 140
        budget.refused("request", 60)
        assert budget.request(1) == 60.0
        assert len(caplog.records) == 1
        assert "not shared" in caplog.text
        (tmp_path / "file").unlink()
        assert budget.connect() > 0.0
    assert "shared again" in caplog.text
    assert Budget(tmp_path / "file" / "budget.json", "mainnet", ToldClock()).request(1) == 60.0


def test_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "budget.json"
    budget = Budget(path, "mainnet", ToldClock())
    assert granted(budget, 100) == 100
    (tmp_path / ".budget.json.tmp").symlink_to("/dev/full")
    assert granted(budget) == 40
    assert json.loads(path.read_bytes())["mainnet"]


def test_a_lock_that_is_held_for_ever_is_waited_for_a_moment_only(path: Path) -> None:
    budget = Budget(path, "mainnet", ToldClock())
    assert budget.connect() == 0.0
    with path.with_name("budget.json.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        began = time.monotonic()
        assert budget.connect() == 0.0
        assert time.monotonic() - began < 5.0
    assert granted(budget) == 138


def test_a_disk_that_hangs_is_waited_for_a_moment_only(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)  # who reads it waits for a writer that does not come
    budget = Budget(path, "mainnet", ToldClock())
    began = time.monotonic()
    assert granted(budget) == 140
    assert time.monotonic() - began < 10.0
    with path.open("wb"):
        pass  # let the thread go


TAKER = """
import sys
from pathlib import Path
from kline_ops.budget import Budget
class Clock:
    def wall_ms(self): return 1_767_225_600_000
    def monotonic(self): return 0.0
budget = Budget(Path(sys.argv[1]), "mainnet", Clock())
print("ready", flush=True)
sys.stdin.readline()
print(sum(1 for _ in range(60) if budget.connect() == 0.0), flush=True)
"""


def takers(path: Path, count: int) -> list[subprocess.Popen[str]]:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, str(path)], text=True, cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for _ in range(count)
    ]  # fmt: skip
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    return children


def test_processes_at_the_same_moment_take_no_more_than_there_is(path: Path) -> None:
    children = takers(path, 4)
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    assert sum(int(child.communicate(timeout=60)[0]) for child in children) == 140


def test_a_process_that_is_killed_while_it_takes_leaves_a_good_file(path: Path) -> None:
    for _ in range(5):
        (child,) = takers(path, 1)
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
        time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.communicate()
    if path.exists():
        json.loads(path.read_bytes())
    assert Budget(path, "mainnet", ToldClock()).connect() <= 2.2


def test_what_is_used_is_known_without_the_file(path: Path) -> None:
    clock = ToldClock(NOW + 15_000)
    budget, other = Budget(path, "us", clock), Budget(path, "us", clock)
    assert budget.usage() == (0, 960, 0, 140, 0)
    budget.connect()
    budget.request(10)
    other.request(20)
    assert budget.usage() == (10, 960, 1, 140, 0)
    budget.request(1)  # it meets what the other one has asked for
    path.unlink()
    assert budget.usage() == (31, 960, 1, 140, 0)
    budget.refused("request", 90)
    assert budget.usage().banned_until_ms == NOW + 105_000
    clock.now_ms += MINUTE
    assert budget.usage() == (0, 960, 0, 140, NOW + 105_000)
    clock.now_ms += MINUTE
    assert budget.usage().banned_until_ms == 0
