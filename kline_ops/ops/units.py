"""Lines for a crontab that watch over a session. Pure: text in, text out.

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

#: What tells where this machine's sessions and their files are.
PLACES = ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
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
    #: The present environment, or as much of it as matters: see :data:`PLACES`.
    environ: Mapping[str, str]
    #: Is there a channel that can be told?
    notify: bool


def crontab(watched: Watched) -> str:
    """The lines, with a comment before each.

    Raises:
        InputError: a path that cannot stand in a crontab, or is too long for one.
    """
    name = watched.name
    minute = _EARLIEST + zlib.crc32(name.encode()) % _MINUTES
    hourly = _line(watched, "--until", "now", "--quiet")
    daily = _line(watched, "--digest")
    return (
        f"# kline-ops {name}: hourly, says what is missing; nothing where nothing is.\n"
        f"{minute} * * * * {hourly}\n"
        f"# kline-ops {name}: daily, the digest of the last whole day (UTC), whenever it runs: times\n"
        "# here are this machine's local ones.\n"
        f"7 0 * * * {daily}\n"
    )


def _line(watched: Watched, *options: str) -> str:
    settings = [
        f"{place}={shlex.quote(watched.environ[place])}"
        for place in PLACES
        if watched.environ.get(place)
    ]
    call = [*watched.command, "analyze-gaps", watched.name, "--config", watched.config, *options]
    if watched.notify:
        call.append("--notify")
    line = " ".join((*settings, shlex.join(call)))
    if any(character in line for character in "\n\r\0"):
        raise InputError("a path with a line break can not stand in a crontab", hint="another path")
    line = line.replace("%", r"\%")
    if len(line.encode()) > _LONGEST:
        raise InputError(
            f"a crontab takes commands of {_LONGEST} characters, and this has {len(line.encode())}",
            hint="shorter paths",
        )
    return line
