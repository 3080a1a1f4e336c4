"""All that is wrong with a config, so that it can be told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from kline_ops.config.load import Loaded
from kline_ops.errors import ConfigError

T = TypeVar("T")
S = TypeVar("S")


class Faults:
    """Gathers errors while the rest is looked at."""

    def __init__(self, known: Iterable[ConfigError]) -> None:
        self._known = tuple(known)
        self._found: list[ConfigError] = []

    def add(self, error: ConfigError) -> None:
        """One more."""
        self._found.append(error)

    def tried(self, part: Callable[[], T], otherwise: S) -> T | S:
        """What a part comes to; ``otherwise`` where it can not be."""
        try:
            return part()
        except ConfigError as error:
            self.add(error)
            return otherwise

    def placed(self, loaded: Loaded) -> tuple[ConfigError, ...]:
        """All of them, with their places; a key that is wrong by itself is told once."""
        told = {error.field.partition("[")[0] for error in self._known}
        found = [loaded.placed(error) for error in self._found if error.field not in told]
        return (*self._known, *found)
