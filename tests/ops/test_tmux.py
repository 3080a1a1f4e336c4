"""The tmux server of our own: its socket, its window, and what it must not know."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kline_ops.ops.tmux_socket import orphaned_server, revive, socket_path, tmpdir
from kline_ops.watch.process import Process, look_at
from tests.support.machine import ROOT, Machine, kill, until
from tests.support.terminal import Terminal

HINT = b"detach: Ctrl+B D"
SECRET = "http://127.0.0.1:1/T0/B0/hushhushhush"


@pytest.fixture
def loops(machine: Machine) -> Machine:
    """Two commands that print, ``one`` and ``two``, and a shell."""
    machine.environ["TERM"] = "xterm"
    folder = machine.folder / "configs"
    folder.mkdir()
    for name in ("one", "two"):
        command = f"sh -c 'while :; do echo I am {name}; sleep 0.2; done'"
        put(folder, name, command)
    put(folder, "shell", "sh")
    return machine


def put(folder: Path, name: str, command: str) -> None:
    text = json.dumps({"ops": {"sessions": {name: {"command": command}}}})
    (folder / f"{name}.yml").write_text(text)


def started(machine: Machine, name: str, **environ: str) -> None:
    told = machine.run("start", name, **environ)
    assert (told.returncode, told.stderr) == (0, "")


def socket_of(machine: Machine) -> Path:
    return socket_path(tmpdir(os.environ), machine.socket)


def server_of(machine: Machine) -> int:
    return int(machine.tmux("display-message", "-p", "#{pid}"))


def test_a_deleted_socket_is_made_anew(loops: Machine) -> None:
    started(loops, "one")
    path, server = socket_of(loops), server_of(loops)
    path.unlink()
    assert loops.tmux("list-sessions") == ""
    assert orphaned_server(path) == server
    # A session that is started meanwhile comes to the others.
    started(loops, "two")
    assert server_of(loops) == server
    assert [line.split(":")[0] for line in loops.tmux("list-sessions").splitlines()] == [
        "one",
        "two",
    ]
    path.unlink()
    with Terminal(loops, "attach", "one") as terminal:
        terminal.wait_for(b"I am one")
        assert terminal.detach() == 0
    path.unlink()
    assert loops.run("start", "one").stdout == "one is running already\n"
    assert loops.run("stop", "one").returncode == 0
    assert loops.run("stop", "two").returncode == 0
    until(lambda: look_at(server, None) is Process.GONE)


def test_its_folder_is_made_anew_too(machine: Machine, socket_folder: Path) -> None:
    path = socket_path(socket_folder, machine.socket)
    environ = {**machine.environ, "TMUX_TMPDIR": str(socket_folder)}
    tmux = ["tmux", "-L", machine.socket, "-f", "/dev/null"]
    subprocess.run([*tmux, "new-session", "-d", "sleep 60"], env=environ, check=True)
    try:
        shutil.rmtree(path.parent)
        assert revive(path)
        assert path.parent.stat().st_mode & 0o777 == 0o700
        subprocess.run([*tmux, "has-session"], env=environ, check=True)
    finally:
        subprocess.run([*tmux, "kill-server"], env=environ, check=False)


def test_nobody_is_signalled_for_a_socket_that_is_not_a_tmux_servers(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listens = f"import socket, time; s = socket.socket(socket.AF_UNIX); s.bind({str(path)!r})"
    child = subprocess.Popen([sys.executable, "-c", f"{listens}; s.listen(); time.sleep(60)"])
    try:
        until(path.exists)
        path.unlink()
        assert orphaned_server(path) is None
        assert not revive(path)
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_a_socket_without_a_server_is_not_in_the_way(loops: Machine) -> None:
    started(loops, "one")
    kill(server_of(loops))
    until(lambda: loops.status("one")["state"] == "DEAD")
    assert socket_of(loops).is_socket()
    started(loops, "one")
    assert loops.status("one")["state"] == "RUNNING"


def test_another_tmux_tmpdir_is_no_other_place(loops: Machine, socket_folder: Path) -> None:
    started(loops, "one", TMUX_TMPDIR=str(socket_folder))
    assert (socket_folder / f"tmux-{os.getuid()}" / loops.socket).is_socket()
    assert not socket_of(loops).exists()
    # From a shell without it, and from one with another.
    assert loops.run("start", "one").stdout == "one is running already\n"
    for place in ("", "/var/tmp"):
        loops.environ["TMUX_TMPDIR"] = place
        with Terminal(loops, "attach", "one") as terminal:
            terminal.wait_for(b"I am one")
            assert terminal.detach() == 0
    del loops.environ["TMUX_TMPDIR"]
    assert loops.run("stop", "one").returncode == 0


@pytest.mark.parametrize("columns", [80, 40])
def test_how_to_detach_is_to_be_seen(loops: Machine, columns: int) -> None:
    long = "a-session-whose-name-is-longer-than-forty-columns-are-wide"
    put(loops.folder / "configs", long, "sleep 300")
    started(loops, long)
    with Terminal(loops, "attach", long, columns=columns) as terminal:
        terminal.wait_for(HINT)
        assert terminal.detach() == 0


def test_attach_without_a_terminal_or_a_session(loops: Machine) -> None:
    started(loops, "one")
    assert loops.run("attach", "one").stderr.startswith("kline-ops: attach needs a terminal")
    # Nobody attaches to a part of a name.
    assert loops.run("attach", "on").returncode == 4
    server = server_of(loops)
    os.kill(server, signal.SIGKILL)
    until(lambda: look_at(server, None) is Process.GONE)
    refused = loops.run("attach", "one")
    assert refused.returncode == 3
    assert "one does not run in tmux" in refused.stderr or "outside tmux" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_what_tmux_says_of_a_terminal_is_one_line(loops: Machine) -> None:
    started(loops, "one")
    loops.environ["TERM"] = "no-such-terminal"
    with Terminal(loops, "attach", "one") as terminal:
        assert terminal.ends() == 1
        assert terminal.child.stderr is not None
        told = terminal.child.stderr.read()
    assert "tmux can not show one: " in told
    assert len(told.splitlines()) == 1


def test_a_locale_that_is_not_there_is_no_obstacle(loops: Machine) -> None:
    started(loops, "one", LC_ALL="xx_XX.UTF-8", LANG="xx_XX.UTF-8")


def test_attach_ends_with_the_session(loops: Machine) -> None:
    started(loops, "one")
    with Terminal(loops, "attach", "one") as terminal:
        terminal.wait_for(b"I am one")
        loops.run("stop", "one")
        assert terminal.ends() == 0
        assert b"[exited]" in terminal.look()


def test_what_runs_outside_tmux_can_not_be_attached_to(loops: Machine) -> None:
    child = loops.begin("supervise", "one")
    until(lambda: "I am one" in loops.run("logs", "one", "-n", "5").stdout)
    refused = loops.run("attach", "one")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (3, 1)
    assert "one runs outside tmux. Try: kline-ops logs one -f" in refused.stderr
    assert loops.run("stop", "one").returncode == 0
    assert child.wait(10) == 0


@pytest.fixture
def outer(loops: Machine) -> Iterator[list[str]]:
    """A tmux of the user's own, as the beginning of its command line."""
    tmux = ["tmux", "-L", f"{loops.socket}-outer", "-f", "/dev/null"]
    yield tmux
    subprocess.run([*tmux, "kill-server"], capture_output=True, check=False)
    socket_path(tmpdir(os.environ), f"{loops.socket}-outer").unlink(missing_ok=True)


