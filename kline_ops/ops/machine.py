"""Looks at this machine for ``kline-ops doctor``; what is seen is judged in ``watch/doctor.py``.

Each look runs in a thread of its own, and all have one deadline: a disk, a resolver or a program that
hangs is told as such, and holds up nobody.
"""

from __future__ import annotations

import contextlib
import locale
import os
import pwd
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import wait
from dataclasses import replace
from pathlib import Path

from kline_ops.causes import root_cause
from kline_ops.ops.tmux_socket import orphaned_server, tmpdir
from kline_ops.places import machine_folder, nearest
from kline_ops.watch import doctor
from kline_ops.watch.doctor import Finding, Kept
from kline_ops.worker import Worker

Look = Callable[[], list[Finding]]

#: Seconds for a program that is asked something.
_ASKING = 4.0
_CRONS = {"cron", "crond", "fcron", "busybox-cron", "dcron"}
_TIDIERS = ("tmpreaper", "tmpwatch")
_LINGERS = Path("/var/lib/systemd/linger")
#: Where systemd looks for units of the machine, and for those of all users (systemd.unit(5)).
_UNITS = (Path("/etc/systemd/system"), Path("/etc/systemd/user"))
_WATCHDOG = "kline-ops-{}-watchdog.service"
#: There is a manager of logins (sd_booted(3), systemd-logind(8)).
_LOGIND = Path("/run/systemd/seats")


def gather(looks: Iterable[tuple[str, Look]], seconds: float) -> list[Finding]:
    """Everything that is seen within so many seconds, in this order; what hangs is a finding, too."""
    deadline = time.monotonic() + seconds
    asked = []
    for what, look in looks:
        worker = Worker(what)
        asked.append((what, worker.submit(look)))
        worker.shutdown(wait=False)
    found: list[Finding] = []
    for what, answer in asked:
        wait({answer}, max(deadline - time.monotonic(), 0.0))
        if not answer.done():
            told = f"no answer within {seconds:g} s"
            found.append(doctor.warning(what, told, "something hangs there: look at it by hand"))
            continue
        try:
            found += answer.result()
        except Exception as error:  # noqa: BLE001 - a boundary: one look that fails is one line
            found.append(doctor.warning(what, root_cause(error), "look at it by hand"))
    return found


def machine_looks(sockets: Iterable[Path], sessions: Sequence[Kept]) -> list[tuple[str, Look]]:
    """What all sessions share: the sockets of their tmux servers, and what looks after them."""
    return [
        ("python", lambda: [doctor.python(sys.version_info[:3])]),
        ("tmux", lambda: [doctor.tmux(_tmux_version())]),
        ("tmux socket", lambda: [doctor.orphan(str(at), orphaned_server(at)) for at in sockets]),
        ("temporary files", _cleaners),
        ("locale", lambda: [doctor.encoding(locale.getencoding())]),
        ("open files", lambda: [doctor.descriptors(resource.getrlimit(resource.RLIMIT_NOFILE)[0])]),
        ("registry", lambda: [writable("registry", machine_folder())]),
        ("logout", _logout),
        ("cron", lambda: [_cron(sessions)]),
    ]


def writable(what: str, folder: Path) -> Finding:
    """Write a file there, and sync it; where there is no such folder yet, may one be made?"""
    there = nearest(folder)
    error = None
    try:
        if there == folder:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(bytes(4096))
                file.flush()
                os.fsync(file.fileno())
        elif not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
            error = f"no folder can be made in {there}"
    except OSError as failed:
        error = root_cause(failed)
    return doctor.writable(what, str(folder), error)


def modes(paths: Iterable[Path]) -> dict[str, int]:
    """The modes of those files that are there."""
    found = {}
    for path in paths:
        with contextlib.suppress(OSError):
            found[str(path)] = path.stat().st_mode
    return found


def _tmux_version() -> str | None:
    return _said("tmux", "-V")


def _cleaners() -> list[Finding]:
    folder = str(tmpdir(os.environ) / f"tmux-{os.getuid()}")
    rules = _said("systemd-tmpfiles", "--cat-config") or ""
    others = [name for name in _TIDIERS if shutil.which(name, path=_PATH)]
    return [doctor.cleaners(folder, rules, others)]


def _logout() -> list[Finding]:
    user = pwd.getpwuid(os.getuid()).pw_name
    kills = None
    if _LOGIND.exists():
        # "b true" or "b false"; org.freedesktop.login1(5). Its own default where nobody answers.
        place = "org.freedesktop.login1"
        call = (f"/{place.replace('.', '/')}", f"{place}.Manager", "KillUserProcesses")
        kills = _said("busctl", "--system", "get-property", place, *call) != "b false"
    found = [doctor.logout(kills, is_root=os.getuid() == 0)]
    units = [path.name for path in _user_units().glob("kline-ops-*.service")]
    lingers = doctor.linger(user, units, lingers=(_LINGERS / user).exists())
    return found if lingers is None else [*found, lingers]


def _user_units() -> Path:
    home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return home / "systemd" / "user"


def _cron(sessions: Sequence[Kept]) -> Finding:
    kept = [replace(session, unit=_has_watchdog(session.name)) for session in sessions]
    return doctor.cron(_crontab(), kept, runs=_runs(_CRONS))


def _has_watchdog(name: str) -> bool:
    files = (folder / _WATCHDOG.format(name) for folder in (_user_units(), *_UNITS))
    return any(nearest(file) == file for file in files)


def _crontab() -> str | None:
    """The crontab of this user; empty where he has none, None where nothing knows of crontabs."""
    if shutil.which("crontab", path=_PATH) is None:
        return None
    return _said("crontab", "-l") or ""


def _runs(names: set[str]) -> bool:
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if comm.read_text(encoding="utf-8", errors="replace").strip() in names:
                return True
    return False


#: A short PATH lacks what only root calls.
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _said(*command: str) -> str | None:
    """What a program prints; None where there is none, or it fails.

    Raises:
        TimeoutError: it hangs.
    """
    program = shutil.which(command[0], path=_PATH)
    if program is None:
        return None
    try:
        ran = subprocess.run(
            [program, *command[1:]],
            capture_output=True, text=True, errors="replace",
            stdin=subprocess.DEVNULL, timeout=_ASKING, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{command[0]} hangs") from None
    return ran.stdout.strip() if ran.returncode == 0 else None
