"""``kline-ops status [NAME]``: imports no tmux, web, WebSocket or YAML library."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kline_ops.cli.options import AsJson, ConfigFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kline_ops.watch.registry import KnownSession
    from kline_ops.watch.verdict import Word

_COLOURS = {
    "RECORDING": "green",
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


def status(
    name: Annotated[str | None, typer.Argument(help="The session; all of them without.")] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again every second.")] = False,
) -> None:
    """How a session is, from evidence: its data, its process, its last words.

    Exit code 0 while it records, catches up or starts; 1 stalled; 3 stopped or dead; 4 unknown.
    """
    while True:
        word = _show(name, config, as_json=as_json)
        if not watch:
            break
        time.sleep(1.0)
        typer.echo("\033[2J\033[H", nl=False)
    if word is not None and word.exit_code:
        raise typer.Exit(word.exit_code)


def _show(name: str | None, config: Any, *, as_json: bool) -> Word | None:
    from kline_ops.clock import SystemClock
    from kline_ops.watch.registry import sessions
    from kline_ops.watch.status import look

    now_ms = SystemClock().wall_ms()
    if name is None:
        show_all([look(known, now_ms)[1] for known in sessions()], as_json=as_json)
        return None
    word, record = look(_find(name, config), now_ms)
    typer.echo(json.dumps(record) if as_json else _text(record))
    return word


def _find(name: str, config: Any) -> KnownSession:
    if config is None:
        from kline_ops.watch.registry import find_session

        return find_session(name)
    from kline_ops.cli.known import known_session

    return known_session(name, config)


def show_all(records: list[dict[str, Any]], *, as_json: bool) -> None:
    """A table of sessions, or a JSON list of what ``status NAME --json`` prints."""
    if as_json:
        typer.echo(json.dumps(records))
        return
    if not records:
        typer.echo("no session has been started here; begin with: kline-ops start demo")
        return
    for line in _table([_TITLES, *(_cells(record) for record in records)]):
        typer.echo(line)


def _cells(record: dict[str, Any]) -> list[str]:
    stream = f"{record['symbol']} {record['interval']}"
    counts = (f"{record[key]:,}" for key in ("owed", "on_disk", "missing"))
    return [record["name"], record["state"], stream, record["last_candle"] or "-", *counts]


def _table(rows: list[list[str]]) -> Iterator[str]:
    """One line a session, as wide as it needs: what a narrow terminal would cut off can not be read."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if place < _FIRST_COUNT else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        if row is _TITLES:
            yield typer.style("  ".join(cells), bold=True)
            continue
        cells[1] = typer.style(cells[1], fg=_COLOURS[row[1]])
        yield "  ".join(cells)


def _text(record: dict[str, Any]) -> str:
    state = typer.style(record["state"], fg=_COLOURS[record["state"]], bold=True)
    lines = [f"{record['name']}  {state}" + (f"  {record['reason']}" if record["reason"] else "")]
    age = record["last_candle_age_seconds"]
    last = record["last_candle"] or "none yet"
    if age is not None:
        last += f", closed {_duration(age)} ago"
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
    rows = [
        ("stream", f"{record['symbol']} {record['interval']} from {record['endpoint']}"),
        ("last candle", last),
        ("next due", record["next_due"]),
        ("candles", counts),
        ("restarts", restarts),
        ("clock", _clock(record)),
        ("process", _process(record)),
        ("file", record["csv"]),
    ]
    lines += [f"  {label:<12} {text}" for label, text in rows if text]
    return "\n".join(lines)


def _process(record: dict[str, Any]) -> str:
    up = record["uptime_seconds"]
    return f"pid {record['pid']}, up {_duration(up)}" if up is not None and record["pid"] else ""


def _clock(record: dict[str, Any]) -> str:
    skew = record["clock_skew_seconds"]
    if not isinstance(skew, int | float) or abs(skew) <= _NOTABLE_SKEW:
        return ""
    return f"{abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} the exchange's"


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 120:
        return f"{seconds:.0f} s"
    if whole < 7200:
        return f"{whole // 60} min"
    if whole < 172_800:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
