"""``kline-ops logs NAME``: from files, so that it works after the session died too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kline_ops.cli.options import AsJson, ConfigFile, Name
from kline_ops.errors import InputError

if TYPE_CHECKING:
    from kline_ops.observe.lines import Reader, Wanted
    from kline_ops.watch.registry import KnownSession

#: Lines that are shown where nobody says how many.
_LINES = 50
_AGO = re.compile(r"([0-9]{1,9})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def logs(  # noqa: PLR0913, PLR0917 - Typer's way to have options
    name: Name,
    config: ConfigFile = None,
    lines: Annotated[
        int | None,
        typer.Option("-n", "--lines", help="How many; 50, or all --since T.", min=0),
    ] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as it grows.")] = False,
    since: Annotated[
        str | None, typer.Option(metavar="T", help="From then on: 30s, 10m, 2h, 3d, or UTC.")
    ] = None,
    events: Annotated[bool, typer.Option("--events", help="The event log instead.")] = False,
    level: Annotated[
        str | None, typer.Option(metavar="L", help="From debug, info, warning or error on.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The last lines of a session's log, exactly as many as asked for."""
    from kline_ops.cli.known import known_session
    from kline_ops.observe.lines import Wanted

    known = known_session(name, config)
    wanted = Wanted(_since(since), _level(level))
    if not (known.symbol or events) and wanted != Wanted():
        raise InputError(
            f"{name} is a command: its lines say neither time nor level",
            hint=f"kline-ops logs {name} -n 100",
        )
    path = Path(known.events_file if events else known.log_file)
    count = _LINES if lines is None and since is None else lines
    try:
        _show(name, path, _reader(known, events=events, as_json=as_json), wanted, count, follow)
    except OSError as error:
        raise InputError(
            f"cannot read {error.filename or path}: {error.strerror}", hint=f"ls -l {path}*"
        ) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _show(
    name: str, path: Path, read: Reader, wanted: Wanted, count: int | None, follow: bool
) -> None:
    import sys

    from kline_ops.cli.given import printable
    from kline_ops.observe.lines import Coming, newest
    from kline_ops.watch.tail import Tail

    with Tail(path, whole=follow) as tail:
        if not follow and next(tail.backwards(), None) is None:
            problem = "is empty" if path.exists() else "does not exist yet"
            raise InputError(f"{path} {problem}", hint=f"kline-ops status {name}")
        for text in newest((map(read, lines) for lines in tail.files()), wanted, count):
            sys.stdout.write(printable(text) + "\n")
        sys.stdout.flush()
        if follow:
            coming = Coming(wanted)
            for line in tail.follow():
                for text in coming.take(read(line)):
                    sys.stdout.write(printable(text) + "\n")
                sys.stdout.flush()


def _reader(known: KnownSession, *, events: bool, as_json: bool) -> Reader:
    import sys

    from kline_ops.observe import lines

    reader: Reader
    if events:
        reader = lines.read_event
    elif known.symbol:
        reader = lines.read_record
    else:
        reader = lines.read_output
    if as_json:
        reader = lines.as_it_is(reader)
    return lines.harmless(reader) if sys.stdout.isatty() else reader


def _since(text: str | None) -> int | None:
    """``10m`` ago, or a time, in milliseconds since the epoch."""
    from kline_ops.clock import SystemClock
    from kline_ops.market import timestamp

    if text is None:
        return None
    if ago := _AGO.fullmatch(text):
        return SystemClock().wall_ms() - int(ago[1]) * _SECONDS[ago[2]] * 1000
    try:
        return timestamp.to_ms(text)
    except ValueError:
        raise InputError(
            f"--since {text!r}: not a time", hint="30s, 10m, 2h, 3d or 2026-01-27T14:00:00Z"
        ) from None


def _level(word: str | None) -> int | None:
    from kline_ops.observe.lines import LEVELS

    if word is None:
        return None
    if (level := LEVELS.get(word.lower())) is None:
        raise InputError(f"--level {word!r}: no level", hint=", ".join(LEVELS))
    return level
