"""Where this machine's sessions keep what they share."""

from __future__ import annotations

import os
from pathlib import Path

#: What tells where this machine's sessions and their files are.
PLACES = ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")


def nearest(path: Path) -> Path:
    """The path, or the nearest one above it that there is, as far as one may look. Never raises."""
    places = (path, *path.parents)
    # Path.exists raises PermissionError below a folder that may not be looked into.
    return next((place for place in places if os.path.exists(place)), places[-1])  # noqa: PTH110


def machine_folder() -> Path:
    """``~/.local/state/kline-ops``; XDG_STATE_HOME is honoured."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "kline-ops"
