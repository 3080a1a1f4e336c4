"""Sessions as tables on a terminal. Draws with rich, which takes 60 ms to import: for people only."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kline_ops.cli import status_text as text
from kline_ops.cli.status_text import Record
from kline_ops.plain import duration

#: From these widths on there is room for a column.
_WIDE, _MIDDLE = 96, 60


def show(records: list[Record], *, one: bool) -> None:
    """Print one session, or a table of all."""
    console = Console(highlight=False)
    console.print(_view(records, console.width, one=one))


def watch(look: Callable[[], list[Record]], *, one: bool, every: float) -> None:
    """Draw what ``look`` answers every so many seconds, until Ctrl+C; the screen is as before then."""
    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(_view(look(), console.width, one=one), refresh=True)
                time.sleep(every)
        except KeyboardInterrupt:
            return


def _view(records: list[Record], width: int, *, one: bool) -> RenderableType:
    return _card(records[0]) if one else _list(records, width)


def _state(record: Record) -> Text:
    return Text(record["state"], style=f"bold {text.COLOURS[record['state']]}")


def _card(record: Record) -> RenderableType:
    """A session: the word, why, and what is known."""
    head = Text.assemble(record["name"], "  ", _state(record))
    if record["reason"]:
        head.append(f"  {record['reason']}")
    rows = Table.grid(padding=(0, 2, 0, 0))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    for label, told in text.facts(record):
        rows.add_row(f"  {label}", Text(told))
    return Group(head, rows)


def _list(records: list[Record], width: int) -> RenderableType:
    """A row a session; what stands in the way of one is told below the table, whole."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column("session", overflow="fold", style="bold")
    table.add_column("state", no_wrap=True)
    if width >= _MIDDLE:
        table.add_column("stream", overflow="fold")
        table.add_column("last closed", no_wrap=True, justify="right")
    if width >= _WIDE:
        table.add_column("owed", no_wrap=True, justify="right")
        table.add_column("on disk", no_wrap=True, justify="right")
    table.add_column("missing", no_wrap=True, justify="right")
    for record in records:
        cells: list[RenderableType] = [Text(record["name"]), _state(record)]
        if width >= _MIDDLE:
            cells += [text.stream(record), _age(record)]
        if width >= _WIDE:
            cells += [f"{record['owed']:,}", f"{record['on_disk']:,}"]
        table.add_row(*cells, f"{record['missing']:,}")
    reasons = [
        Text.assemble((f"{record['name']}: ", "bold"), record["reason"])
        for record in records
        if record["reason"]
    ]
    return Group(table, *([Text(), *reasons] if reasons else []))


def _age(record: Record) -> str:
    age = record["last_candle_age_seconds"]
    if age is not None:
        return f"{duration(age)} ago"
    return record["last_candle"] or "-"
