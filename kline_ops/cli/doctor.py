"""``kline-ops doctor [NAME]``: does this machine have what a session needs?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kline_ops.cli.options import AsJson, ConfigFile

if TYPE_CHECKING:
    from kline_ops.config.command import CommandSettings
    from kline_ops.config.settings import Settings
    from kline_ops.ops.machine import Look
    from kline_ops.watch.doctor import Finding, Kept
    from kline_ops.watch.registry import KnownSession

#: Seconds for everything, whatever hangs.
_PATIENCE = 8.0
#: Of these, for the decryption of a config's secrets.
_TO_DECRYPT = 5.0
#: Columns for a text, at the least, before it begins further left, by so many.
_NARROW, _INDENT = 30, 6
_COLOURS = {"ok": "green", "warn": "yellow", "FAIL": "red"}


def doctor(
    name: Annotated[
        str | None, typer.Argument(help="The session; else the machine and all sessions.")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Look at what a session needs: this machine, its config, its disk, the way to its exchange.

    Answers within ten seconds. Exit code 1 where a line says FAIL.
    """
    import json
    import os

    from kline_ops.errors import EXIT_FINDING, EXIT_GOOD
    from kline_ops.ops.machine import gather
    from kline_ops.watch.doctor import Level

    looks = _of_all() if name is None else _of_session(name, config)
    found = gather(looks, _PATIENCE)
    failed = any(finding.level is Level.FAIL for finding in found)
    if as_json:
        told = {"good": not failed, "findings": [_record(finding) for finding in found]}
        typer.echo(json.dumps(told))
    else:
        _print(found)
    import sys

    sys.stdout.flush()
    # Not an ordinary end: a resolver that hangs in a library's thread would be waited for.
    os._exit(EXIT_FINDING if failed else EXIT_GOOD)


def _of_session(name: str, config: Path | None) -> list[tuple[str, Look]]:
    """Raises ConfigError where there is nothing to look at: no such name, no such file."""
    from kline_ops.config.command import CommandSettings
    from kline_ops.config.load import find
    from kline_ops.config.settings import load_session
    from kline_ops.errors import ConfigError
    from kline_ops.ops.machine import machine_looks
    from kline_ops.watch.doctor import Kept, failure, good
    from kline_ops.watch.registry import sessions

    known = [session for session in sessions() if session.name == name]
    path = find(name, config or next((Path(session.config) for session in known), None))
    try:
        settings = load_session(name, path, patience=_TO_DECRYPT)
    except ConfigError as error:
        bad = failure("config", str(error), error.hint or f"kline-ops config check {name}")
        looks = machine_looks(_sockets(known), _kept(known) or [Kept(name)])
        return [*looks, ("config", lambda: [bad]), *_untold(known)]
    kept = Kept(name, records=not isinstance(settings, CommandSettings))
    return [
        *machine_looks(_sockets(known, settings.config.ops.tmux_socket), [kept]),
        ("config", lambda: [good("config", str(settings.path))]),
        *_files(settings),
        *_untold(known),
        *_ways(settings),
    ]


def _untold(known: Sequence[KnownSession]) -> list[tuple[str, Look]]:
    """A session that records, and tells nobody."""
    from kline_ops.clock import SystemClock
    from kline_ops.watch.doctor import without_alerts
    from kline_ops.watch.status import look

    def judged() -> list[Finding]:
        now_ms = SystemClock().wall_ms()
        records = [look(session, now_ms)[1] for session in known]
        return [
            finding
            for record in records
            for finding in without_alerts(record["name"], record["lacks_secrets"])
        ]

    return [("alerts", judged)]


def _sockets(known: Sequence[KnownSession], configured: str | None = None) -> list[Path]:
    """Those of the tmux servers that sessions were started in; else where one would be."""
    import os

    from kline_ops.config.model import Ops
    from kline_ops.ops.tmux_socket import socket_path, tmpdir

    here = tmpdir(os.environ)
    used = [
        socket_path(Path(session.tmux_tmpdir) if session.tmux_tmpdir else here, session.tmux_socket)
        for session in known
    ]
    if configured is not None or not used:
        used.append(socket_path(here, configured or Ops().tmux_socket))
    return list(dict.fromkeys(used))


def _kept(known: Sequence[KnownSession]) -> list[Kept]:
    from kline_ops.watch.doctor import Kept

    return [Kept(session.name, records=not session.command) for session in known]


