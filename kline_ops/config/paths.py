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
