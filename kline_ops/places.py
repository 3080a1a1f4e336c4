"""Where this machine's sessions keep what they share."""

from __future__ import annotations

import os
from pathlib import Path

#: What tells where this machine's sessions and their files are.
PLACES = ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
#: What tells where the keys to encrypted configs are.
KEYS = ("SOPS_AGE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_FILE", "GNUPGHOME")


def nearest(path: Path) -> Path:
    """The path, or the nearest one above it that there is, as far as one may look. Never raises."""
    places = (path, *path.parents)
    # Path.exists raises PermissionError below a folder that may not be looked into.
    return next((place for place in places if os.path.exists(place)), places[-1])  # noqa: PTH110


def absolute(path: str) -> str:
    """As it is found from another folder, too. A home that there is not stays as it is named."""
    # Path.expanduser raises RuntimeError there.
    return str(Path(os.path.expanduser(path)).absolute())  # noqa: PTH111


def machine_folder() -> Path:
    """``~/.local/state/kline-ops``; XDG_STATE_HOME is honoured."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "kline-ops"