@pytest.mark.parametrize(("prefix", "is_told"), [("C-b", True), ("C-a", False)])
def test_in_another_tmux_it_says_how_to_leave(
    loops: Machine, outer: list[str], prefix: str, is_told: bool
) -> None:
    started(loops, "one")
    command = f"{sys.executable} -m kline_ops attach one; echo left with $?; sleep 60"
    subprocess.run(
        [*outer, "set-option", "-g", "prefix", prefix, ";",
         "new-session", "-d", "-x", "100", "-y", "24", command],
        env=loops.environ, cwd=loops.folder, check=True,
    )  # fmt: skip

    def shown() -> str:
        told = subprocess.run([*outer, "capture-pane", "-p"], capture_output=True, check=True)
        return told.stdout.decode()

    until(lambda: "I am one" in shown())
    if is_told:
        until(lambda: "press Ctrl+B twice, then D" in shown())
    else:
        until(lambda: HINT.decode() in shown())
    # What is sent here has passed the outer one's prefix.
    subprocess.run([*outer, "send-keys", "C-b", "d"], check=True)
    until(lambda: "left with 0" in shown())


@pytest.mark.long
def test_in_its_own_tmux_it_switches_there(loops: Machine) -> None:
    for name in ("one", "shell"):
        started(loops, name)
    with Terminal(loops, "attach", "shell") as terminal:
        terminal.wait_for(HINT)
        terminal.type(f"{sys.executable} -m kline_ops attach one --read-only\r".encode())
        terminal.wait_for(b"I am one")
        clients = loops.tmux("list-clients", "-F", "#{session_name} #{client_readonly}")
        assert clients == "one 1\n"


