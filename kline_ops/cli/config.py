"""``kline-ops config check|show NAME``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from kline_ops.cli.options import ConfigFile, NewName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kline_ops.config.command import CommandSettings
    from kline_ops.config.load import Loaded
    from kline_ops.config.settings import Settings

app = typer.Typer(help="Look at a session's config.", no_args_is_help=True)


@app.command("check")
def check(name: NewName, config: ConfigFile = None) -> None:
    """Say whether a config can be used; else all that is wrong with it, a line each (exit 2)."""
    from kline_ops.cli.given import printable
    from kline_ops.config.command import CommandSettings
    from kline_ops.config.settings import examine
    from kline_ops.errors import EXIT_USAGE, ConfigError
    from kline_ops.secret import redacted

    def tell(word: str, text: str) -> None:
        typer.echo(printable(" ".join(redacted(f"{word}: {text}").split())), err=True)

    examined = examine(name, config)
    problems, session = [*examined.problems], examined.session
    if session is not None:
        try:
            _check_machine(session)
        except ConfigError as error:
            problems.append(error)
    for problem in problems:
        tell("error", problem.one_line())
    for warning in (*examined.warnings, *_open_files(examined.loaded)):
        tell("warning", warning)
    for note in examined.notes:
        tell("note", note)
    if problems or session is None:
        raise typer.Exit(EXIT_USAGE)
    what = "a command"
    if not isinstance(session, CommandSettings):
        what = f"{session.stream.symbol} {session.stream.interval}"
    typer.echo(printable(f"{session.path} is good: {what}"))


@app.command("show")
def show(name: NewName, config: ConfigFile = None) -> None:
    """Print a config as it is used, each value with where it comes from."""
    from kline_ops.cli.given import printable
    from kline_ops.config.settings import examine
    from kline_ops.config.shown import shown

    examined = examine(name, config)
    if examined.session is None:
        raise examined.problems[0]
    for line in shown(examined.loaded, examined.session):
        typer.echo(printable(line))


def _check_machine(session: Settings | CommandSettings) -> None:
    """What this machine has to have for it. Raises ConfigError."""
    import os

    from kline_ops.alerts.routes import check_alerts
    from kline_ops.config.command import CommandSettings
    from kline_ops.config.trust import check_trust
    from kline_ops.ops import commands

    if isinstance(session, CommandSettings):
        commands.check(session, os.environ)
    else:
        check_trust(session, os.environ)
    check_alerts(session.config)


def _open_files(loaded: Loaded) -> Iterator[str]:
    """Files with secrets in clear text that others may read."""
    from kline_ops.config.notices import secret_files
    from kline_ops.ops.machine import modes
    from kline_ops.watch.doctor import Level, secrets

    for finding in secrets(modes(secret_files(loaded))):
        if finding.level is not Level.OK:
            yield f"{finding.told}: {finding.advice}"
