"""``kline-ops restart NAME``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kline_ops.cli.options import ConfigFile, Name, finite

if TYPE_CHECKING:
    from kline_ops.config.settings import Settings
    from kline_ops.watch.registry import KnownSession


def restart(
    name: Name,
    config: ConfigFile = None,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for the change.", min=0, callback=finite)
    ] = 75.0,
) -> None:
    """A fresh recorder process, for an upgrade or a changed config, without a gap.

    The new one connects and delivers before the old one lets go of the candle file. If nothing comes of
    it, the old one goes on. What is set here (SOPS_AGE_KEY_FILE, KLINE_OPS__…) is set for it, too.
    """
    import os

    from kline_ops.cli.known import known_session, remember_session
    from kline_ops.clock import SystemClock
    from kline_ops.config.settings import load_settings
    from kline_ops.config.sops import Secrets
    from kline_ops.config.trust import check_trust
    from kline_ops.errors import EXIT_NOT_RUNNING, EXIT_USAGE, ConfigError, SessionError
    from kline_ops.ops.handover import file_in, lent
    from kline_ops.ops.renewal import renew
    from kline_ops.ops.running import is_running, is_supervised
    from kline_ops.watch.registry import find_session, remember

    known = known_session(name, config)
    if not is_running(known):
        raise SessionError(
            f"{name} is not running", exit_code=EXIT_NOT_RUNNING, hint=f"kline-ops start {name}"
        )
    if not is_supervised(known):
        raise SessionError(
            f"{name} has no supervisor: it runs outside tmux",
            exit_code=EXIT_USAGE,
            hint="restart it where it was started",
        )
    if known.command:
        _restart_command(known, config)
        return
    # A config that can not be used must not end the recording. Its secrets are the recorder's to have.
    settings = load_settings(name, config or Path(known.config), secrets=Secrets.LEFT)
    check_trust(settings, os.environ)
    _check_same_files(settings, known)
    before = find_session(name)
    _check_nothing_waits(before)
    if config is not None:
        remember_session(settings, known.keeper_pid, supervised=True)
    try:
        with lent(file_in(settings.data_dir), os.environ):
            pid = renew(known, SystemClock(), wait)
    except (ConfigError, SessionError):
        remember(before)  # a crash must not bring up what has just come to nothing
        raise
    typer.echo(f"{name} goes on in a fresh process (pid {pid})")


def _restart_command(known: KnownSession, config: Path | None) -> None:
    """Two of them at a time may be one too many: the old one ends first."""
    import os

    from kline_ops.cli.start import start
    from kline_ops.clock import SystemClock
    from kline_ops.config.command import CommandSettings
    from kline_ops.config.settings import load_session
    from kline_ops.ops import commands
    from kline_ops.ops.stopping import stop
    from kline_ops.ops.tmux import Tmux

    path = config or Path(known.config)
    if isinstance(settings := load_session(known.name, path), CommandSettings):
        commands.check(settings, os.environ)
    Tmux(known.tmux_socket)  # without one, the old one goes on
    stop(known, SystemClock(), timeout=10.0)
    start(known.name, path)


def _check_nothing_waits(known: KnownSession) -> None:
    """What waits in memory for a disk that takes nothing, a fresh process would not have."""
    from kline_ops.errors import EXIT_FINDING, SessionError
    from kline_ops.watch.evidence import state_of
    from kline_ops.watch.files import section

    told = section(state_of(known.name, Path(known.state_file)), "metadata")
    if told.get("disk_error"):
        raise SessionError(
            f"{known.name} can not write its candle file ({told['disk_error']}):"
            f" {told.get('waiting')} candle(s) wait in memory, and would be lost",
            exit_code=EXIT_FINDING,
            hint="make room on that disk first",
        )


def _check_same_files(settings: Settings, known: KnownSession) -> None:
    """A successor takes over a candle file; for another one there is nothing to take over."""
    from kline_ops.errors import EXIT_USAGE, SessionError
    from kline_ops.watch.registry import find_session

    running = find_session(known.name)
    for what, new, old in (
        ("candle file", settings.csv, running.csv),
        ("state file", settings.state_file, running.state_file),
    ):
        if str(new) != old:
            raise SessionError(
                f"{known.name} records with the {what} {old}, and its config names {new} now",
                exit_code=EXIT_USAGE,
                hint=f"kline-ops stop {known.name}, then start it",
            )
