"""What a terminal can show, by its environment, and the characters that follow from it.

Sources: ``NO_COLOR`` (no-color.org: set and not empty), terminfo's ``colors``, and the locale's
variables in the order of locale(7).
"""

from __future__ import annotations

import curses
from collections.abc import Mapping
from dataclasses import dataclass

from rich import box

#: What Python sets ``LC_CTYPE`` to by itself in the C locale (PEP 538): it says nothing of the terminal.
_COERCED = frozenset({"C.UTF-8", "C.utf8", "UTF-8"})
_C = frozenset({"", "C", "POSIX"})
#: Terminals that cannot move the cursor.
_DUMB = frozenset({"", "dumb", "unknown"})


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of one kind of terminal."""

    frame: box.Box
    up: str
    down: str
    same: str
    dot: str
    between: str
    cut: str
    missing: str
    #: By what is in the upper and in the lower half of a cell: 0 nothing, 1 wick, 2 body.
    hollow: Mapping[tuple[int, int], str]
    solid: Mapping[tuple[int, int], str]
    #: From the least to the most.
    levels: str


def _ascii_cells(body: str) -> dict[tuple[int, int], str]:
    pairs = [(upper, lower) for upper in range(3) for lower in range(3)]
    return {pair: " |"[max(pair)] if max(pair) < 2 else body for pair in pairs}


_WICKS = {(0, 0): " ", (1, 1): "│", (0, 1): "╷", (1, 0): "╵"}
UNICODE = Glyphs(
    frame=box.ROUNDED,
    up="▲",
    down="▼",
    same="=",
    dot="●",
    between=" · ",
    cut="…",
    missing="┊",
    # There is no half of a double line: a hollow body is drawn to the next whole cell.
    hollow={**_WICKS, **dict.fromkeys([(2, 2), (1, 2), (2, 1), (0, 2), (2, 0)], "║")},
    solid={**_WICKS, (2, 2): "┃", (1, 2): "╽", (2, 1): "╿", (0, 2): "╻", (2, 0): "╹"},
    levels="▁▂▃▄▅▆▇█",
)
ASCII = Glyphs(
    frame=box.ASCII,
    up="^",
    down="v",
    same="=",
    dot="*",
    between=" - ",
    cut="~",
    missing=":",
    hollow=_ascii_cells("O"),
    solid=_ascii_cells("#"),
    levels="_.-=#",
)


@dataclass(frozen=True, slots=True)
class Look:
    """What to draw with."""

    glyphs: Glyphs
    colour: bool


def look_of(environ: Mapping[str, str]) -> Look | None:
    """How to draw on the terminal of this environment; None where only plain lines will do."""
    term = environ.get("TERM", "")
    if term in _DUMB:
        return None
    colour = not environ.get("NO_COLOR") and _colours(term) >= 8
    return Look(UNICODE if _is_utf8(environ) else ASCII, colour)


def _is_utf8(environ: Mapping[str, str]) -> bool:
    language = environ.get("LANG", "")
    ctype = environ.get("LC_CTYPE", "")
    if ctype in _COERCED and language in _C:
        ctype = ""
    told = environ.get("LC_ALL") or ctype or language
    return "UTF8" in told.upper().replace("-", "")


def _colours(term: str) -> int:
    try:
        curses.setupterm(term, 1)
    except curses.error:
        return 8  # not in this machine's list: nearly all that are made today have them
    return curses.tigetnum("colors")
