"""Does a machine have what a session needs? Judges what was seen; pure.

A finding is ``ok``, ``warn`` (it works, but not for ever, or not as well as it could) or ``FAIL`` (it
does not); the latter two say what to do about it. What looks at the machine is ``ops/machine.py``, and
``ops/reach.py`` for the exchange.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kline_ops.log_file import LOG_BYTES
from kline_ops.secret import redacted
from kline_ops.watch.verdict import is_full


class Level(enum.Enum):
    """How it is; the value is what is printed."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, what was seen, and what to do."""

    what: str
    level: Level
    told: str
    advice: str = ""


#: ``new-session -e``, and what the session's window relies on (tmux, CHANGES, "3.2").
_TMUX = (3, 2)
_PYTHON = (3, 11)
#: A recorder holds some thirty; an exchange's clients and a web page come on top.
_DESCRIPTORS = 256
#: Seconds that a clock may be off without a word; as ``status`` has it.
_SKEW = 1.0
#: Days that a disk should last; bytes that should be free, for all else that writes there.
_DAYS, _SPARE = 30.0, 200_000_000
#: HTTP statuses of a firewall, and of a law: another address may do.
BLOCKED = {403, 451}


def good(what: str, told: str) -> Finding:
    """Nothing to do."""
    return Finding(what, Level.OK, redacted(told))


def warning(what: str, told: str, advice: str) -> Finding:
    """It works, but."""
    return Finding(what, Level.WARN, redacted(told), redacted(advice))


