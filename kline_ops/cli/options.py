"""Arguments and options that several commands share, so that they mean the same everywhere."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer


def finite(value: float) -> float:
    """A callback for a number of seconds: ``nan`` passes every comparison, and no wait would end."""
    if not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value


def _complete(incomplete: str) -> list[str]:
    """Session names, for the shell's completion."""
    from kline_ops.watch.registry import sessions

    return [session.name for session in sessions() if session.name.startswith(incomplete)]


def _complete_configs(incomplete: str) -> list[str]:
    """Session names and the names of config files, for the shell's completion."""
    from kline_ops.config.load import shipped

    names = {path.stem for folder in (Path("configs"), shipped()) for path in folder.glob("*.yml")}
    return sorted({*_complete(incomplete), *(x for x in names if x.startswith(incomplete))})


Name = Annotated[str, typer.Argument(help="The session.", autocompletion=_complete)]
NewName = Annotated[
    str,
    typer.Argument(help="The session: the name of its config.", autocompletion=_complete_configs),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="Its config file; else ./configs/NAME.yml and so on."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
