"""Where the socket of a tmux server is, and getting one back that was deleted under a living server.

tmux puts it into ``$TMUX_TMPDIR/tmux-UID`` (``/tmp`` where that is not set or not there; tmux(1), "-L").
What cleans up ``/tmp`` may take it away: the server lives on, nobody reaches it, and a new one would be
started beside it. At SIGUSR1 it makes the socket anew (tmux(1), "-L").
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

_DEFAULT = "/tmp"  # noqa: S108 - where tmux looks; the folder in it is our own, mode 0700
#: Seconds that a server may take to make its socket anew.
_REVIVAL = 2.0
_POLL = 0.02
#: ``/proc/net/unix``, third flag column: somebody listens there (``__SO_ACCEPTCON``).
_LISTENING = "00010000"


def tmpdir(environ: Mapping[str, str]) -> Path:
    """The folder that tmux keeps its sockets below, in this environment."""
    given = environ.get("TMUX_TMPDIR")
    # Resolved, as tmux does it: the path is how a server is recognized.
    return Path(os.path.realpath(given if given and Path(given).exists() else _DEFAULT))


def socket_path(tmpdir: Path, name: str) -> Path:
    """The socket of this name, of the present user."""
    return tmpdir / f"tmux-{os.getuid()}" / name


def revive(path: Path) -> bool:
    """Is the server of this socket to be reached? One whose socket is gone is asked to make it anew.

    True says only that there is a socket; one that a crash left behind is tmux's own to replace.
    """
    if path.exists():
        return True
    server = orphaned_server(path)
    if server is None:
        return False
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.kill(server, signal.SIGUSR1)
    except OSError:
        return False
    deadline = time.monotonic() + _REVIVAL
    while not path.exists():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL)
    return True


def orphaned_server(path: Path) -> int | None:
    """The pid of our own tmux server that listens at a path where there is no socket any more."""
    if path.exists():
        return None
    inodes = {f"socket:[{inode}]" for inode in _listening(path)}
    if not inodes:
        return None
    return next((pid for pid in _own_servers() if not inodes.isdisjoint(_open_files(pid))), None)


def _listening(path: Path) -> list[str]:
    """The inodes of the sockets that listen at a path. The kernel knows it after the file is gone."""
    try:
        lines = Path("/proc/self/net/unix").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # Num RefCount Protocol Flags Type St Inode Path
    columns = (line.split(None, 7) for line in lines.splitlines())
    return [
        row[6] for row in columns if len(row) == 8 and row[3] == _LISTENING and row[7] == str(path)
    ]


def _own_servers() -> list[int]:
    """Processes of ours that call themselves tmux: SIGUSR1 would end any other."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            ours = folder.stat().st_uid == os.getuid()
            if ours and (folder / "comm").read_text(errors="replace").startswith("tmux"):
                pids.append(int(folder.name))
    return sorted(pids)


def _open_files(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(file.readlink()))
    return found
