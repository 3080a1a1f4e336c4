"""Sessions as tables on a terminal. Draws with rich, which takes 60 ms to import: for people only."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kline_ops.cli import status_text as text
from kline_ops.cli.status_text import Record
from kline_ops.plain import duration

#: From these widths on there is room for a column.
_WIDE, _MIDDLE, _NARROW = 96, 60, 32
#: The titles of the table, and the rule below them.
_HEAD_LINES = 2


def show(records: list[Record], *, one: bool) -> None:
    """Print one session, or a table of all."""
    console = Console(highlight=False)
    console.print(_card(records[0]) if one else _list(records, console.width))


def watch(look: Callable[[], list[Record]], *, one: bool, every: float) -> None:
    """Draw what ``look`` answers every so many seconds, until Ctrl+C; the screen is as before then."""
    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(fitted(look(), console, one=one), refresh=True)
                time.sleep(every)
        except KeyboardInterrupt:
            return


def fitted(records: list[Record], console: Console, *, one: bool) -> RenderableType:
    """The same in no more lines than the screen has; where there would be more, it says so."""
    height = console.size.height
    if not one:
        return _fitted_list(records, console, height)
    card = _card(records[0])
    if len(console.render_lines(card, pad=False)) <= height:
        return card
    return _small_card(records[0], console, height)


def _small_card(record: Record, console: Console, height: int) -> RenderableType:
    """The word and the candles first, and no columns."""
    state = _state(record)
    told = dict(text.facts(record))
    first = [Text(told.pop("candles"))] if "candles" in told else []
    if record["reason"]:
        first.append(Text(record["reason"]))
    rest = [Text.assemble((f"{label}  ", "dim"), fact) for label, fact in told.items()]
    name = _cropped(record["name"], console.width - len(state) - 2)
    head = Text.assemble(name, "  ", state)
    return Group(head, *_as_fits([*first, *rest], console, height - 1))


def _fitted_list(records: list[Record], console: Console, height: int) -> RenderableType:
    """A line a session. What stands in the way of each is told in the lines that are left."""
    has_head = height >= _HEAD_LINES + 2
    room = height - _HEAD_LINES if has_head else height
    shown = records if len(records) <= room else records[: room - 1]
    table = _table(shown, console.width, crop=True)
    table.show_header = has_head
    if len(shown) < len(records):
        return Group(table, _more(len(records) - len(shown)))
    reasons = _reasons(records, console.width // 2)
    room -= len(records)
    if not reasons or not room:
        return table
    gap = [Text()] if room > 1 else []
    return Group(table, *gap, *_as_fits(reasons, console, room - len(gap)))


def _as_fits(blocks: Sequence[Text], console: Console, room: int) -> list[Text]:
    """As many of them, folded, as there are lines for; the last line says how many are not there."""
    folded = [list(block.wrap(console, console.width, overflow="fold")) for block in blocks]
    if sum(map(len, folded)) <= room:
        return [line for lines in folded for line in lines]
    shown: list[Text] = []
    count = 0
    for lines in folded:
        left = room - 1 - len(shown)
        shown += lines[:left]
        if len(lines) > left:
            break
        count += 1
    return [*shown, _more(len(blocks) - count)]


def _more(count: int) -> Text:
    return Text(f"… {count} more", style="dim")


def _cropped(name: str, width: int) -> Text:
    told = Text(name)
    told.truncate(max(1, width), overflow="ellipsis")
    return told


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
    reasons = _reasons(records)
    return Group(_table(records, width), *([Text(), *reasons] if reasons else []))


def _reasons(records: list[Record], longest_name: int | None = None) -> list[Text]:
    return [
        Text.assemble(
            (_cropped(record["name"], longest_name or len(record["name"])).plain, "bold"),
            f": {record['reason']}",
        )
        for record in records
        if record["reason"]
    ]


def _table(records: list[Record], width: int, *, crop: bool = False) -> Table:
    """``crop``: a line a session, whatever its name."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    # No name has a space, where it would be wrapped.
    table.add_column("session", overflow="ellipsis" if crop else "fold", style="bold")
    table.add_column("state", no_wrap=True)
    if width >= _MIDDLE:
        table.add_column("stream", overflow="fold", no_wrap=crop)
        table.add_column("last closed", no_wrap=True, justify="right")
    if width >= _WIDE:
        table.add_column("owed", no_wrap=True, justify="right")
        table.add_column("on disk", no_wrap=True, justify="right")
    if width >= _NARROW:
        table.add_column("missing", no_wrap=True, justify="right")
    for record in records:
        cells: list[RenderableType] = [Text(record["name"]), _state(record)]
        if width >= _MIDDLE:
            cells += [text.stream(record), _age(record)]
        if width >= _WIDE:
            cells += [f"{record['owed']:,}", f"{record['on_disk']:,}"]
        if width >= _NARROW:
            cells.append(f"{record['missing']:,}")
        table.add_row(*cells)
    return table


def _age(record: Record) -> str:
    age = record["last_candle_age_seconds"]
    if age is not None:
        return f"{duration(age)} ago"
    return record["last_candle"] or "-"
