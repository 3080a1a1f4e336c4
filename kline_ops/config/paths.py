"""Paths as configs give them."""

from __future__ import annotations

import re
from pathlib import Path

from kline_ops.errors import ConfigError

#: A path that was made of one has lost a slash.
_is_address = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/|.*://").match


def path_of(text: str | Path, field: str = "") -> Path:
    """The path that is meant: ``~`` is a home.

    Raises:
        ConfigError: it can be none; says nothing of an address, as a password may be in it.
    """
    told = str(text)
    if _is_address(told):
        raise ConfigError("an address, and no path", field=field, hint="a path on this machine")
    try:
        told.encode()
        path = Path(told).expanduser()
    except RuntimeError:  # of pathlib, for ~somebody
        home = told.partition("/")[0]
        raise ConfigError(
            f"{home}: there is no such home here", field=field, hint="the whole path"
        ) from None
    except UnicodeEncodeError:
        path = None
    if path is None or "\0" in told:
        raise ConfigError("holds a character that no path can", field=field, hint="remove it")
    return path


def textfile_of(told: str | Path, field: str = "") -> Path:
    """Where a watchdog leaves what it finds.

    Raises:
        ConfigError: it can be no path, or is none that node_exporter reads.
    """
    path = path_of(told, field)
    if path.suffix != ".prom":
        raise ConfigError(
            f"{path}: node_exporter reads *.prom only", field=field, hint=f"{path.stem}.prom"
        )
    return path
