"""``kline-ops config check|show NAME``."""

from __future__ import annotations

import typer

from kline_ops.cli.options import ConfigFile, NewName

app = typer.Typer(help="Look at a session's config.", no_args_is_help=True)


@app.command("check")
def check(name: NewName, config: ConfigFile = None) -> None:
    """Say whether a config can be used; the first error otherwise (exit 2)."""
    import os

    from kline_ops.config.settings import load_settings
    from kline_ops.config.trust import check_trust

    settings = load_settings(name, config)
    check_trust(settings, os.environ)
    for warning in settings.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"{settings.path} is good: {settings.stream.symbol} {settings.stream.interval}")


@app.command("show")
def show(name: NewName, config: ConfigFile = None) -> None:
    """Print a config as it is used: defaults and the environment included."""
    import msgspec
    import yaml

    from kline_ops.cli.given import printable
    from kline_ops.config.settings import load_settings

    settings = load_settings(name, config)
    tree = msgspec.to_builtins(settings.config.redacted())
    tree["data_dir"] = str(settings.data_dir)
    tree["binance"]["ws_url"], tree["binance"]["rest_url"] = settings.ws_url, settings.rest_url
    typer.echo(printable(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).rstrip()))