def failure(what: str, told: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(what, Level.FAIL, redacted(told), redacted(advice))


def python(version: tuple[int, ...]) -> Finding:
    """The interpreter that runs this."""
    told = ".".join(map(str, version[:3]))
    if version < _PYTHON:
        return failure("python", told, "install Python 3.11 or newer")
    return good("python", told)


def tmux(version: str | None) -> Finding:
    """What ``tmux -V`` says; None where there is none."""
    if version is None:
        advice = "apt-get install tmux; without it: kline-ops run, or units NAME --systemd"
        return failure("tmux", "not installed", advice)
    number = re.search(r"(\d+)\.(\d+)", version)
    if number and (int(number[1]), int(number[2])) < _TMUX:
        return failure("tmux", f"{version}, and 3.2 is needed", "install a newer tmux")
    return good("tmux", version)


def orphan(socket: str, server: int | None) -> Finding:
    """A tmux server of ours that nobody reaches: its socket was deleted."""
    if server is None:
        return good("tmux socket", socket)
    return warning(
        "tmux socket",
        f"{socket} was deleted, and its server (pid {server}) lives",
        f"kline-ops attach NAME brings it back, or: kill -USR1 {server}",
    )


def without_alerts(session: str, why: str) -> list[Finding]:
    """``why`` it goes on without its secrets; empty: it has them."""
    if not why:
        return []
    told = f"{session} records without its alert channels: {why}"
    return [warning("alerts", told, f"kline-ops restart {session}, where its key is set")]


def encoding(name: str) -> Finding:
    """How this locale encodes text."""
    if name.lower().replace("-", "") == "utf8":
        return good("locale", name)
    return warning("locale", f"{name}: names and drawings may be garbled", "export LANG=C.UTF-8")


def writable(what: str, folder: str, error: str | None) -> Finding:
    """A file was written there, or could not be; ``error`` says why."""
    if error is None:
        return good(what, f"{folder} can be written")
    return failure(
        what, f"{folder}: {error}", "check its disk and permissions, or give another place"
    )


def disk(folder: str, free: int | None, bytes_per_day: float) -> Finding:
    """How long the disk lasts at this rate, after what the log may take."""
    if free is None:
        return warning("disk", f"{folder} is not there yet", "")
    told = f"{_size(free)} free at {folder}"
    if is_full(free):
        return failure("disk", told, "free some space: candles wait in memory meanwhile")
    days = max(free - LOG_BYTES, 0) / bytes_per_day if bytes_per_day else float("inf")
    lasts = f"for {days:,.0f} days" if days < 3650 else "for more than ten years"
    told = f"{told}: {lasts} at {_size(bytes_per_day)} a day"
    if days < _DAYS or free < _SPARE:
        return warning("disk", told, "free some space, or give data_dir another disk")
    return good("disk", told)


def descriptors(limit: int) -> Finding:
    """How many files a process may have open."""
    if limit < _DESCRIPTORS:
        return warning("open files", f"at most {limit}", "ulimit -n 1024")
    return good("open files", f"at most {limit:,}")


def clock(skew: float, host: str, unsure: float = 0.0) -> Finding:
    """Seconds that this machine's clock is ahead of the exchange's, give or take ``unsure``."""
    told = f"{abs(skew):.2f} s {'ahead of' if skew > 0 else 'behind'} {host}"
    if abs(skew) - unsure > _SKEW:
        # Candles go by the exchange's time; cron, logs and whoever reads them do not.
        return warning("clock", told, "switch on NTP: timedatectl set-ntp true")
    return good("clock", told)


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of one address: ``reason`` where it did not do; ``status`` of an HTTP answer."""

    url: str
    reason: str = ""
    status: int | None = None
    #: Nothing was asked: the limits of the exchange, or a ban, forbid it for so many seconds.
    waits: float = 0.0
    seconds: float = 0.0


def addresses(what: str, reached: Sequence[Reached]) -> list[Finding]:
    """One line an address: one that does not do is a failure where none does."""
    works = any(not one.reason and not one.waits for one in reached)
    return [_address(what, one, works=works) for one in reached]


def _address(what: str, one: Reached, *, works: bool) -> Finding:
    if one.waits:
        told = f"{one.url} was not asked: the budget of this machine says {one.waits:.0f} s"
        return warning(what, told, "ask again after that; a ban is kept to")
    if not one.reason:
        return good(what, f"{one.url} answers in {one.seconds * 1000:.0f} ms")
    told, advice = f"{one.url}: {one.reason}", "check the network, the proxy and the address"
    if one.status in BLOCKED:
        advice = "this region or network is blocked there; another address of the venue may do"
    return warning(what, told, advice) if works else failure(what, told, advice)


def secrets(files: Mapping[str, int]) -> list[Finding]:
    """Files that hold credentials, with their modes."""
    found = []
    for path, mode in files.items():
        if mode & 0o077:
            told = f"{path} holds credentials, and others may read it ({mode & 0o777:o})"
            found.append(warning("secrets", told, f"chmod 600 {path}"))
    return found or [good("secrets", "no file with credentials can be read by others")]


def logout(kills: bool | None, *, is_root: bool) -> Finding:  # noqa: FBT001 - what logind says
    """Do sessions in tmux outlive a logout? None: there is no logind that would end them."""
    what = "logout"
    if kills is None:
        return good(what, "nothing here ends sessions at a logout (no systemd-logind)")
    if is_root or not kills:
        return good(what, "sessions in tmux outlive it")
    return warning(
        what,
        "systemd-logind ends whatever a user has running (KillUserProcesses=yes)",
        "run them as units: kline-ops units NAME --systemd, and loginctl enable-linger",
    )


def linger(user: str, units: Sequence[str], *, lingers: bool) -> Finding | None:
    """User units end with the user's last logout, and do not start at boot, unless he lingers."""
    if not units:
        return None
    if lingers:
        return good("linger", f"units of {user} start at boot")
    told = f"units of {user} start at his first login, and end at his last logout"
    return warning("linger", told, f"loginctl enable-linger {user}")


@dataclass(frozen=True, slots=True)
class Kept:
    """A session that something is to look after; ``unit``: a watchdog that systemd runs does."""

    name: str
    #: False: a command, which has no candles to look for; a line that starts it is all there is.
    records: bool = True
    unit: bool = False


def cron(lines: str | None, sessions: Sequence[Kept], *, runs: bool) -> Finding:
    """Does a crontab look after these sessions? ``lines``: None where there is no crontab command."""
    what, advice = "cron", "apt-get install cron (or units NAME --systemd, which brings a watchdog)"
    left = [session for session in sessions if not session.unit]
    if sessions and not left:
        return good(what, f"units of systemd look after {_names(sessions)}")
    if lines is None:
        return warning(what, "not installed: nothing looks for gaps by itself", advice)
    active = [line for line in lines.splitlines() if line.strip() and not line.startswith("#")]
    missing = [session for session in left if not any(_cares(line, session) for line in active)]
    if missing:
        told = f"the crontab of this user does not look after {_names(missing)}"
        return warning(what, told, f"kline-ops units {missing[0].name} --cron")
    if not runs:
        return warning(what, "no cron daemon is running", "service cron start")
    return good(what, f"looks after {_names(sessions)}" if sessions else "runs")


def _cares(line: str, session: Kept) -> bool:
    words = line.split()
    if "analyze-gaps" in line or "watchdog" in line:
        return session.name in words
    return not session.records and ("start", session.name) in pairwise(words)


def _names(sessions: Sequence[Kept]) -> str:
    return ", ".join(session.name for session in sessions)


def cleaners(folder: str, rules: str, others: Sequence[str]) -> Finding:
    """What tidies the folder of tmux's socket; ``rules``: tmpfiles.d(5), all of them.

    systemd-tmpfiles leaves a socket alone that somebody listens at; older cleaners go by its age.
    """
    what = "temporary files"
    if others:
        told = f"{', '.join(others)} may delete the socket of tmux in {folder}"
        return warning(what, told, "export TMUX_TMPDIR to a folder of yours that nobody tidies")
    for line in rules.splitlines():
        words = line.split()
        if len(words) < 6 or words[0][0] not in "dDvqQe" or words[5] == "-":
            continue
        if folder == words[1] or folder.startswith(words[1].rstrip("/") + "/"):
            told = f"systemd tidies {words[1]} after {words[5]}; sockets in use stay"
            return good(what, told)
    return good(what, f"nobody tidies {folder}")


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
