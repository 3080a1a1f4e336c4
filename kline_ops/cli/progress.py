"""How far a long command has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

#: Without a terminal, a line each so many candles.
_EVERY = 50_000
#: Seconds between two drawings of a bar that no thread draws.
_DRAWN_EVERY = 0.1


class Meter:
    """Counts candles; made by :func:`meter`."""

    def __init__(self, what: str, bar: Progress | None) -> None:
        self._what = what
        self._bar = bar
        self._task = None if bar is None else bar.add_task(what, total=None)
        self._total = self._done = self._told = 0
        self._drawn_at = 0.0

    def begin(self, total: int) -> None:
        """So many are to be done."""
        self._total = total
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=total)

    def advance(self, candles: int) -> None:
        """So many more are done; fewer where something is done again."""
        self._done += candles
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done)
            if not self._bar.live.auto_refresh and time.monotonic() > self._drawn_at + _DRAWN_EVERY:
                self._drawn_at = time.monotonic()
                self._bar.refresh()
        elif self._done - self._told >= _EVERY:
            self._told = self._done
            typer.echo(f"{self._what}: {self._done} of {self._total}")


@contextmanager
def meter(what: str, *, quiet: bool = False, threads: bool = True) -> Iterator[Meter]:
    """Shows the progress while it is open.

    Args:
        quiet: stdout belongs to something else.
        threads: whether a thread may draw it; where not, it is drawn as things advance.
    """
    if not sys.stdout.isatty():
        yield Meter(what, None) if not quiet else _Silent(what, None)
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
    )
    console = Console(stderr=quiet)
    with progress.Progress(*columns, console=console, transient=True, auto_refresh=threads) as bar:
        yield Meter(what, bar)


class _Silent(Meter):
    def advance(self, candles: int) -> None:
        """Nothing: nobody looks."""
