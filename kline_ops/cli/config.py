"""``kline-ops config check|show NAME``."""

from __future__ import annotations

import typer

from kline_ops.cli.options import ConfigFile, NewName

app = typer.Typer(help="Look at a session's config.", no_args_is_help=True)


@app.command("check")
def check(name: NewName, config: ConfigFile = None) -> None:
    """Say whether a config can be used; the first error otherwise (exit 2)."""
    import os

    from kline_ops.config.command import CommandSettings
    from kline_ops.config.settings import load_session
    from kline_ops.config.trust import check_trust
    from kline_ops.ops import commands

    settings = load_session(name, config)
    if isinstance(settings, CommandSettings):
        commands.check(settings, os.environ)
        typer.echo(f"{settings.path} is good: a command")
        return
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
    from kline_ops.config.command import CommandSettings
    from kline_ops.config.settings import load_session

    settings = load_session(name, config)
    # ``str`` makes ``…`` of a secret.
    tree = msgspec.to_builtins(settings.config, enc_hook=str)
    tree["data_dir"] = str(settings.data_dir)
    if isinstance(settings, CommandSettings):
        tree = {key: tree[key] for key in ("data_dir", "ops")}
    else:
        urls = {"ws_url": settings.ws_url, "rest_url": settings.rest_url}
        tree["binance"] |= urls
    typer.echo(
        printable(yaml.safe_dump(_shown(tree), sort_keys=False, allow_unicode=True).rstrip())
    )


def _shown(value: object) -> object:
    """The same without what its addresses hold of secrets."""
    from kline_ops.secret import redacted, shown_url

    match value:
        case dict():
            return {key: _shown(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_shown(inner) for inner in value]
        case str() if "://" in value:
            # A command's words are no address, and may hold some.
            return redacted(value) if " " in value else shown_url(value)
    return value
