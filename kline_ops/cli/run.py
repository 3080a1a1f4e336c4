"""``kline-ops run NAME``: the recorder in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from kline_ops.cli.options import ConfigFile, NewName


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
    from kline_ops.config.trust import check_trust
    from kline_ops.errors import EXIT_GOOD, ConfigError
    from kline_ops.ops.supervise import SUCCESSOR_VARIABLE
    from kline_ops.service import new_journal

    settings = load_settings(name, config)
    preset = log_preset or settings.config.logger.preset
    if preset not in {"prod", "dev", "trace"}:
        raise ConfigError(f"no preset {preset!r}", field="--log-preset", hint="prod, dev or trace")
    check_trust(settings, os.environ)
    journal = new_journal(settings, takes_over=SUCCESSOR_VARIABLE in os.environ)
    # Not asyncio.run(): it waits for the resolver's threads, and a name server may hang for long.
    asyncio.new_event_loop().run_until_complete(record(settings, journal, preset, plain=plain))
    with contextlib.suppress(OutputError):  # the log file has what it says
        sys.stdout.flush()
    os._exit(EXIT_GOOD)
