"""Small JSON files that are whole at every moment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def write_json(path: Path, value: Json) -> None:
    """Replace a file: write beside it, sync, rename, sync the folder. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def section(value: Json | None, key: str) -> Json:
    """The object under a key; empty where there is none."""
    inner = (value or {}).get(key)
    return inner if isinstance(inner, dict) else {}


def read_json(path: Path) -> Json | None:
    """The object in a file; None where there is none, or it is torn."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
