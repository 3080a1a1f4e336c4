"""A state file as it is found at one moment, whoever writes it, and however."""

from __future__ import annotations

import json
import time
from pathlib import Path

from kline_ops.watch.files import read_small
from kline_ops.watch.staleness import Sight

#: A file that is written in place is torn, or away, for a moment only.
_AGAIN = 0.1
#: More than that is no state file.
_MOST = 1 << 20


def sight_of(path: Path) -> Sight:
    """Read a state file; never raises. One that is not whole is looked at again a moment later."""
    sight = _look(path)
    if sight.content is None:
        time.sleep(_AGAIN)
        sight = _look(path)
    return sight


def _look(path: Path) -> Sight:
    try:
        text, told = read_small(path, _MOST)
    except (FileNotFoundError, NotADirectoryError):
        return Sight(None, is_there=False)
    except OSError as error:
        return Sight(None, problem=f"its state file can not be read: {error.strerror}")
    mark = f"{told.st_ino}:{told.st_mtime_ns}:{told.st_size}"
    written_ms = told.st_mtime_ns // 1_000_000
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        return Sight(None, problem="its state file is torn", mark=mark, written_ms=written_ms)
    return Sight(content, mark=mark, written_ms=written_ms)