def _files(settings: Settings | CommandSettings) -> list[tuple[str, Look]]:
    from kline_ops.ops.machine import modes, writable
    from kline_ops.places import nearest
    from kline_ops.watch.doctor import disk, secrets
    from kline_ops.watch.status import free_bytes

    folder, rate = settings.data_dir, _bytes_per_day(settings)
    own = [folder / "session.env", *settings.secret_files]
    return [
        ("data_dir", lambda: [writable("data_dir", folder)]),
        ("disk", lambda: [disk(str(folder), free_bytes(nearest(folder)), rate)]),
        ("secrets", lambda: secrets(modes(own))),
    ]


def _bytes_per_day(settings: Settings | CommandSettings) -> float:
    """What the candle file and the event log grow by."""
    from kline_ops.config.settings import Settings
    from kline_ops.resilience.time_trigger import parse_modulo

    if not isinstance(settings, Settings):
        return 0.0
    day_ms = 86_400_000
    row = 200 if settings.config.record.columns == "full" else 90
    rotation = settings.rotation
    # A planned restart is four events; a few of other kinds come in any case.
    restarts = day_ms / parse_modulo(rotation.modulo) if rotation else 1.0
    return row * day_ms / settings.stream.interval.typical_ms + 800 * (restarts + 10)


def _ways(settings: Settings | CommandSettings) -> list[tuple[str, Look]]:
    """To the exchange; the embedded one, and a command, need none."""
    from kline_ops.config.settings import Settings
    from kline_ops.ops.reach import rest_address, stream_addresses

    if not isinstance(settings, Settings) or settings.ws_url is None:
        return []
    urls = (settings.ws_url, *settings.failover_urls)
    ways: list[tuple[str, Look]] = [("stream", lambda: stream_addresses(urls))]
    if (rest := settings.rest_url) is not None:
        ways.append(("rest", lambda: rest_address(rest)))
    return ways


def _of_all() -> list[tuple[str, Look]]:
    """The machine, the clock against the usual exchange, and a line on each known session."""
    from kline_ops.config.venues import VENUES
    from kline_ops.ops.machine import machine_looks
    from kline_ops.ops.reach import rest_address
    from kline_ops.watch.registry import sessions

    known = sessions()
    return [
        *machine_looks(_sockets(known), _kept(known)),
        ("rest", lambda: rest_address(VENUES["mainnet"].rest_url)),
        *((session.name, lambda session=session: _briefly(session)) for session in known),
    ]


def _briefly(session: KnownSession) -> list[Finding]:
    """The worst that is to be said of a session."""
    from kline_ops.config.settings import load_session
    from kline_ops.errors import ConfigError
    from kline_ops.watch.doctor import Level, failure, good

    try:
        settings = load_session(session.name, Path(session.config), patience=_TO_DECRYPT)
    except ConfigError as error:
        return [failure(session.name, str(error), error.hint or "see its config")]
    found = [finding for _, look in _files(settings) for finding in look()]
    for level in (Level.FAIL, Level.WARN):
        for finding in found:
            if finding.level is level:
                told = f"{finding.what}: {finding.told}"
                return [type(finding)(session.name, level, told, finding.advice)]
    return [good(session.name, f"its config and its disk are well ({settings.data_dir})")]


def _record(finding: Finding) -> dict[str, str]:
    return {
        "what": finding.what,
        "level": finding.level.value.lower(),
        "told": finding.told,
        "advice": finding.advice,
    }


def _print(found: list[Finding]) -> None:
    import shutil
    import sys

    from kline_ops.cli.given import printable

    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    width = max(len(finding.what) for finding in found)
    for finding in found:
        word = finding.level.value.ljust(4)
        first, *more = _lines(f"{word}  {finding.what.ljust(width)}  ", finding.told, columns)
        word = typer.style(word, fg=_COLOURS[finding.level.value])
        advice = _lines(" " * (width + 8), f"Try: {finding.advice}", columns)
        for line in (f"{word}{first[4:]}", *more, *(advice if finding.advice else [])):
            typer.echo(printable(line))


def _lines(prefix: str, text: str, columns: int | None) -> list[str]:
    """Broken at blanks to fit into so many columns, below one another; where it is narrow, below all."""
    import textwrap

    if columns is None:
        return [f"{prefix}{text}"]
    indent = len(prefix) if columns - len(prefix) >= _NARROW else _INDENT
    below = " " * indent
    lines = textwrap.wrap(
        text,
        columns,
        initial_indent=prefix if prefix.strip() else below,
        subsequent_indent=below,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [prefix]
