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
    import os
    import sys

    from kline_ops.cli.known import remember_session
    from kline_ops.clock import SystemClock
    from kline_ops.config.settings import load_settings
    from kline_ops.ops import handover
    from kline_ops.ops.supervise import Supervisor

    if env_file is not None:
        os.environ.update(handover.read(env_file))
    settings = load_settings(name, config)
    remember_session(settings, os.getpid())
    command = [sys.executable, "-m", "kline_ops", "run", name, "--config", str(settings.path)]
    raise typer.Exit(Supervisor(name, command, settings.exit_file, SystemClock()).run())
