"""``kline-ops supervise NAME``: what tmux runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kline_ops.cli.options import ConfigFile, NewName


def supervise(
    name: NewName,
    config: ConfigFile = None,
    env_file: Annotated[
        Path | None, typer.Option("--env-file", hidden=True, help="Environment to take over.")
    ] = None,
) -> None:
    """Run a recorder and start it again after a crash; a clean end or a config error is final."""
    import json
    import os
    import sys

    from kline_ops.cli.known import remember_session
    from kline_ops.clock import SystemClock
    from kline_ops.config.command import CommandSettings
    from kline_ops.config.settings import load_session
    from kline_ops.config.sops import Secrets, SopsError
    from kline_ops.errors import EXIT_FINDING, SessionError
    from kline_ops.ops import commands, handover
    from kline_ops.ops.pty_relay import ENVIRONMENT_VARIABLE
    from kline_ops.ops.supervise import Supervisor
    from kline_ops.watch.registry import find_session

    def command() -> list[str]:
        """As things are now: a restart may have brought another config."""
        try:
            path = find_session(name).config
        except SessionError:
            path = str(settings.path)
        return [sys.executable, "-m", "kline_ops", "run", name, "--config", path]

    if env_file is not None:
        handover.take_over(env_file, os.environ)
    try:
        settings = load_session(name, config, secrets=Secrets.LEFT)  # the recorder decrypts them
    except SopsError as error:
        error.exit_code = EXIT_FINDING  # not final: a service manager tries again
        raise
    files = (settings.exit_file, settings.events_file)
    if isinstance(settings, CommandSettings):
        os.environ[ENVIRONMENT_VARIABLE] = json.dumps(commands.environment(settings))
        called = commands.relay(settings)
        supervisor = Supervisor(
            name, lambda: called, *files, SystemClock(), final=commands.FINAL, renewable=False
        )
    else:
        supervisor = Supervisor(name, command, *files, SystemClock())
        supervisor.handed = handover.file_in(settings.data_dir)
    supervisor.listen()
    remember_session(settings, os.getpid(), supervised=True)
    raise typer.Exit(supervisor.run())
