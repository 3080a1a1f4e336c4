"""``kline-ops units NAME --cron``: what the machine's own services need to watch over a session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kline_ops.cli.options import ConfigFile, NewName

if TYPE_CHECKING:
    from kline_ops.config.settings import Settings


def units(
    name: NewName,
    config: ConfigFile = None,
    cron: Annotated[bool, typer.Option("--cron", help="Print lines for a crontab.")] = False,
) -> None:
    """Print crontab lines that look for gaps every hour and report every day.

    Put them beside those that are there: (crontab -l; kline-ops units NAME --cron) | crontab -
    """
    import os

    from kline_ops.config.load import ENV_PREFIX
    from kline_ops.errors import InputError
    from kline_ops.ops.units import PLACES, Watched, crontab

    if not cron:
        raise InputError(
            "units of systemd are not there yet", hint=f"kline-ops units {name} --cron"
        )
    settings = _settings_in_cron(name, config)
    watched = Watched(
        name=name,
        command=_command(),
        config=str(settings.path),
        # Cron runs them in another folder.
        environ={
            place: str(Path(value).expanduser().absolute())
            for place in PLACES
            if (value := os.environ.get(place))
        },
        notify=settings.alert_url is not None,
    )
    lines = crontab(watched)
    if own := sorted(variable for variable in os.environ if variable.startswith(ENV_PREFIX)):
        typer.echo(f"cron will not know of {', '.join(own)}: put it into the config", err=True)
    typer.echo(lines, nl=False)


def _settings_in_cron(name: str, config: Path | None) -> Settings:
    """As the lines will find them: without what the present environment overrides."""
    from kline_ops.config.settings import load_settings
    from kline_ops.errors import EXIT_NO_SESSION, SessionError
    from kline_ops.watch.registry import find_session

    if config is None:
        try:
            config = Path(find_session(name).config)
        except SessionError as error:
            if error.exit_code != EXIT_NO_SESSION:
                raise
    return load_settings(name, config, {})


def _command() -> list[str]:
    """How this program was called, so that it is found without a PATH."""
    import shutil
    import sys

    called = shutil.which(sys.argv[0])
    if called is None or Path(called).name != "kline-ops":  # ``python -m kline_ops``
        return [sys.executable, "-m", "kline_ops"]
    # Not resolved: the link stays where it is when what it points to is upgraded.
    return [str(Path(called).absolute())]
