"""What is told of sessions, as text: for pipes, and for terminals before a library draws it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import typer

from kline_ops.plain import duration

Record = dict[str, Any]

COLOURS = {
    "RECORDING": "green",
    "RUNNING": "green",
    "CATCHING_UP": "yellow",
    "STARTING": "yellow",
    "STALLED": "red",
    "DEAD": "red",
    "STOPPED": "white",
}
#: Seconds that a clock may be off without a word.
_NOTABLE_SKEW = 1.0
_TITLES = ["session", "state", "stream", "last candle", "owed", "on disk", "missing"]
#: The columns from here on are numbers.
_FIRST_COUNT = 4


def one(record: Record) -> str:
    """A session, with a line for each thing that is known of it."""
    state = typer.style(record["state"], fg=COLOURS[record["state"]], bold=True)
    head = f"{record['name']}  {state}" + (f"  {record['reason']}" if record["reason"] else "")
    return "\n".join([head, *(f"  {label:<12} {text}" for label, text in facts(record))])


def many(records: Iterable[Record]) -> Iterator[str]:
    """One line a session, as wide as it needs: what a narrow terminal would cut off can not be read."""
    rows = [_TITLES, *(_cells(record) for record in records)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if place < _FIRST_COUNT else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        if row is _TITLES:
            yield typer.style("  ".join(cells), bold=True)
            continue
        cells[1] = typer.style(cells[1], fg=COLOURS[row[1]])
        yield "  ".join(cells)


def facts(record: Record) -> list[tuple[str, str]]:
    """Labels, and what is known; nothing of what is not."""
    rows = _of_command(record) if record["command"] else _of_recording(record)
    return [(label, text) for label, text in rows if text]


def stream(record: Record) -> str:
    """What it records."""
    return f"{record['symbol']} {record['interval']}" if record["symbol"] else "(a command)"


def _cells(record: Record) -> list[str]:
    counts = (f"{record[key]:,}" for key in ("owed", "on_disk", "missing"))
    last = record["last_candle"] or "-"
    return [record["name"], record["state"], stream(record), last, *counts]


def _of_command(record: Record) -> list[tuple[str, Any]]:
    return [
        ("command", record["command"]),
        ("process", _process(record)),
        ("log", record["log"]),
    ]


def _of_recording(record: Record) -> list[tuple[str, Any]]:
    age = record["last_candle_age_seconds"]
    last = record["last_candle"] or "none yet"
    if age is not None:
        last += f", closed {duration(age)} ago"
    restarts = f"{record['restarts_planned']} planned, {record['reconnects']} unplanned"
    if record["next_restart"]:
        restarts += f", next {record['next_restart']}"
    counts = (
        f"{record['owed']:,} owed, {record['on_disk']:,} on disk, {record['missing']:,} missing"
    )
    under_way = record["owed"] - record["on_disk"] - record["missing"]
    if under_way > 0:
        # Closed within `grace`, or on the way to the disk.
        counts += f", {under_way:,} on the way"
    return [
        ("stream", f"{stream(record)} from {record['endpoint']}"),
        ("last candle", last),
        ("next due", record["next_due"]),
        ("candles", counts),
        ("restarts", restarts),
        ("clock", _clock(record)),
        ("process", _process(record)),
        ("file", record["csv"]),
    ]


def _process(record: Record) -> str:
    up = record["uptime_seconds"]
    return f"pid {record['pid']}, up {duration(up)}" if up is not None and record["pid"] else ""


def _clock(record: Record) -> str:
    skew = record["clock_skew_seconds"]
    if not isinstance(skew, int | float) or abs(skew) <= _NOTABLE_SKEW:
        return ""
    return f"{abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} the exchange's"
