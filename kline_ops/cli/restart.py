"""``kline-ops restart NAME``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kline_ops.cli.options import ConfigFile, Name


def restart(
    name: Name,
    config: ConfigFile = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the first data.", min=0)] = 20.0,
) -> None:
    """A fresh recorder process: for an upgrade or a new config. What is missed comes from REST."""
    import os

    from kline_ops.cli.known import known_session
    from kline_ops.cli.start import start
    from kline_ops.clock import SystemClock
    from kline_ops.config.settings import load_settings
    from kline_ops.config.trust import check_trust
    from kline_ops.errors import EXIT_NOT_RUNNING, EXIT_USAGE, SessionError
    from kline_ops.ops import session

    known = known_session(name, config)
    if not session.is_running(known):
        raise SessionError(
            f"{name} is not running", exit_code=EXIT_NOT_RUNNING, hint=f"kline-ops start {name}"
        )
    if not session.runs_in_tmux(known):
        raise SessionError(
            f"{name} runs outside tmux",
            exit_code=EXIT_USAGE,
            hint="restart it where it was started",
        )
    path = config or Path(known.config)
    # A config that can not be used must not end the recording.
    check_trust(load_settings(name, path), os.environ)
    session.stop(known, SystemClock(), timeout=10.0)
    start(name, path, wait)
