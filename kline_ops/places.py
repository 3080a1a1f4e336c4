"""Where this machine's sessions keep what they share."""

from __future__ import annotations

import os
from pathlib import Path

#: What tells where this machine's sessions and their files are.
PLACES = ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")


def machine_folder() -> Path:
    """``~/.local/state/kline-ops``; XDG_STATE_HOME is honoured."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "kline-ops"
