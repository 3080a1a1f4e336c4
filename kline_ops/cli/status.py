"""``kline-ops status [NAME]``: imports no tmux, web, WebSocket or YAML library."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kline_ops.cli import status_text as text
from kline_ops.cli.options import AsJson, ConfigFile

if TYPE_CHECKING:
    from kline_ops.watch.registry import KnownSession
    from kline_ops.watch.verdict import Word

_NONE = "no session has been started here; begin with: kline-ops start demo"
_EVERY = 1.0
#: The words that somebody must do something about.
_TROUBLE = {"STALLED", "DEAD"}
#: What $TERM says of a terminal that can not be drawn on.
_NO_SCREEN = {"", "dumb", "unknown"}

Look = tuple["Word", text.Record]


def status(
    name: Annotated[str | None, typer.Argument(help="The session; all of them without.")] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again every second.")] = False,
) -> None:
    """How a session is, from evidence: its data, its process, its last words.

    Exit code 0 while it records, catches up or starts; 1 stalled; 3 stopped or dead; 4 unknown.
    Of all of them: 1 where one is stalled or dead, else 0.
    """
    look = _all if name is None else lambda: [_one(name, config)]
    if watch:
        _watch(look, one=name is not None, as_json=as_json)
        return
    looks = look()
    show(looks, one=name is not None, as_json=as_json)
    if code := looks[0][0].exit_code if name is not None else _code_of_all(looks):
        raise typer.Exit(code)


def _code_of_all(looks: list[Look]) -> int:
    from kline_ops.errors import EXIT_FINDING, EXIT_GOOD

    return EXIT_FINDING if any(word.value in _TROUBLE for word, _ in looks) else EXIT_GOOD


def show(looks: list[Look], *, one: bool, as_json: bool) -> None:
    """One session, or a list of them: JSON, a table on a terminal, text elsewhere."""
    records = [record for _, record in looks]
    if as_json:
        typer.echo(json.dumps(records[0] if one else records))
    elif not records:
        typer.echo(_NONE)
    elif sys.stdout.isatty():
        from kline_ops.cli import status_table

        status_table.show(records, one=one)
    elif one:
        typer.echo(text.one(records[0]))
    else:
        for line in text.many(records):
            typer.echo(line)


def _watch(look: Callable[[], list[Look]], *, one: bool, as_json: bool) -> None:
    """Until Ctrl+C. On a terminal the screen is drawn anew; elsewhere one look follows another."""

    def worst_first() -> list[Look]:
        return sorted(look(), key=lambda told: told[0].value not in _TROUBLE)

    draws = sys.stdout.isatty() and os.environ.get("TERM", "").lower() not in _NO_SCREEN
    if draws and not as_json:
        from kline_ops.cli import status_table

        status_table.watch(lambda: [record for _, record in worst_first()], one=one, every=_EVERY)
        return
    while True:
        show(look() if as_json else worst_first(), one=one, as_json=as_json)
        sys.stdout.flush()
        time.sleep(_EVERY)


def _all() -> list[Look]:
    from kline_ops.clock import SystemClock
    from kline_ops.watch.registry import sessions
    from kline_ops.watch.status import look

    now_ms = SystemClock().wall_ms()
    return [look(known, now_ms) for known in sessions()]


def _one(name: str, config: Path | None) -> Look:
    from kline_ops.clock import SystemClock
    from kline_ops.watch.status import look

    return look(_find(name, config), SystemClock().wall_ms())


def _find(name: str, config: Path | None) -> KnownSession:
    if config is None:
        from kline_ops.watch.registry import find_session

        return find_session(name)
    from kline_ops.cli.known import known_session

    return known_session(name, config)
