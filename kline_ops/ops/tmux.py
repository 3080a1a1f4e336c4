"""The window a session runs in: a tmux server of our own (``-L kline-ops``), through libtmux.

tmux is only the window. Whether a recorder lives, and how it ended, is never asked of it: it loses
exit codes, and matches names by prefix unless the target is ``=name``.
"""

from __future__ import annotations

import locale
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from libtmux import Server
from libtmux.exc import LibTmuxException

from kline_ops.errors import MachineError

_STATUS_RIGHT = " detach: Ctrl+B D "


class Tmux:
    """One tmux server, by the name of its socket.

    Raises:
        MachineError: there is no tmux on this machine.
    """

    def __init__(self, socket: str) -> None:
        if shutil.which("tmux") is None:
            sudo = "" if os.geteuid() == 0 else "sudo "
            raise MachineError(
                "tmux is not installed",
                hint=f"{sudo}apt-get install tmux (`kline-ops run NAME` works without it)",
            )
        # Elsewhere than in UTF-8, tmux garbles the separator that libtmux splits its answers by.
        if "UTF-8" not in locale.setlocale(locale.LC_CTYPE, "").upper().replace("UTF8", "UTF-8"):
            os.environ["LC_ALL"] = "C.UTF-8"
        self._server = Server(socket_name=socket, config_file=os.devnull)
        self._socket = socket

    def has(self, name: str) -> bool:
        """Is there a session of exactly this name?"""
        try:
            return self._server.has_session(name, exact=True)
        except LibTmuxException:
            return False

    def start(self, name: str, command: Sequence[str], folder: Path) -> None:
        """Run a command in a new, detached session.

        Raises:
            MachineError: tmux refused; its own words are told.
        """
        try:
            session = self._server.new_session(
                session_name=name,
                attach=False,
                start_directory=folder,
                window_name=name,
                window_command=shlex.join(command),
                x=120,
                y=40,
            )
        except LibTmuxException as error:
            if self.has(name):
                return  # somebody else was quicker: it is being started
            raise MachineError(f"tmux could not start {name}: {error}") from None
        try:
            session.set_option("status-right", _STATUS_RIGHT)
            session.set_option("status-right-length", len(_STATUS_RIGHT))
        except LibTmuxException:
            # The command has ended already, and its session with it; exit.json says why.
            return

    def attach(self, name: str, *, read_only: bool) -> int:
        """Show the session in this terminal until it is detached; tmux's exit code."""
        base = ["tmux", "-L", self._socket]
        if self._is_inside():
            return subprocess.call([*base, "switch-client", "-t", f"={name}"])
        environ = {key: value for key, value in os.environ.items() if key != "TMUX"}
        flags = ["-r"] if read_only else []
        return subprocess.call([*base, "attach-session", *flags, "-t", f"={name}"], env=environ)

    def _is_inside(self) -> bool:
        """Are we in a window of this very server? $TMUX is ``socket,pid,session``."""
        return Path(os.environ.get("TMUX", "").split(",")[0]).name == self._socket
