"""How far a long command has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

#: Without a terminal, a line each so many candles.
_EVERY = 50_000


class Meter:
    """Counts candles; made by :func:`meter`."""

    def __init__(self, what: str, bar: Progress | None) -> None:
        self._what = what
        self._bar = bar
        self._task = None if bar is None else bar.add_task(what, total=None)
        self._total = self._done = self._told = 0

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
        elif self._done - self._told >= _EVERY:
            self._told = self._done
            typer.echo(f"{self._what}: {self._done} of {self._total}")


@contextmanager
def meter(what: str, *, quiet: bool = False) -> Iterator[Meter]:
    """Shows the progress while it is open. ``quiet``: stdout belongs to something else."""
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
    with progress.Progress(*columns, console=Console(stderr=quiet), transient=True) as bar:
        yield Meter(what, bar)


class _Silent(Meter):
    def advance(self, candles: int) -> None:
        """Nothing: nobody looks."""
