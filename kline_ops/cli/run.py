"""``kline-ops run NAME``: the recorder in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kline_ops.cli.options import ConfigFile, NewName

if TYPE_CHECKING:
    from kline_ops.config.settings import Settings
    from kline_ops.record.journal import Journal


#: Seconds to decrypt a file where candles are being missed meanwhile.
_HURRY = 5.0


def run(
    name: NewName,
    config: ConfigFile = None,
    log_preset: Annotated[
        str | None, typer.Option("--log-preset", help="prod, dev or trace; else the config's.")
    ] = None,
    *,
    plain: Annotated[
        bool, typer.Option("--plain", help="Log lines on the terminal instead of the dashboard.")
    ] = False,
) -> None:
    """Record in the foreground; q, F10, Ctrl+C, SIGTERM and SIGHUP end it cleanly."""
    import asyncio
    import contextlib
    import os
    import sys

    from kline_ops.cli.foreground import record
    from kline_ops.cli.output import OutputError
    from kline_ops.config.settings import load_settings
    from kline_ops.config.sops import PATIENCE, Secrets, SopsError
    from kline_ops.config.trust import check_trust
    from kline_ops.errors import EXIT_FINDING, EXIT_GOOD, ConfigError
    from kline_ops.ops.child import SUCCESSOR_VARIABLE
    from kline_ops.ops.supervise import KEEPER_VARIABLE

    # After a crash, at night, a key service that is out of reach costs alerts, and no candle. One that
    # makes way for us has its secrets, and goes on if we have none.
    goes_on = KEEPER_VARIABLE in os.environ and SUCCESSOR_VARIABLE not in os.environ
    secrets = Secrets.TRIED if goes_on else Secrets.NEEDED
    patience = _HURRY if goes_on else PATIENCE
    try:
        settings = load_settings(name, config, secrets=secrets, patience=patience)
    except SopsError as error:  # there is more than secrets in it
        if goes_on:
            error.exit_code = EXIT_FINDING  # not final: the supervisor tries again
        raise
    preset = log_preset or settings.config.logger.preset
    if preset not in {"prod", "dev", "trace"}:
        raise ConfigError(f"no preset {preset!r}", field="--log-preset", hint="prod, dev or trace")
    check_trust(settings, os.environ)
    if settings.config.alerts.urls and not goes_on:
        from kline_ops.alerts.routes import check_alerts

        check_alerts(settings.config)
    if KEEPER_VARIABLE not in os.environ:  # else whoever started it was told
        from kline_ops.cli.start import tell_warnings

        tell_warnings(settings)
    journal = _journal(settings)
    # Not asyncio.run(): it waits for the resolver's threads, and a name server may hang for long.
    asyncio.new_event_loop().run_until_complete(record(settings, journal, preset, plain=plain))
    with contextlib.suppress(OutputError):  # the log file has what it says
        sys.stdout.flush()
    os._exit(EXIT_GOOD)


def _journal(settings: Settings) -> Journal:
    """The session's journal, which is locked unless another recorder makes way for this one.

    Raises:
        JournalError: somebody else records into it.
        SessionError: the session of this name is another one.
    """
    import os

    from kline_ops.errors import JournalError
    from kline_ops.ops.child import SUCCESSOR_VARIABLE
    from kline_ops.ops.supervise import KEEPER_VARIABLE
    from kline_ops.session.parts import new_journal

    supervised, takes_over = KEEPER_VARIABLE in os.environ, SUCCESSOR_VARIABLE in os.environ
    if takes_over or not supervised:
        _check_same_session(settings)
    try:
        return new_journal(settings, takes_over=takes_over)
    except JournalError as error:
        if not supervised:
            raise
        # After a crash it may be a passing one, that of a backfill: the supervisor tries again.
        raise JournalError(str(error), transient=True, hint=error.hint) from None


def _check_same_session(settings: Settings) -> None:
    """Where this name records already, it is into these files: else there were two of one name."""
    from kline_ops.errors import EXIT_USAGE, SessionError
    from kline_ops.ops.running import is_running
    from kline_ops.watch.registry import find_session

    try:
        known = find_session(settings.name)
    except SessionError:
        return
    same = (known.csv, known.state_file) == (str(settings.csv), str(settings.state_file))
    if not same and is_running(known):
        raise SessionError(
            f"{settings.name} is running, and records into {known.csv}, not {settings.csv}",
            exit_code=EXIT_USAGE,
            hint=f"kline-ops stop {settings.name} first, or another name",
        )