def test_the_users_own_tmux_conf_is_not_ours(loops: Machine) -> None:
    (loops.folder / ".tmux.conf").write_text("set -g prefix C-a\nset -g remain-on-exit on\n")
    started(loops, "one")
    assert loops.tmux("show-options", "-gv", "prefix") == "C-b\n"
    assert loops.tmux("show-options", "-gwv", "remain-on-exit") == "off\n"


def test_the_scrollback_is_long_from_the_first_window_on(loops: Machine) -> None:
    put(loops.folder / "configs", "many", "sh -c 'seq 1 9000; sleep 300'")
    started(loops, "many")

    def scrolled() -> list[str]:
        return loops.tmux("capture-pane", "-p", "-S", "-", "-t", "=many:").split()

    until(lambda: "9000" in scrolled())
    assert scrolled() == [str(number) for number in range(1, 9001)]


def test_nothing_in_the_name_of_a_folder_is_run(machine: Machine) -> None:
    odd = machine.folder / "#(touch pwned) #{pid};"
    (machine.folder / "odd.yml").write_text(
        json.dumps({"data_dir": str(odd), "ops": {"sessions": {"odd": {"command": "sleep 300"}}}})
    )
    told = machine.run("start", "odd", "--config", "odd.yml")
    assert (told.returncode, told.stderr) == (0, "")
    assert (odd / "session.log").parent.is_dir()
    assert not list(machine.folder.rglob("pwned"))
    machine.run("stop", "odd")


def test_a_secret_is_where_it_is_used_and_nowhere_else(machine: Machine) -> None:
    secret = {"KLINE_OPS__CREDENTIALS__SOPS_MAINNET": SECRET}
    machine.run("start", "demo", **secret)
    recorder, server = machine.status("demo")["pid"], server_of(machine)
    assert SECRET in Path(f"/proc/{recorder}/environ").read_text()
    assert SECRET not in Path(f"/proc/{server}/environ").read_text()
    shown = machine.tmux("show-environment", "-g") + machine.tmux("show-environment", "-t", "=demo")
    assert "HOME=" in shown
    assert SECRET not in shown
    assert "SOPS_MAINNET" not in shown
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert SECRET.encode() not in cmdline.read_bytes(), cmdline
        except (FileNotFoundError, ProcessLookupError):
            continue
    # What was handed over was read, and is gone.
    files = [path for path in machine.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert not (machine.data("demo") / "session.env").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be two users")
def test_the_sessions_of_another_user_are_not_ours(loops: Machine, tmp_path: Path) -> None:
    started(loops, "one")
    loops.folder.chmod(0o755)
    for parent in list(loops.folder.parents)[:-2]:
        parent.chmod(parent.stat().st_mode | 0o055)
    for path in loops.folder.rglob("*"):
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))

    def as_nobody(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        other = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
        return subprocess.run(
            [*other, sys.executable, "-m", "kline_ops", *arguments],
            env={**loops.environ, "PYTHONPATH": str(ROOT), **environ},
            cwd=loops.folder, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    # The same registry: only then does one know of the other.
    refused = as_nobody("stop", "one")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "one belongs to another user" in refused.stderr
    refused = as_nobody("attach", "one")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "one belongs to another user" in refused.stderr
    assert loops.status("one")["state"] == "RUNNING"
    # A registry of one's own: nobody there.
    theirs = str(tmp_path / "theirs")
    assert as_nobody("status", "one", XDG_STATE_HOME=theirs).returncode == 4
