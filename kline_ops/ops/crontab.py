"""Lines for a crontab that start a session at boot and watch over it. Pure: text in, text out.

Source: crontab(5) of Debian's cron. Its PATH is short, its shell is ``/bin/sh``, its times are the
machine's local ones (it knows no ``CRON_TZ``), ``%`` ends a command unless a backslash stands before it,
and a command is at most 998 characters long.
"""

from __future__ import annotations

import shlex
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kline_ops.errors import InputError
from kline_ops.places import KEYS, PLACES

_LONGEST = 998
#: Off the hour: candles that close on the hour are on disk by then, and sessions take turns.
_EARLIEST, _MINUTES = 5, 50


@dataclass(frozen=True, slots=True)
class Watched:
    """What the lines are made of; all paths are absolute."""

    name: str
    #: How the program is called.
    command: Sequence[str]
    config: str
    #: The present environment, or as much of it as matters: ``PLACES`` and ``KEYS`` of ``places.py``.
    environ: Mapping[str, str]
    #: Is there a channel that can be told?
    notify: bool
    #: Does the session tell it of each day itself? Only findings are told from here then.
    digests: bool = False
    #: False: a command, which has no candles to look for.
    records: bool = True


def crontab(watched: Watched) -> str:
    """The lines, with a comment before each.

    Raises:
        InputError: a path that cannot stand in a crontab, or is too long for one.
    """
    name = watched.name
    minute = _EARLIEST + zlib.crc32(name.encode()) % _MINUTES
    watchdog = _line(watched, "watchdog", *_session(watched), "--once", end=" >/dev/null")
    start = (
        f"# kline-ops {name}: at boot, starts the session (in tmux).\n"
        f"@reboot {_line(watched, 'start', *_session(watched))}\n"
        f"# kline-ops {name}: each five minutes, tells when it is not well, and when it is again.\n"
        # Its line is for monitors; what is to be told goes to the channel, without one to cron's mail.
        f"*/5 * * * * {watchdog}\n"
    )
    if not watched.records:
        return start
    hourly = _look(watched, "--until", "now", "--quiet")
    daily = _look(watched, "--digest", *(("--quiet",) if watched.digests else ()))
    what = "what is wrong" if watched.digests else "the digest"
    return (
        f"{start}"
        f"# kline-ops {name}: hourly, says what is missing; nothing where nothing is.\n"
        f"{minute} * * * * {hourly}\n"
        f"# kline-ops {name}: daily, {what} of the last whole day (UTC), whenever it runs: times\n"
        "# here are this machine's local ones.\n"
        f"7 0 * * * {daily}\n"
    )


def _session(watched: Watched) -> tuple[str, ...]:
    return watched.name, "--config", watched.config


def _look(watched: Watched, *options: str) -> str:
    told = ("--notify",) if watched.notify else ()
    return _line(watched, "analyze-gaps", *_session(watched), *options, *told)


def _line(watched: Watched, *arguments: str, end: str = "") -> str:
    settings = [
        f"{place}={shlex.quote(watched.environ[place])}"
        for place in (*PLACES, *KEYS)
        if watched.environ.get(place)
    ]
    line = " ".join((*settings, shlex.join((*watched.command, *arguments)))) + end
    if any(character in line for character in "\n\r\0"):
        raise InputError("a path with a line break can not stand in a crontab", hint="another path")
    line = line.replace("%", r"\%")
    if len(line.encode()) > _LONGEST:
        raise InputError(
            f"a crontab takes commands of {_LONGEST} characters, and this has {len(line.encode())}",
            hint="shorter paths",
        )
    return line
