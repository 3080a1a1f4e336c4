"""What each place says of a config, and who has the last word on a key.

A place is a preset, a file, or a variable of the environment. Sections are merged; of anything else (a
list, too) the later place has the last word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kline_ops.config.yaml_text import Lines

Tree = dict[str, Any]

_QUOTED = re.compile(r"'[^']*'")


@dataclass(frozen=True, slots=True)
class Layer:
    """What one place says."""

    tree: Tree
    #: As errors name it: a path, or ``the environment: KLINE_OPS__RECORD__GRACE``.
    where: str
    #: As ``config show`` names it: ``config/binance.yml``, ``websocket.preset trading``.
    origin: str
    #: The file, where it is one.
    path: Path | None = None
    lines: Lines | None = None
    #: Was it encrypted, or left out for being so?
    encrypted: bool = False

    def has(self, keys: Sequence[str]) -> bool:
        """Does it say anything of this key?"""
        node: Any = self.tree
        for key in keys:
            if not isinstance(node, dict) or key not in node:
                return False
            node = node[key]
        return True

    def hushed(self, told: str) -> str:
        """The words of an error, without what they quote where it may be a secret."""
        return _QUOTED.sub("…", told) if self.encrypted else told

    def place(self, keys: Sequence[str]) -> str:
        """Where it speaks of a key, or of the section that the key would be in."""
        line = self.lines.nearest(keys) if self.lines else None
        return f"{self.where} line {line}" if line else self.where

    def origin_of(self, keys: Sequence[str]) -> str:
        """The same, in short."""
        line = self.lines.nearest(keys) if self.lines else None
        return f"{self.origin}:{line}" if line else self.origin


def merged(layers: Iterable[Layer]) -> Tree:
    """All of them together, the lowest first."""
    tree: Tree = {}
    for layer in layers:
        tree = _merged(tree, layer.tree)
    return tree


def origin(layers: Sequence[Layer], keys: Sequence[str]) -> Layer | None:
    """Who has the last word on a key; None: nobody speaks of it."""
    return next((layer for layer in reversed(layers) if layer.has(keys)), None)


def _merged(below: Tree, above: Tree) -> Tree:
    """A new tree: an alias may stand for a part of either elsewhere."""
    both = dict(below)
    for key, value in above.items():
        there = both.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            value = _merged(there, value)  # noqa: PLW2901
        both[key] = value
    return both
