"""The window a session runs in: a tmux server of our own (``-L kline-ops``), through libtmux.

tmux is only the window. Whether a recorder lives, and how it ended, is never asked of it: it loses
exit codes, and matches names by prefix unless the target is ``=name``. The server is started without
the user's own tmux.conf, so that Ctrl+B is the prefix, and without the secrets of whoever starts it
first: it would keep that environment for as long as it lives.
"""

from __future__ import annotations

import contextlib
import locale
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from libtmux import Server
from libtmux.exc import LibTmuxException

from kline_ops.errors import EXIT_FINDING, EXIT_NOT_RUNNING, MachineError, SessionError
from kline_ops.ops.tmux_socket import revive, socket_path, tmpdir

#: What a terminal needs to know; nothing of it is secret.
_HARMLESS = re.compile(
    r"PATH|HOME|LANG|LANGUAGE|LC_\w+|TERM|COLORTERM|SHELL|USER|LOGNAME|TZ|TMUX_TMPDIR|XDG_\w+"
)
#: The left end is the last that tmux cuts off in a narrow terminal (format-draw.c).
_HINT = " detach: Ctrl+B D "
#: For windows made from here on; before the first one is (a window keeps what it was made with).
_OPTIONS = {
    "history-limit": "10000",
    "status-left": _HINT,
    "status-left-length": str(len(_HINT)),
    "status-right": "",
}
#: Which client of which server we are in.
_PLACE = ("TMUX", "TMUX_PANE")
_NESTED = "a tmux in a tmux: to leave this one press Ctrl+B twice, then D"


class Tmux:
    """One tmux server, by the name of its socket, and the folder that has it (``$TMUX_TMPDIR``).

    Raises:
        MachineError: there is no tmux on this machine.
    """

    def __init__(self, socket: str, folder: Path | None = None) -> None:
        if shutil.which("tmux") is None:
            sudo = "" if os.geteuid() == 0 else "sudo "
            raise MachineError(
                "tmux is not installed",
                hint=f"{sudo}apt-get install tmux (`kline-ops run NAME` works without it)",
            )
        self._folder = tmpdir(os.environ) if folder is None else folder
        self._path = socket_path(self._folder, socket)
        self._server = Server(socket_name=socket, config_file=os.devnull)
        self._socket = socket

    def has(self, name: str) -> bool:
        """Is there a session of exactly this name?"""
        if not revive(self._path):
            return False
        with self._environment():
            try:
                return self._server.has_session(name, exact=True)
            except LibTmuxException:
                return False

    @property
    def folder(self) -> Path:
        """Below which folder its socket is."""
        return self._folder

    def pids(self, name: str) -> list[int]:
        """What runs in the panes of a session; nothing where there is none."""
        if not self.has(name):
            return []
        with self._environment():
            try:
                told = self._server.cmd("list-panes", "-s", "-t", f"={name}", "-F", "#{pane_pid}")
            except LibTmuxException:
                return []
        return [int(line) for line in told.stdout if line.isdecimal()]

    def start(self, name: str, command: Sequence[str], folder: Path) -> None:
        """Run a command (no shell) in a new, detached session.

        Raises:
            MachineError: tmux refused; its own words are told.
        """
        revive(self._path)
        told: list[str] = ["start-server"]
        for option, value in _OPTIONS.items():
            told += [";", "set-option", "-g", option, value]
        told += [";", "new-session", "-d", "-s", name, "-n", name, "-x", "120", "-y", "40"]
        if python_path := os.environ.get("PYTHONPATH"):
            told += ["-e", _escape(f"PYTHONPATH={python_path}")]  # to find this program
        # Not `-c FOLDER`: in that tmux would run what stands between `#(` and `)`.
        with self._environment(), contextlib.chdir(folder):
            try:
                failure = self._server.cmd(*told, "--", *map(_escape, command)).stderr
            except LibTmuxException as error:
                failure = [str(error)]
        if failure and not self.has(name):  # else somebody was quicker: it is being started
            raise MachineError(
                f"tmux could not start {name}: {' '.join(failure)}",
                hint=f"kline-ops run {name} works without it",
            )

    def attach(self, name: str, *, read_only: bool) -> None:
        """Show the session in this terminal until it is detached or over.

        Raises:
            SessionError: it is gone, or tmux can not show it here; its own words are told.
        """
        outer = Path(os.environ.get("TMUX", "").split(",")[0])
        inside = self._is_ours(outer)
        if inside:
            # -r would switch it off again where it is on.
            flags = ["-r"] if read_only and not self._is_read_only() else []
            told = ["switch-client", *flags, "-t", f"={name}"]
        else:
            told = ["attach-session", *(["-r"] if read_only else []), "-t", f"={name}"]
            if _takes_our_prefix(outer):
                told += [";", "display-message", "-d", "6000", _NESTED]
        ended = subprocess.run(
            ["tmux", "-L", self._socket, *told],  # noqa: S607 - as everywhere, by the PATH
            env=self._environ(inside=inside),
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        if ended.returncode:
            raise self._not_shown(name, " ".join(ended.stderr.split()))

    def _not_shown(self, name: str, told: str) -> SessionError:
        if not self.has(name):
            hint = f"kline-ops status {name}"
            return SessionError(f"{name} has ended", exit_code=EXIT_NOT_RUNNING, hint=hint)
        hint = f"kline-ops logs {name} -f"
        return SessionError(
            f"tmux can not show {name}: {told or 'it lost its terminal'}",
            exit_code=EXIT_FINDING,
            hint=hint,
        )

    def _is_ours(self, outer: Path) -> bool:
        """Is that the socket of this very server?"""
        try:
            return outer.is_socket() and outer.samefile(self._path)
        except OSError:
            return False

    def _is_read_only(self) -> bool:
        with self._environment(inside=True):
            return self._server.cmd("display-message", "-p", "#{client_readonly}").stdout == ["1"]

    def _environ(self, *, inside: bool = False) -> dict[str, str]:
        """What tmux, and so its server, is to see. ``inside``: which client we are in as well."""
        kept = {key: value for key, value in os.environ.items() if _HARMLESS.fullmatch(key)}
        if inside:
            kept |= {key: os.environ[key] for key in _PLACE if key in os.environ}
        return kept | {"TMUX_TMPDIR": str(self._folder)}

    @contextlib.contextmanager
    def _environment(self, *, inside: bool = False) -> Iterator[None]:
        """The same, as the environment of this process: libtmux takes it from there."""
        saved = dict(os.environ)
        told = self._environ(inside=inside)
        told.pop("TERM", None)  # nothing is shown; one that tmux does not know it would refuse
        if not _is_utf_8():
            # Elsewhere, tmux garbles the separator that libtmux splits its answers by.
            told["LC_ALL"] = "C.UTF-8"
        os.environ.clear()
        os.environ.update(told)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(saved)


def _is_utf_8() -> bool:
    """Is the locale of this environment there, and one of UTF-8?"""
    try:
        name = locale.setlocale(locale.LC_CTYPE, "")
    except locale.Error:
        return False
    return "UTF-8" in name.upper().replace("UTF8", "UTF-8")


def _takes_our_prefix(outer: Path) -> bool:
    """Does the tmux that we are in keep Ctrl+B for itself?"""
    if not outer.is_socket():
        return False
    told = Server(socket_path=outer).cmd("show-options", "-gv", "prefix").stdout
    return told == ["C-b"]


def _escape(argument: str) -> str:
    """A last ``;`` would end the command (tmux(1), "Parsing syntax")."""
    return f"{argument[:-1]}\\;" if argument.endswith(";") else argument
