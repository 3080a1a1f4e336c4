"""``kline-ops logs``: from files alone, whatever became of the session and of the files."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kline_ops.clock import SystemClock
from kline_ops.market.timestamp import to_text
from kline_ops.watch.files import write_json
from tests.support.machine import Machine, until

HOUR = 3_600_000


@pytest.fixture(autouse=True)
def _nothing_to_stop(machine: Machine) -> Iterator[None]:
    """These sessions never ran: nobody has to wait for their end."""
    yield
    shutil.rmtree(machine.folder / "state", ignore_errors=True)


def known(machine: Machine, name: str = "x", symbol: str = "BTCUSDT") -> Path:
    """A session that was started here once; answers its log."""
    folder = machine.data(name)
    folder.mkdir(parents=True)
    entry = {
        "name": name, "config": "", "data_dir": str(folder), "csv": "", "state_file": "",
        "events_file": str(folder / "events.jsonl"), "log_file": str(folder / "session.log"),
        "exit_file": "", "symbol": symbol, "interval": "1h", "endpoint": "", "tmux_socket": "x",
    }  # fmt: skip
    write_json(machine.folder / "state/kline-ops/sessions" / f"{name}.json", entry)
    return folder / "session.log"


def ago(ms: int) -> str:
    return to_text(SystemClock().wall_ms() - ms)


def record(message: str, level: str = "info", ms: int = 0) -> str:
    return json.dumps({"ts": ago(ms), "level": level, "message": message})


def shown(machine: Machine, *options: str, name: str = "x") -> list[str]:
    done = machine.run("logs", name, *options)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def words(lines: list[str]) -> list[str]:
    return [line.rpartition(" ")[2] for line in lines]


def test_what_is_shown_of_a_log(machine: Machine) -> None:
    log = known(machine)
    log.with_name("session.log.2").write_text("2020-01-01T00:00:00Z ERROR    old\n")
    log.with_name("session.log.1").write_text(
        "\n".join([record("a", "error", 3 * HOUR), record("b", "debug", 2 * HOUR), "torn {"]) + "\n"
    )
    raw = [record("c", "warning", HOUR), record("d"), '{"ts":']
    log.write_text("\n".join(raw))
    everything = ["old", "a", "b", "{", "c", "d", '{"ts":']
    assert words(shown(machine)) == everything
    assert words(shown(machine, "-n", "2")) == everything[-2:]
    assert words(shown(machine, "-n", "0")) == []
    assert words(shown(machine, "--level", "warning")) == ["old", "a", "c"]
    assert words(shown(machine, "--level", "error", "-n", "1")) == ["a"]
    assert words(shown(machine, "--since", "90m")) == everything[-3:]
    assert words(shown(machine, "--since", "5h", "-n", "4")) == everything[-4:]
    assert words(shown(machine, "--since", ago(150 * 60_000))) == everything[2:]
    assert words(shown(machine, "--since", "1s", "--level", "error")) == []
    assert shown(machine, "--json", "-n", "3") == raw
    assert shown(machine, "--json", "--level", "warning", "-n", "1") == raw[:1]
    log.unlink()
    assert words(shown(machine, "-n", "3")) == everything[1:4]


def test_events_are_json_and_can_be_picked_by_their_level_and_time(machine: Machine) -> None:
    log = known(machine)
    events = [
        {"ts": ago(2 * HOUR), "kind": "stalled", "connection": 1, "seconds": 60.0},
        {"ts": ago(HOUR), "kind": "session_stopped", "reason": "q", "unwritten": 0},
        {"ts": ago(0), "kind": "disk_full", "reason": "full", "waiting": 1},
    ]
    (log.parent / "events.jsonl").write_text("".join(f"{json.dumps(e)}\n" for e in events))
    for options, expected in {
        (): events,
        ("--json",): events,
        ("--level", "warning"): [events[0], events[2]],
        ("--level", "ERROR"): events[2:],
        ("--since", "90m"): events[1:],
    }.items():
        assert [json.loads(x) for x in shown(machine, "--events", *options)] == expected


def test_since_a_time_that_a_clock_set_back_came_after(machine: Machine) -> None:
    log = known(machine)
    told = [record("a", ms=60_000), record("b", ms=3 * HOUR), record("c", ms=2 * HOUR)]
    log.write_text("\n".join(told) + "\n")
    assert words(shown(machine, "--since", "5m")) == ["a"]


def test_what_can_not_be_shown_is_one_line(machine: Machine) -> None:
    log = known(machine)
    known(machine, "command", symbol="").write_text("x\n")
    for options, words in {
        ("x",): "session.log does not exist yet. Try: kline-ops status x",
        ("x", "--level", "loud"): "--level 'loud': no level. Try: debug, info, warning, error",
        ("x", "--since", "soon"): "--since 'soon': not a time. Try: 30s, 10m, 2h, 3d or 2026",
        ("x", "-n", "-1"): "-1 is not in the range",
        ("command", "--since", "1h"): "command is a command: its lines say neither",
        ("command", "--events"): "events.jsonl does not exist yet",
    }.items():
        refused = machine.run("logs", *options)
        assert refused.returncode == 2
        assert words in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert refused.stdout == ""
    log.touch()
    assert "session.log is empty" in machine.run("logs", "x").stderr
    log.unlink()
    log.mkdir()
    assert "cannot read" in (refused := machine.run("logs", "x")).stderr
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)


def test_the_output_of_a_command_is_shown_without_its_colours(machine: Machine) -> None:
    log = known(machine, symbol="")
    line = record("json")
    log.write_bytes(b"\x1b[32mok\x1b[0m\r\n10 %\r90 %\r\n" + line.encode() + b"\n\xff")
    assert shown(machine) == ["ok", "90 %", line, "\ufffd"]
    assert shown(machine, "--json", "-n", "4")[0] == "\x1b[32mok\x1b[0m"


@pytest.mark.parametrize("options", [(), ("--json",), ("--events",)])
def test_a_terminal_obeys_nothing_that_stands_in_a_log(
    machine: Machine, options: tuple[str, ...]
) -> None:
    log = known(machine)
    (log.parent / "events.jsonl").write_bytes(b'torn \x1b[2J\x9b2J\x7f\n{"x":"\xc2\x9b2J"}\n')
    log.write_bytes(b"torn \x1b[2J\x07\n" + record("\x1b]0;x\x07\x9b\n").encode() + b"\n")
    controller, terminal = pty.openpty()
    child = machine.begin("logs", "x", *options, stdout=terminal)
    os.close(terminal)
    said = b""
    try:
        while piece := os.read(controller, 65536):
            said += piece
    except OSError:  # its end is an error to a terminal's other side
        os.close(controller)
    assert child.wait(10) == 0
    text = said.decode()
    assert len(text.splitlines()) == 2
    assert text.replace("\r\n", "").isprintable()


def test_a_reader_that_has_enough_is_no_error(machine: Machine) -> None:
    known(machine).write_text("".join(f"{record(str(n))}\n" for n in range(20_000)))
    ran = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m kline_ops logs x -n 20000 | head -n 1"],
        env=machine.environ, cwd=machine.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.stderr == ""
    assert words(ran.stdout.splitlines()) == ["0"]


def test_an_encoding_that_lacks_a_character_is_no_obstacle(machine: Machine) -> None:
    known(machine).write_text(json.dumps({"ts": ago(0), "level": "info", "message": "…"}))
    done = machine.run("logs", "x", PYTHONIOENCODING="ascii")
    assert done.stdout.endswith("INFO     \\u2026\n")


class Follower:
    """``logs -f`` in a process of its own."""

    def __init__(self, machine: Machine, *options: str) -> None:
        self.child = machine.begin("logs", "x", "-f", *options)
        self.lines: list[str] = []
        self._part = ""

    def shows(self, *expected: str) -> bool:
        """Has it shown so many more lines? They have to be these."""

        def there() -> bool:
            assert self.child.stdout is not None
            fd = self.child.stdout.fileno()
            while select.select([fd], [], [], 0)[0]:
                *lines, self._part = (self._part + os.read(fd, 65536).decode()).split("\n")
                self.lines += words(lines)
            return len(self.lines) >= len(expected)

        until(there)
        shown, self.lines = self.lines, []
        return shown == list(expected)


def add(log: Path, *lines: str) -> None:
    with log.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


def test_a_log_is_followed_from_before_its_beginning_through_all_that_happens(
    machine: Machine,
) -> None:
    log = known(machine)
    follower = Follower(machine, "--level", "warning")
    # Nothing says that it waits; whenever the log comes, it is told from its beginning.
    add(log, record("a", "error"), record("no"), "no", record("b", "warning"), "below")
    assert follower.shows("a", "b", "below")
    log.rename(log.with_name("session.log.1"))
    add(log, record("c", "error"))
    assert follower.shows("c")
    log.unlink()
    add(log, record("d", "error"))
    assert follower.shows("d")
    log.write_text("e\n")  # emptied and begun anew: it is shorter than it was
    assert follower.shows("e")
    follower.child.send_signal(signal.SIGINT)
    assert follower.child.wait(10) == 0


def test_a_log_that_is_there_is_told_and_then_followed(machine: Machine) -> None:
    log = known(machine)
    add(log, record("a"), record("b"), record("c"))
    with log.open("a") as file:
        file.write("begun ")
    follower = Follower(machine, "-n", "2")
    assert follower.shows("b", "c")
    add(log, "ended")
    assert follower.shows("ended")
    follower.child.terminate()
    follower.child.wait(10)
