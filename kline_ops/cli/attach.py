"""``kline-ops attach NAME``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kline_ops.cli.options import ConfigFile, Name


def attach(
    name: Name,
    config: ConfigFile = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Keys do nothing.")] = False,
) -> None:
    """Show a session's terminal. Ctrl+B D leaves it running (in a tmux of your own: Ctrl+B twice, D)."""
    from kline_ops.cli.known import known_session
    from kline_ops.errors import EXIT_NOT_RUNNING, EXIT_USAGE, SessionError
    from kline_ops.ops.running import is_running, owned_by_another
    from kline_ops.ops.tmux import Tmux

    known = known_session(name, config)
    tmux = Tmux(known.tmux_socket, Path(known.tmux_tmpdir) if known.tmux_tmpdir else None)
    if not tmux.has(name):
        if (pid := owned_by_another(known)) is not None:
            raise SessionError(
                f"{name} belongs to another user (pid {pid})",
                exit_code=EXIT_USAGE,
                hint="ask as that user",
            )
        outside = is_running(known)
        raise SessionError(
            f"{name} runs outside tmux" if outside else f"{name} does not run in tmux",
            exit_code=EXIT_NOT_RUNNING,
            hint=f"kline-ops logs {name} -f"
            if outside
            else f"kline-ops status {name}, or kline-ops start {name}",
        )
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise SessionError(
            "attach needs a terminal", exit_code=EXIT_USAGE, hint=f"kline-ops logs {name} -f"
        )
    tmux.attach(name, read_only=read_only)
